using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Creates the operands of a linear layer.</summary>
internal static unsafe class LinearOperands
{
    /// <summary>Creates the operands with shape and weights, without the addresses of a run.</summary>
    public static MatMulArgs Of(LinearOperation linear, Layout layout, int threads) => new()
    {
        LdX = layout.Stride(linear.X),
        M = linear.X.Rows,
        N = linear.Outputs,
        K = linear.X.Columns,
        Threads = threads,
        W = linear.Weight.Pointer,
        Type = linear.Weight.Type,
        Layout = linear.Layout,
        Bias = linear.Bias == null ? null : linear.Bias.Floats,
        Scale = linear.Scale == null ? null : linear.Scale.Floats,
        LdResidual = linear.Residual == null ? 0 : layout.Stride(linear.Residual),
        LdY = layout.Stride(linear.Output),
        ActivateLast = linear.ActivateLast,
    };

    /// <summary>Adds the addresses of a run to the operands.</summary>
    public static MatMulArgs In(in Frame frame, LinearOperation linear, in MatMulArgs shape)
    {
        MatMulArgs args = shape;
        args.X = frame.Floats(linear.X);
        args.Y = frame.Floats(linear.Output);
        args.Residual = linear.Residual == null ? null : frame.Floats(linear.Residual);
        return args;
    }
}
