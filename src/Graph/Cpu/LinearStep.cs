using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>A linear layer with everything fused into it.</summary>
internal abstract unsafe class LinearStep(LinearOperation linear) : OperationStep(linear)
{
    private nint upcomingBytes;
    private byte* upcoming;

    public override Value? InPlace => linear.Residual;

    public override int Items { get; } =
        MatMul.Items(linear.X.Rows, linear.Outputs, linear.X.Columns, Environment.ProcessorCount);

    public override int Groups { get; } =
        MatMul.Groups(linear.X.Rows, linear.Outputs, linear.X.Columns, Environment.ProcessorCount);

    public override nint ScratchFloats =>
        MatMul.ScratchFloats(linear.X.Rows, linear.Outputs, linear.X.Columns, Environment.ProcessorCount);

    /// <summary>
    /// Tells each linear layer which one comes next, so that its first weights are near when it begins. Attention between the two
    /// would push them out of the caches again.
    /// </summary>
    public static void Chain(IEnumerable<Step> steps)
    {
        LinearStep? before = null;
        foreach (Step step in steps)
        {
            if (step is LinearStep next)
            {
                if (before is not null)
                    before.upcoming = MatMul.FirstWeights(LinearOperands.Of(next.Linear), out before.upcomingBytes);
                before = next;
            }
            else if (step is AttentionStep or WindowAttentionStep) before = null;
        }
    }

    private LinearOperation Linear => linear;

    protected MatMulArgs Args(in Frame frame)
    {
        MatMulArgs args = LinearOperands.Of(linear, frame);
        args.Upcoming = upcoming;
        args.UpcomingBytes = upcomingBytes;
        return args;
    }
}

/// <summary>One with a certain activation.</summary>
internal sealed unsafe class LinearStep<TActivation>(LinearOperation linear, TActivation activation) : LinearStep(linear)
    where TActivation : struct, IActivation
{
    public override void Run(in Frame frame, int item, int previous, float* scratch) =>
        MatMul.Execute(Args(frame), activation, item, previous, scratch);
}
