using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Computes an inverted bottleneck in bands of rows.</summary>
internal sealed unsafe class BottleneckStep<TInner, TLast>(BottleneckOperation bottleneck, Layout layout, int threads,
    TInner inner, TLast last) : OperationStep(bottleneck)
    where TInner : struct, IActivation where TLast : struct, IActivation
{
    // The shape only. The addresses of the operands are known only in a run.
    private readonly BottleneckArgs shape = Shape(bottleneck, layout, threads);

    public override int Items => Bottleneck.Items(shape);

    public override nint ScratchFloats => Bottleneck.ScratchFloats(shape);

    public override void Run(in Frame frame, int item, int previous, float* scratch)
    {
        BottleneckArgs args = shape;
        args.Expand.X = frame.Floats(bottleneck.Expand.X);
        args.Project.Y = frame.Floats(bottleneck.Output);
        if (bottleneck.Project.Residual is { } residual) args.Project.Residual = frame.Floats(residual);
        Bottleneck.Execute(args, inner, last, item, previous, scratch);
    }

    private static BottleneckArgs Shape(BottleneckOperation o, Layout layout, int threads) => new()
    {
        Expand = LinearOperands.Of(o.Expand, layout, threads),
        Height = o.Depthwise.Height,
        Width = o.Depthwise.Width,
        Stride = o.Depthwise.Stride,
        Depthwise = o.Depthwise.Weight.Floats,
        DepthwiseBias = o.Depthwise.Bias.Floats,
        Project = LinearOperands.Of(o.Project, layout, threads),
        Threads = threads,
    };
}
