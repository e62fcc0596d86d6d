using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>The operands of a linear layer.</summary>
internal static unsafe class LinearOperands
{
    /// <summary>Shape and weights, without the values of a run.</summary>
    public static MatMulArgs Of(LinearOperation linear) => new()
    {
        LdX = linear.X.RowStride,
        M = linear.X.Rows,
        N = linear.Outputs,
        K = linear.X.Columns,
        W = linear.Weight.Pointer,
        Type = linear.Weight.Type,
        Layout = linear.Layout,
        Bias = linear.Bias == null ? null : linear.Bias.Floats,
        Scale = linear.Scale == null ? null : linear.Scale.Floats,
        LdResidual = linear.Residual?.RowStride ?? 0,
        LdY = linear.Output.RowStride,
        ActivateLast = linear.ActivateLast,
        Threads = Environment.ProcessorCount,
    };

    /// <summary>With the values of a run.</summary>
    public static MatMulArgs Of(LinearOperation linear, in Frame frame)
    {
        MatMulArgs args = Of(linear);
        args.X = frame.Floats(linear.X);
        args.Y = frame.Floats(linear.Output);
        args.Residual = linear.Residual == null ? null : frame.Floats(linear.Residual);
        return args;
    }
}
