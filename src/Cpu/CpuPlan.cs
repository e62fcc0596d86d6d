using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Represents steps that may run at the same time: none of them reads what another one writes.</summary>
internal sealed record Phase(IReadOnlyList<Step> Steps)
{
    /// <summary>Gets the description of the phase for profiles.</summary>
    public PlanPart Part => new(
        string.Join(" + ", Steps.Select(s => s.Label).Distinct()), string.Join(" + ", Steps.Select(s => s.Kind).Distinct()),
        Steps.Sum(s => s.Flops),
        Steps.Sum(s => s.Reads.Concat(s.Writes).Sum(v => (long)v.Rows * v.Columns * v.ElementSize) + s.WeightBytes));
}

/// <summary>
/// Represents a graph compiled for the CPU: operations are fused and translated into steps, steps are grouped into phases, and
/// every value has an offset in one arena.
/// </summary>
internal sealed class CpuPlan : Plan
{
    private readonly Int8Lowering int8;

    private CpuPlan(ComputeGraph graph, IReadOnlyList<Tap> taps, ThreadTeam team, IReadOnlyList<Phase> phases, Layout layout,
        Int8Lowering int8) : base(graph, taps)
    {
        this.int8 = int8;
        Team = team;
        Phases = phases;
        Layout = layout;
        foreach (Step step in phases.SelectMany(p => p.Steps)) ScratchFloats = Math.Max(ScratchFloats, step.ScratchFloats);
        Parts = [.. phases.Select(p => p.Part)];
    }

    internal ThreadTeam Team { get; }

    internal IReadOnlyList<Phase> Phases { get; }

    internal Layout Layout { get; }

    internal nint ScratchFloats { get; }

    public override long ArenaBytes => Layout.ArenaBytes;

    public override long WeightBytes => int8.Bytes;

    public override IReadOnlyList<PlanPart> Parts { get; }

    /// <summary>Compiles a graph for a team of threads.</summary>
    public static CpuPlan Compile(ThreadTeam team, ComputeGraph graph, CompileOptions options)
    {
        bool Quantized(Operation operation) => options.Precision != Precision.Float32 && operation is LinearOperation linear
            && Int8Lowering.Suits(linear);
        FusionRules rules = new()
        {
            Epilogues = true,
            Rotary = true,
            Bottleneck = b => !Quantized(b.Expand) && !Quantized(b.Project)
                && Bottleneck.Fits(b.Expand.X.Rows, b.Expand.X.Columns, b.Expand.Outputs, b.Project.Outputs),
        };
        Tap[] taps = options.DemandedOf(graph);
        List<Operation> operations = Fusion.Run(graph, graph.Outputs.Values.Concat(taps.Select(t => t.Value)), rules);
        taps = options.TapsOf(graph, taps, operations);

        Layout layout = new(graph, operations);
        CpuLowering lowering = new(layout, team.Size);
        Int8Lowering int8 = new(team.Size);
        try
        {
            List<Step> steps = [.. taps.Where(t => graph.Inputs.Values.Contains(t.Value.Root)).Select(t => new TapStep(t))];
            foreach (Operation operation in operations)
            {
                steps.AddRange(Quantized(operation)
                    ? int8.Lower((LinearOperation)operation, layout)
                    : lowering.Lower(operation));
                steps.AddRange(taps.Where(t => t.Value.Root == operation.Output).Select(t => new TapStep(t)));
            }
            LinearStep.Chain(steps);
            List<Phase> phases = Gather(steps);
            layout.Place(graph, [.. phases.SelectMany((p, moment) => p.Steps.Select(s =>
                new Access(moment, s.Reads, s.Writes, InPlace(s))))]);
            return new CpuPlan(graph, [.. steps.OfType<TapStep>().Select(s => s.Tap)], team, phases, layout, int8);
        }
        catch
        {
            int8.Dispose();
            throw;
        }

        // In-place computation requires the same row stride.
        Value? InPlace(Step step) =>
            step.InPlace is { } v && layout.Stride(v) == layout.Stride(step.Writes[0]) ? v : null;
    }

    protected override Run NewRun() => new CpuRun(this);

    protected override void Free() => int8.Dispose();

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
}
