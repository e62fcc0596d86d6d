using System.Diagnostics;
using System.Runtime.InteropServices;

namespace TinyZsad.Graph;

/// <summary>
/// Represents the memory for one execution of a plan at a time. A run is rented from <see cref="Plan.Rent"/> and used by one
/// caller at a time. It can be executed any number of times with new inputs. <see cref="Dispose"/> returns it to the plan. An
/// execution overwrites inputs once they are no longer needed, so they must be filled before each execution.
/// </summary>
// Dispose returns the run for reuse. Only End releases it.
#pragma warning disable CA1816
internal abstract class Run : IDisposable
{
    private readonly Plan plan;
    private int rented;

    /// <summary>Initializes a run of a plan.</summary>
    protected Run(Plan plan) => this.plan = plan;

    /// <summary>
    /// Gets or sets the picture of the batch whose inputs and outputs the other members give, 0 to <see cref="Plan.Batch"/> - 1.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The plan has no such picture.</exception>
    public int Picture
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(value, plan.Batch);
            field = value;
        }
    }

    /// <summary>Gets the memory of an input of pixels, to fill before <see cref="Execute"/>.</summary>
    public Span<byte> Bytes(string input) => Input(input, ValueKind.Byte);

    /// <summary>Gets the memory of an input of integers, to fill before <see cref="Execute"/>.</summary>
    public Span<int> Ints(string input) => MemoryMarshal.Cast<byte, int>(Input(input, ValueKind.Int));

    /// <summary>Gets the memory of an input of floats, to fill before <see cref="Execute"/>.</summary>
    public Span<float> Floats(string input) => MemoryMarshal.Cast<byte, float>(Input(input, ValueKind.Float));

    /// <summary>Gets whether the device resizes pictures, so that <see cref="TryResize"/> is worth its tables.</summary>
    public virtual bool CanResize => false;

    /// <summary>
    /// Fills an input of pixels with a picture of another size, which the device resizes: the rows first, then the columns, with 8 bits
    /// between the passes. The picture has been read when the method returns. What is filled last counts: <see cref="Bytes"/> replaces
    /// the picture.
    /// </summary>
    /// <param name="input">The input.</param>
    /// <param name="rgb">The address of the top row, of three bytes per pixel.</param>
    /// <param name="stride">The number of bytes from a row to the row below it; at least three times the width.</param>
    /// <param name="horizontal">How rows are resized.</param>
    /// <param name="vertical">How columns are resized.</param>
    /// <returns>
    /// False if the device does not resize pictures, or not such ones. The input is then not filled, and the caller resizes.
    /// </returns>
    /// <exception cref="ArgumentException">The plan has no such input, or the sizes do not match.</exception>
    /// <exception cref="DeviceException">The device failed.</exception>
    /// <exception cref="ObjectDisposedException">The run was returned.</exception>
    public bool TryResize(string input, nint rgb, int stride, ResizeAxis horizontal, ResizeAxis vertical)
    {
        ArgumentNullException.ThrowIfNull(horizontal);
        ArgumentNullException.ThrowIfNull(vertical);
        Value value = Find(input, ValueKind.Byte);
        if (rgb == 0 || stride < 3L * horizontal.From)
            throw new ArgumentException($"Rows of {horizontal.From} pixels cannot be {stride} bytes apart.", nameof(stride));
        if (3L * horizontal.To * vertical.To != (long)value.Rows * value.Columns)
        {
            throw new ArgumentException(
                $"{horizontal.To} x {vertical.To} pixels do not fill '{input}', [{value.Rows}, {value.Columns}].", nameof(horizontal));
        }

        return CanResize && TryResizeOnDevice(value, rgb, stride, horizontal, vertical);
    }

    /// <summary>
    /// Gets an output, row-major. It is valid after <see cref="Execute"/> until the run is executed again or returned.
    /// </summary>
    /// <exception cref="ArgumentException">The plan has no output of this name.</exception>
    public ReadOnlySpan<float> Output(string name)
    {
        ThrowIfGivenBack();
        if (!plan.Graph.Outputs.TryGetValue(name, out Value? value))
        {
            throw new ArgumentException(
                $"The plan has no output '{name}'; it has {string.Join(", ", plan.Graph.Outputs.Keys)}.", nameof(name));
        }

        return MemoryMarshal.Cast<byte, float>(HostMemory(value));
    }

    /// <summary>Computes the outputs from the inputs. Results do not depend on the number of threads.</summary>
    /// <param name="receiver">Receives the taps of the plan.</param>
    /// <param name="profile">Records the time of every part. It must have been created for this run's plan.</param>
    /// <param name="singleThread">True to compute on the calling thread only, where the device computes on the host's threads.</param>
    /// <param name="cancellationToken">The token to monitor. It is checked after every part.</param>
    /// <exception cref="OperationCanceledException">The execution was canceled. The run can be used again.</exception>
    /// <exception cref="InvalidOperationException">
    /// A part failed, because a row number is outside its table or the receiver threw an exception. The inner exception is the
    /// cause. The run can be used again.
    /// </exception>
    /// <exception cref="DeviceException">The device failed.</exception>
    /// <exception cref="ArgumentException">The profile belongs to another plan.</exception>
    /// <exception cref="ObjectDisposedException">The run was returned, or the plan is disposed.</exception>
    public void Execute(TapReceiver? receiver = null, PlanProfile? profile = null, bool singleThread = false,
        CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ThrowIfGivenBack();
        plan.ThrowIfDisposed();
        if (profile is not null && profile.Plan != plan)
            throw new ArgumentException("The profile was made for another plan than the run's.", nameof(profile));
        try
        {
            Compute(receiver, profile, singleThread, cancellationToken);
        }
        catch (Exception e) when (e is not DeviceException
            && (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested))
        {
            throw new InvalidOperationException($"A part failed: {e.Message}", e);
        }
    }

    /// <summary>
    /// Measures the time of the operations, without the copies of inputs and outputs, as the mean of some repetitions after one that does
    /// not count. The outputs are then undefined.
    /// </summary>
    /// <exception cref="DeviceException">The device failed.</exception>
    public virtual TimeSpan Measure(int repeats)
    {
        Execute();
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < repeats; i++) Execute();
        return Stopwatch.GetElapsedTime(start) / repeats;
    }

    /// <summary>Returns the run to its plan. Further calls have no effect.</summary>
    public void Dispose()
    {
        // A run returned twice would be rented to two callers at once.
        if (Interlocked.Exchange(ref rented, 0) != 0) plan.Return(this);
    }

    /// <summary>Gets the bytes of an input or output of <see cref="Picture"/> in host memory, with contiguous rows.</summary>
    protected abstract Span<byte> HostMemory(Value value);

    /// <summary>Executes the plan once. An exception in a part is thrown here, after all threads have finished.</summary>
    protected abstract void Compute(
        TapReceiver? receiver, PlanProfile? profile, bool singleThread, CancellationToken cancellationToken);

    /// <summary>Resizes a picture into an input of <see cref="Picture"/>. The sizes match.</summary>
    /// <returns>False if the device does not resize such a picture.</returns>
    protected virtual bool TryResizeOnDevice(Value input, nint rgb, int stride, ResizeAxis horizontal, ResizeAxis vertical) => false;

    /// <summary>Frees the memory of the run. It is called once.</summary>
    protected abstract void Free();

    /// <summary>Releases the run.</summary>
    internal void End()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the memory of a run that was never returned, when it is garbage collected.</summary>
    ~Run() => Free();

    internal void BeginRental()
    {
        Picture = 0;
        Volatile.Write(ref rented, 1);
    }

    private Span<byte> Input(string name, ValueKind kind) => HostMemory(Find(name, kind));

    private Value Find(string name, ValueKind kind)
    {
        ThrowIfGivenBack();
        return plan.Graph.Inputs.TryGetValue(name, out Value? value) && value.Type == kind
            ? value
            : throw new ArgumentException($"The plan has no input '{name}' of {kind} elements.", nameof(name));
    }

    private void ThrowIfGivenBack() => ObjectDisposedException.ThrowIf(Volatile.Read(ref rented) == 0, this);
}
