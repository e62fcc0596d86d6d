using System.Runtime.InteropServices;

namespace TinyZsad.Graph;

/// <summary>
/// One use of a plan: memory for its values. Rented from <see cref="Plan.Rent"/>; used by one caller at a time. It takes inputs,
/// executes, and gives outputs, any number of times; then it is given back by <see cref="Dispose"/>. Executing overwrites inputs once
/// they are no longer needed: they are filled anew before each execution.
/// </summary>
// Dispose gives the run back for further use; only End ends its life.
#pragma warning disable CA1816
internal abstract class Run : IDisposable
{
    private readonly Plan plan;
    private int rented;

    /// <summary>A run of a plan.</summary>
    protected Run(Plan plan) => this.plan = plan;

    /// <summary>An input of pixels, to be filled before <see cref="Execute"/>.</summary>
    public Span<byte> Bytes(string input) => Input(input, ValueKind.Byte);

    /// <summary>An input of integers, to be filled before <see cref="Execute"/>.</summary>
    public Span<int> Ints(string input) => MemoryMarshal.Cast<byte, int>(Input(input, ValueKind.Int));

    /// <summary>An input of floats, to be filled before <see cref="Execute"/>.</summary>
    public Span<float> Floats(string input) => MemoryMarshal.Cast<byte, float>(Input(input, ValueKind.Float));

    /// <summary>An output, row-major, valid after <see cref="Execute"/> until the run is executed again or given back.</summary>
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

    /// <summary>Computes the outputs of the inputs. Results do not depend on the number of threads.</summary>
    /// <param name="receiver">Is handed the plan's taps.</param>
    /// <param name="profile">Takes the time of every part; made for this run's plan.</param>
    /// <param name="cancellationToken">Looked at after every part.</param>
    /// <exception cref="OperationCanceledException">It was cancelled; the run can be used again.</exception>
    /// <exception cref="InvalidOperationException">
    /// A part failed, because a row number lies outside its table or the receiver threw; the cause is its inner exception. The run
    /// can be used again.
    /// </exception>
    /// <exception cref="ArgumentException">The profile is another plan's.</exception>
    /// <exception cref="ObjectDisposedException">The run was given back, or the plan is disposed.</exception>
    public void Execute(TapReceiver? receiver = null, PlanProfile? profile = null, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ThrowIfGivenBack();
        plan.ThrowIfDisposed();
        if (profile is not null && profile.Plan != plan)
            throw new ArgumentException("The profile was made for another plan than the run's.", nameof(profile));
        try
        {
            Compute(receiver, profile, cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            throw new InvalidOperationException($"A part failed: {e.Message}", e);
        }
    }

    /// <summary>Gives the run back to its plan; once is enough, and further calls do nothing.</summary>
    public void Dispose()
    {
        // Given back twice, it would be rented to two callers at once.
        if (Interlocked.Exchange(ref rented, 0) != 0) plan.Return(this);
    }

    /// <summary>The bytes of an input or an output in the host's memory, rows without gaps between them.</summary>
    protected abstract Span<byte> HostMemory(Value value);

    /// <summary>Executes the plan once. What a part throws is thrown here, after all threads have ended.</summary>
    protected abstract void Compute(TapReceiver? receiver, PlanProfile? profile, CancellationToken cancellationToken);

    /// <summary>Frees its memory; called once.</summary>
    protected abstract void Free();

    /// <summary>Ends its life.</summary>
    internal void End()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>A run that is never given back frees its memory when it is collected.</summary>
    ~Run() => Free();

    internal void BeginRental() => Volatile.Write(ref rented, 1);

    private Span<byte> Input(string name, ValueKind kind)
    {
        ThrowIfGivenBack();
        return plan.Graph.Inputs.TryGetValue(name, out Value? value) && value.Type == kind
            ? HostMemory(value)
            : throw new ArgumentException($"The plan has no input '{name}' of {kind} elements.", nameof(name));
    }

    private void ThrowIfGivenBack() => ObjectDisposedException.ThrowIf(Volatile.Read(ref rented) == 0, this);
}
