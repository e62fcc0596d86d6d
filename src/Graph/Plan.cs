using System.Collections.Concurrent;

namespace TinyZsad.Graph;

/// <summary>
/// Represents a graph compiled by a device. A plan is immutable and thread safe: any number of runs may use it at once, each with
/// its own memory.
/// </summary>
internal abstract class Plan : IDisposable
{
    private readonly ConcurrentBag<Run> idle = [];
    private int disposals;
    private volatile bool disposed;

    /// <summary>Initializes a plan.</summary>
    /// <param name="graph">The graph, frozen.</param>
    /// <param name="taps">The taps that a run provides.</param>
    protected Plan(ComputeGraph graph, IReadOnlyList<Tap> taps)
    {
        ArgumentNullException.ThrowIfNull(graph);
        Graph = graph;
        Taps = taps;
    }

    /// <summary>Gets the compiled graph.</summary>
    public ComputeGraph Graph { get; }

    /// <summary>Gets the number of pictures of a run; see <see cref="CompileOptions.Batch"/>.</summary>
    public virtual int Batch => 1;

    /// <summary>Gets the taps that a run of this plan provides: those of the first picture.</summary>
    public IReadOnlyList<Tap> Taps { get; }

    /// <summary>Gets the size of a run's arena in bytes: all values that exist at the moment of highest use.</summary>
    public abstract long ArenaBytes { get; }

    /// <summary>
    /// Gets the size in bytes of the weights that the plan stores in its own format: packed, quantized or uploaded.
    /// </summary>
    public virtual long WeightBytes => 0;

    /// <summary>Gets the parts of a run in order of execution, for profiles.</summary>
    public abstract IReadOnlyList<PlanPart> Parts { get; }

    /// <summary>Takes an idle run or creates a new one. Disposing the run returns it.</summary>
    /// <exception cref="ObjectDisposedException">The plan is disposed.</exception>
    public Run Rent()
    {
        ThrowIfDisposed();
        Run run = idle.TryTake(out Run? known) ? known : NewRun();
        run.BeginRental();
        return run;
    }

    /// <summary>Frees the memory of idle runs.</summary>
    public void Trim()
    {
        while (idle.TryTake(out Run? run)) run.End();
    }

    /// <summary>
    /// Frees the idle runs and the plan's own resources. No run may be executing. A run that is still rented frees its memory
    /// when it is returned.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposals, 1) != 0) return;
        disposed = true;
        Trim();
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>Creates a run.</summary>
    protected abstract Run NewRun();

    /// <summary>Frees the plan's own resources.</summary>
    protected virtual void Free() { }

    internal void Return(Run run)
    {
        idle.Add(run);
        if (disposed) Trim();
    }

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(disposed, this);
}

/// <summary>Describes one part of a plan for profiles.</summary>
/// <param name="Label">The position in the network: the names of the weights, or the block.</param>
/// <param name="Kind">The kinds of operations.</param>
/// <param name="Flops">The number of floating-point operations, two per multiply-add.</param>
/// <param name="Bytes">The number of bytes read and written, including weights, each counted once.</param>
internal sealed record PlanPart(string Label, string Kind, long Flops, long Bytes);
