using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>Where the operands of a linear layer lie in a run.</summary>
internal static unsafe class LinearOperands
{
    public static MatMulArgs Of(LinearOperation linear, in Frame frame)
    {
        MatMulArgs args = new()
        {
            X = frame.Floats(linear.X),
            LdX = linear.X.RowStride,
            M = linear.X.Rows,
            N = linear.Outputs,
            K = linear.X.Columns,
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
        return args;
    }
}
