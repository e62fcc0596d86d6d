namespace TinyZsad.Graph;

/// <summary>
/// What computes: it compiles a graph into a plan of its own, fused, laid out and packed as it likes. Models and detectors know
/// nothing else of it. Thread safe; dispose it after the plans it made.
/// </summary>
internal abstract class Device : IDisposable
{
    /// <summary>What it is called where one is chosen: <c>cpu</c>, <c>reference</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Threads of the host that work on one execution; at least 1. Results do not depend on it.</summary>
    public abstract int Threads { get; }

    /// <summary>Whether it computes linear layers so.</summary>
    public virtual bool Supports(Precision precision) => true;

    /// <summary>Compiles a graph and freezes it.</summary>
    /// <param name="graph">The network. Its parameters' memory must outlive the plan.</param>
    /// <param name="options">What the plan hands out and how exactly it computes; null for the defaults.</param>
    /// <exception cref="NotSupportedException">
    /// The device does not execute an operation of it, whose kind the message names, or not at the precision asked for.
    /// </exception>
    public abstract Plan Compile(ComputeGraph graph, CompileOptions? options = null);

    /// <summary>
    /// Begins to prepare whatever the first execution would otherwise wait for, in the background; does nothing where a device has
    /// nothing to prepare.
    /// </summary>
    /// <param name="precision">How linear layers will be computed.</param>
    public virtual void Rehearse(Precision precision) { }

    /// <summary>Frees what it holds. Dispose of its plans first.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what it holds; may be called more than once.</summary>
    protected virtual void Free() { }
}

/// <summary>What a plan hands out and how exactly it computes.</summary>
internal sealed record CompileOptions
{
    /// <summary>
    /// The taps to hand out; null for none. A demanded value is computed as it stands in the graph, so operations are not fused
    /// across it; without demands the plan is the fastest one.
    /// </summary>
    public Func<Tap, bool>? Demanded { get; init; }

    /// <summary>Hand out, besides, the taps whose values exist even in the fastest plan.</summary>
    public bool Surviving { get; init; }

    /// <summary>How linear layers are computed; see <see cref="TinyZsad.Precision"/>.</summary>
    public Precision Precision { get; init; }

    /// <summary>The demanded taps of a graph.</summary>
    internal Tap[] DemandedOf(ComputeGraph graph) => [.. graph.Taps.Where(t => Demanded?.Invoke(t) ?? false)];

    /// <summary>The taps of a graph that a plan of some operations hands out, in the graph's order.</summary>
    internal Tap[] TapsOf(ComputeGraph graph, Tap[] demanded, IEnumerable<Operation> operations)
    {
        if (!Surviving) return demanded;
        HashSet<Value> made = [.. operations.Select(o => o.Output), .. graph.Inputs.Values];
        return [.. graph.Taps.Where(t => demanded.Contains(t) || made.Contains(t.Value.Root))];
    }
}
