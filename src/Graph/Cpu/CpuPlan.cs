using System.Collections.Concurrent;

namespace TinyZsad.Graph;

/// <summary>Steps that may run at the same time: none of them reads what another writes.</summary>
internal sealed record Phase(IReadOnlyList<Step> Steps)
{
    public long Flops => Steps.Sum(s => s.Flops);

    public long Bytes => Steps.Sum(s => s.Reads.Concat(s.Writes).Sum(v =>
        (long)v.Rows * v.Columns * v.ElementSize) + s.WeightBytes);
}

/// <summary>
/// A graph compiled for the processor: operations fused and translated into steps, steps gathered into phases, every value given
/// its place in one arena. Immutable; any number of runs may use it at once, each with an arena of its own.
/// </summary>
public sealed class CpuPlan : IDisposable
{
    private readonly ConcurrentBag<CpuRun> idle = [];
    private readonly Int8Lowering int8;
    private volatile bool disposed;

    private CpuPlan(ComputeGraph graph, IReadOnlyList<Phase> phases, long[] offsets, long arenaBytes, Int8Lowering int8)
    {
        this.int8 = int8;
        Graph = graph;
        Phases = phases;
        Offsets = offsets;
        ArenaBytes = arenaBytes;
        ScratchFloats = phases.SelectMany(p => p.Steps).Max(s => s.ScratchFloats);
    }

    internal ComputeGraph Graph { get; }

    internal IReadOnlyList<Phase> Phases { get; }

    /// <summary>Where each value that owns memory lies in the arena, by number; -1 for one that fusion did away with.</summary>
    internal long[] Offsets { get; }

    internal nint ScratchFloats { get; }

    /// <summary>Bytes of a run's arena: every intermediate that lives at the busiest moment.</summary>
    public long ArenaBytes { get; }

    /// <summary>Bytes of the weights that the plan holds in a form of its own: the quantised ones.</summary>
    public long WeightBytes => int8.Bytes;

    /// <summary>The taps that a run of this plan hands out.</summary>
    public IReadOnlyList<Tap> Taps => [.. Phases.SelectMany(p => p.Steps).OfType<TapStep>().Select(s => s.Tap)];

    /// <summary>Compiles a graph.</summary>
    /// <param name="graph">The network.</param>
    /// <param name="demanded">
    /// The taps to hand out. A demanded value is computed as it stands in the graph, so operations are not fused across it;
    /// without demands the plan is the fastest one.
    /// </param>
    /// <param name="surviving">Hand out, besides, the taps whose values exist even in the fastest plan.</param>
    /// <param name="precision">How linear layers are computed; see <see cref="Precision"/>.</param>
    public static CpuPlan Compile(ComputeGraph graph, Func<Tap, bool>? demanded = null, bool surviving = false,
        Precision precision = Precision.Float32)
    {
        Tap[] taps = [.. graph.Taps.Where(t => demanded?.Invoke(t) ?? false)];
        bool Quantized(Operation operation) => precision == Precision.Int8 && operation is LinearOperation linear
            && Int8Lowering.Suits(linear);
        List<Operation> operations = Fusion.Run(graph, graph.Outputs.Values.Concat(taps.Select(t => t.Value)), Quantized);
        HashSet<Value> made = [.. operations.Select(o => o.Output), .. graph.Inputs.Values];
        if (surviving) taps = [.. graph.Taps.Where(t => taps.Contains(t) || made.Contains(t.Value.Root))];

        int values = graph.ValueCount;
        List<Step> steps = [.. taps.Where(t => graph.Inputs.Values.Contains(t.Value.Root)).Select(t => new TapStep(t))];
        Int8Lowering int8 = new();
        foreach (Operation operation in operations)
        {
            steps.AddRange(Quantized(operation) ? int8.Lower((LinearOperation)operation, ref values)
                : CpuLowering.Lower(operation));
            steps.AddRange(taps.Where(t => t.Value.Root == operation.Output).Select(t => new TapStep(t)));
        }
        LinearStep.Chain(steps);
        List<Phase> phases = Gather(steps);
        (long[] offsets, long bytes) = Place(graph, phases, values);
        return new CpuPlan(graph, phases, offsets, bytes, int8);
    }

    /// <summary>Takes a run that is not in use, or makes one. Disposing it gives it back.</summary>
    /// <param name="threads">The largest team it will be executed with.</param>
    public CpuRun Rent(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        ThrowIfDisposed();
        if (idle.TryTake(out CpuRun? run))
        {
            if (run.Threads >= threads) return run.Rented();
            run.Free();
        }
        return new CpuRun(this, threads).Rented();
    }

    internal void Return(CpuRun run)
    {
        idle.Add(run);
        if (disposed) Trim();
    }

    /// <summary>Frees the memory of the runs that are not in use.</summary>
    public void Trim()
    {
        while (idle.TryTake(out CpuRun? run)) run.Free();
    }

    /// <summary>Frees the runs that are not in use and the weights that the plan holds itself. No run may be under way.</summary>
    public void Dispose()
    {
        disposed = true;
        Trim();
        int8.Dispose();
    }

    internal void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(disposed, this);

    private static List<Phase> Gather(List<Step> steps)
    {
        List<Phase> phases = [];
        List<Step> together = [];
        foreach (Step step in steps)
        {
            bool waits = together.Exists(s => s.Writes.Any(w => step.Reads.Any(r => r.Root == w.Root)));
            if (waits)
            {
                phases.Add(new Phase(together));
                together = [];
            }
            together.Add(step);
        }
        phases.Add(new Phase(together));
        return phases;
    }

    private static (long[] Offsets, long Bytes) Place(ComputeGraph graph, List<Phase> phases, int values)
    {
        Dictionary<Value, Block> blocks = graph.Inputs.Values.ToDictionary(v => v, v => new Block(v.Bytes, 0, 0));
        Dictionary<Value, int> lastRead = [];
        for (int p = 0; p < phases.Count; p++)
            foreach (Value read in phases[p].Steps.SelectMany(s => s.Reads)) lastRead[read.Root] = p;
        foreach (Value output in graph.Outputs.Values) lastRead[output] = phases.Count;

        for (int p = 0; p < phases.Count; p++)
            foreach (Step step in phases[p].Steps)
            {
                Value? reused = step.InPlace is { } v && CanReuse(v, step, phases[p]) && lastRead[v] == p ? v : null;
                foreach (Value written in step.Writes)
                {
                    int last = lastRead.GetValueOrDefault(written, p);
                    if (reused is not null)
                    {
                        blocks[written] = blocks[reused];
                        blocks[written].Last = last;
                    }
                    else blocks[written] = new Block(written.Bytes, p, last);
                }
            }
        foreach ((Value input, Block block) in blocks.Where(b =>
            graph.Inputs.Values.Contains(b.Key))) block.Last = lastRead.GetValueOrDefault(input);

        long bytes = Arena.Place(blocks.Values.Distinct());
        long[] offsets = new long[values];
        Array.Fill(offsets, -1);
        foreach ((Value value, Block block) in blocks) offsets[value.Id] = block.Offset;
        return (offsets, bytes);

        bool CanReuse(Value v, Step step, Phase phase) =>
            v.Root == v && !graph.Inputs.Values.Contains(v)
            && v.Rows == step.Writes[0].Rows && v.Columns == step.Writes[0].Columns && v.RowStride == step.Writes[0].RowStride
            && phase.Steps.Sum(s => s.Reads.Count(r => r.Root == v)) == 1;
    }
}
