using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Computes a linear layer, including its fused operations.</summary>
internal abstract unsafe class LinearStep : OperationStep
{
    private readonly LinearOperation linear;
    private MatMulArgs shape;

    protected LinearStep(LinearOperation linear, Layout layout, int threads) : base(linear)
    {
        this.linear = linear;
        shape = LinearOperands.Of(linear, layout, threads);
        Items = MatMul.Items(shape.M, shape.N, shape.K, threads);
        Groups = MatMul.Groups(shape.M, shape.N, shape.K, threads);
        ScratchFloats = MatMul.ScratchFloats(shape.M, shape.N, shape.K, threads);
    }

    public override Value? InPlace => linear.Residual;

    public override int Items { get; }

    public override int Groups { get; }

    public override nint ScratchFloats { get; }

    /// <summary>
    /// Tells each linear layer which one follows, so that its first weights are prefetched into the cache. Layers are not chained
    /// across attention, which would evict the weights from the caches.
    /// </summary>
    public static void Chain(IEnumerable<Step> steps)
    {
        LinearStep? before = null;
        foreach (Step step in steps)
        {
            if (step is LinearStep next)
            {
                if (before is not null) before.shape.Upcoming = MatMul.FirstWeights(next.shape, out before.shape.UpcomingBytes);
                before = next;
            }
            else if (step is AttentionStep or WindowAttentionStep)
            {
                before = null;
            }
        }
    }

    protected MatMulArgs Args(in Frame frame) => LinearOperands.In(frame, linear, shape);
}

/// <summary>Computes a linear layer with a specific activation.</summary>
internal sealed unsafe class LinearStep<TActivation>(LinearOperation linear, Layout layout, int threads, TActivation activation)
    : LinearStep(linear, layout, threads)
    where TActivation : struct, IActivation
{
    public override void Run(in Frame frame, int item, int previous, float* scratch) =>
        MatMul.Execute(Args(frame), activation, item, previous, scratch);
}
