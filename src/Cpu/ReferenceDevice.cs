using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// Executes a graph without fusion: every operation separately, by the reference implementation of its kernel, with sums in
/// double precision, on the calling thread. It is the readable specification of every operation; fusion, lowering and other
/// devices are compared with it. It is slow and meant for small networks. It supports only <see cref="Precision.Float32"/> as
/// <see cref="Precision"/>.
/// </summary>
internal sealed class ReferenceDevice : Device
{
    /// <inheritdoc/>
    public override string Name => "reference";

    /// <inheritdoc/>
    public override int Threads => 1;

    /// <inheritdoc/>
    public override bool Supports(Precision precision) => precision == Precision.Float32;

    /// <inheritdoc/>
    public override Plan Compile(ComputeGraph graph, CompileOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(graph);
        graph.Freeze();
        options ??= new CompileOptions();
        options.CheckBatch(this);
        if (!Supports(options.Precision))
            throw new NotSupportedException($"The reference device computes in 32-bit floats, not in {options.Precision}.");
        Tap[] taps = options.DemandedOf(graph);
        List<Operation> operations = Fusion.Run(
            graph, graph.Outputs.Values.Concat(taps.Select(t => t.Value)), new FusionRules());
        foreach (Operation operation in operations) ReferenceOperations.Check(operation);
        return new ReferencePlan(graph, options.TapsOf(graph, taps, operations), operations);
    }

    private sealed class ReferencePlan : Plan
    {
        public ReferencePlan(ComputeGraph graph, IReadOnlyList<Tap> taps, IReadOnlyList<Operation> operations) : base(graph, taps)
        {
            Operations = operations;
            (Offsets, ArenaBytes) = Arena.Plan(graph, [.. operations.Select((o, moment) =>
                new Access(moment, [.. o.Inputs, .. taps.Where(t => t.Value.Root == o.Output).Select(t => t.Value)], [o.Output],
                    null))], v => (long)v.Rows * v.Columns * v.ElementSize);
            Parts = [.. operations.Select(o => new PlanPart(o.Label, o.Kind, o.Flops,
                o.Inputs.Append(o.Output).Sum(v => (long)v.Rows * v.Columns * v.ElementSize) + o.WeightBytes))];
        }

        public IReadOnlyList<Operation> Operations { get; }

        public long[] Offsets { get; }

        public override long ArenaBytes { get; }

        public override IReadOnlyList<PlanPart> Parts { get; }

        protected override Run NewRun() => new ReferenceRun(this);
    }

    private sealed unsafe class ReferenceRun : Run
    {
        private readonly ReferencePlan plan;
        private readonly ReferenceOperations operations;
        private byte* arena;

        public ReferenceRun(ReferencePlan plan) : base(plan)
        {
            this.plan = plan;
            arena = RunMemory.Allocate((nuint)plan.ArenaBytes);
            operations = new ReferenceOperations(arena, plan.Offsets);
        }

        protected override Span<byte> HostMemory(Value value) =>
            new(arena + plan.Offsets[value.Id], checked(value.Rows * value.Columns * value.ElementSize));

        protected override void Compute(
            TapReceiver? receiver, PlanProfile? profile, bool singleThread, CancellationToken cancellationToken)
        {
            profile?.Begin();
            foreach (Value input in plan.Graph.Inputs.Values) HandOut(input);
            for (int i = 0; i < plan.Operations.Count; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                operations.Execute(plan.Operations[i]);
                HandOut(plan.Operations[i].Output);
                profile?.Mark(i);
            }

            void HandOut(Value made)
            {
                if (receiver is null) return;
                foreach (Tap tap in plan.Taps.Where(t => t.Value.Root == made))
                    receiver(tap, tap.Read(operations.Floats(tap.Value), ReferenceOperations.Stride(tap.Value)));
            }
        }

        protected override void Free()
        {
            RunMemory.Free(arena, (nuint)plan.ArenaBytes);
            arena = null;
        }
    }
}
