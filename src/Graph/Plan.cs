using System.Collections.Concurrent;

namespace TinyZsad.Graph;

/// <summary>
/// A graph compiled by a device. Immutable and thread safe: any number of runs may use it at once, each with memory of its own.
/// </summary>
internal abstract class Plan : IDisposable
{
    private readonly ConcurrentBag<Run> idle = [];
    private int disposals;
    private volatile bool disposed;

    /// <summary>Notes what was compiled.</summary>
    /// <param name="graph">The graph, frozen.</param>
    /// <param name="taps">The taps that a run hands out.</param>
    protected Plan(ComputeGraph graph, IReadOnlyList<Tap> taps)
    {
        ArgumentNullException.ThrowIfNull(graph);
        Graph = graph;
        Taps = taps;
    }

    /// <summary>What was compiled.</summary>
    public ComputeGraph Graph { get; }

    /// <summary>The taps that a run of this plan hands out.</summary>
    public IReadOnlyList<Tap> Taps { get; }

    /// <summary>Bytes of a run's arena: every intermediate that lives at the busiest moment.</summary>
    public abstract long ArenaBytes { get; }

    /// <summary>Bytes of the weights that the plan holds in a form of its own: packed, quantised or uploaded.</summary>
    public virtual long WeightBytes => 0;

    /// <summary>What a run does one after the other, for profiles.</summary>
    public abstract IReadOnlyList<PlanPart> Parts { get; }

    /// <summary>Takes a run that is not in use, or makes one. Disposing it gives it back.</summary>
    /// <exception cref="ObjectDisposedException">The plan is disposed.</exception>
    public Run Rent()
    {
        ThrowIfDisposed();
        Run run = idle.TryTake(out Run? known) ? known : NewRun();
        run.BeginRental();
        return run;
    }

    /// <summary>Frees the memory of the runs that are not in use.</summary>
    public void Trim()
    {
        while (idle.TryTake(out Run? run)) run.End();
    }

    /// <summary>
    /// Frees the runs that are not in use and what the plan holds itself. No run may be under way; one that is still rented frees
    /// its memory when it is given back.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposals, 1) != 0) return;
        disposed = true;
        Trim();
        Free();
        GC.SuppressFinalize(this);
    }

    /// <summary>Makes a run.</summary>
    protected abstract Run NewRun();

    /// <summary>Frees what the plan holds itself.</summary>
    protected virtual void Free() { }

    internal void Return(Run run)
    {
        idle.Add(run);
        if (disposed) Trim();
    }

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(disposed, this);
}

/// <summary>One part of a plan, as profiles show it.</summary>
/// <param name="Label">Where in the network: the weights' names, or the block.</param>
/// <param name="Kind">The operations.</param>
/// <param name="Flops">Floating-point operations, two a multiply-add.</param>
/// <param name="Bytes">Bytes read and written, weights included, each counted once.</param>
internal sealed record PlanPart(string Label, string Kind, long Flops, long Bytes);
