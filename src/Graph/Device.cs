namespace TinyZsad.Graph;

/// <summary>
/// Represents a device that compiles graphs into plans. How a plan fuses operations, lays out values and packs weights is up to
/// the device; models and detectors only use this class. A device is thread safe. Dispose it after its plans.
/// </summary>
internal abstract class Device : IDisposable
{
    /// <summary>Gets the name by which the device is selected: <c>cpu</c>, <c>reference</c>, <c>cuda:0</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Gets the number of host threads that work on one execution; at least 1. Results do not depend on it.</summary>
    public abstract int Threads { get; }

    /// <summary>
    /// Gets what the bits of results depend on beside the graph: the device, the instructions that it uses and the build of its code.
    /// Null if results of the device are not worth keeping.
    /// </summary>
    public virtual string? Arithmetic => null;

    /// <summary>Gets the width in bits of the processor's vectors that the device computes with; 0 if it uses none.</summary>
    public virtual int VectorWidth => 0;

    /// <summary>Gets why the vectors are narrower than those of the processor; null if they are not.</summary>
    public virtual string? VectorLimit => null;

    /// <summary>
    /// Gets why <see cref="Precision.Int8"/> is not known to be faster than floats on the device, as a sentence; null if it is. Plans
    /// compute what they are asked to nevertheless.
    /// </summary>
    public virtual string? Int8Objection => null;

    /// <summary>
    /// Gets whether matrix products are computed from halves. Their results are then further from PyTorch's in float32 than those of
    /// other devices.
    /// </summary>
    public virtual bool ComputesInHalf => false;

    /// <summary>Gets the most pictures that one execution can compute together; see <see cref="CompileOptions.Batch"/>.</summary>
    public virtual int MaxBatch => 1;

    /// <summary>Determines whether the device supports a precision for linear layers.</summary>
    public virtual bool Supports(Precision precision) => true;

    /// <summary>Compiles a graph and freezes it.</summary>
    /// <param name="graph">The graph. The memory of its parameters must outlive the plan.</param>
    /// <param name="options">The taps to provide and the precision to use; null for the defaults.</param>
    /// <exception cref="NotSupportedException">
    /// The device does not support an operation of the graph, named in the message, or does not support it at the requested
    /// precision or batch.
    /// </exception>
    /// <exception cref="DeviceException">The device has no memory for the weights, or it failed.</exception>
    public abstract Plan Compile(ComputeGraph graph, CompileOptions? options = null);

    /// <summary>
    /// Starts to prepare, in the background, whatever the first execution would otherwise wait for. Does nothing if a device has
    /// nothing to prepare.
    /// </summary>
    /// <param name="precision">The precision of linear layers.</param>
    public virtual void Rehearse(Precision precision) { }

    /// <summary>
    /// Calls <paramref name="body"/> once for each number from 0 to <paramref name="count"/> - 1, in any order and on as many of the
    /// host's threads as the device has idle, and returns when all calls have returned. It may be called after the device is disposed.
    /// </summary>
    public virtual void For(int count, Action<int> body)
    {
        for (int i = 0; i < count; i++) body(i);
    }

    /// <summary>Returns memory that is not in use to the operating system.</summary>
    public virtual void Trim() { }

    /// <summary>Releases the resources of the device. Dispose of its plans first.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the resources of the device. It may be called more than once.</summary>
    protected virtual void Free() { }
}

/// <summary>Specifies the taps of a plan and its precision.</summary>
internal sealed record CompileOptions
{
    /// <summary>
    /// Gets the predicate that selects the taps to provide; null for none. A demanded value is computed as in the graph, so
    /// operations are not fused across it. Without demanded taps the plan is the fastest possible.
    /// </summary>
    public Func<Tap, bool>? Demanded { get; init; }

    /// <summary>Gets whether the plan also provides the taps whose values exist even in the fastest plan.</summary>
    public bool Surviving { get; init; }

    /// <summary>Gets the precision of linear layers; see <see cref="TinyZsad.Precision"/>.</summary>
    public Precision Precision { get; init; }

    /// <summary>
    /// Gets the number of pictures that an execution computes together, 1 to <see cref="Device.MaxBatch"/>. The graph describes one of
    /// them; results of a picture do not depend on the others.
    /// </summary>
    public int Batch { get; init; } = 1;

    /// <summary>Throws if a device cannot compute as many pictures together.</summary>
    internal void CheckBatch(Device device)
    {
        if (Batch < 1 || Batch > device.MaxBatch)
            throw new NotSupportedException($"{device.Name} computes 1 to {device.MaxBatch} pictures together, not {Batch}.");
    }

    /// <summary>Gets the demanded taps of a graph.</summary>
    internal Tap[] DemandedOf(ComputeGraph graph) => [.. graph.Taps.Where(t => Demanded?.Invoke(t) ?? false)];

    /// <summary>Gets the taps of a graph that a plan with the given operations provides, in the order of the graph.</summary>
    internal Tap[] TapsOf(ComputeGraph graph, Tap[] demanded, IEnumerable<Operation> operations)
    {
        if (!Surviving) return demanded;
        HashSet<Value> made = [.. operations.Select(o => o.Output), .. graph.Inputs.Values];
        return [.. graph.Taps.Where(t => demanded.Contains(t) || made.Contains(t.Value.Root))];
    }
}
