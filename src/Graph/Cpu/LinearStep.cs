using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>A linear layer with everything fused into it.</summary>
internal sealed unsafe class LinearStep<TActivation>(LinearOperation linear, TActivation activation) : OperationStep(linear)
    where TActivation : struct, IActivation
{
    private readonly int inputs = linear.X.Columns;

    public override Value? InPlace => linear.Residual;

    public override int Items { get; } = MatMul.Items(linear.X.Rows, linear.Outputs, linear.X.Columns, linear.X.RowStride);

    public override nint ScratchFloats => MatMul.ScratchFloats(inputs, linear.X.RowStride);

    public override void Run(in Frame frame, int item, float* scratch)
    {
        MatMulArgs args = new()
        {
            X = frame.Floats(linear.X),
            LdX = linear.X.RowStride,
            M = linear.X.Rows,
            N = linear.Outputs,
            K = inputs,
            W = linear.Weight.Pointer,
            Type = linear.Weight.Type,
            Layout = linear.Layout,
            Bias = linear.Bias == null ? null : linear.Bias.Floats,
            Scale = linear.Scale == null ? null : linear.Scale.Floats,
            Y = frame.Floats(linear.Output),
            LdY = linear.Output.RowStride,
            ActivateLast = linear.ActivateLast,
        };
        if (linear.Residual != null)
        {
            args.Residual = frame.Floats(linear.Residual);
            args.LdResidual = linear.Residual.RowStride;
        }
        MatMul.Execute(args, activation, item, scratch);
    }
}
