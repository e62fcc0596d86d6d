using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Computes a residual connection with LayerScale: y[r, c] = residual[r, c] + scale[c] x[r, c].</summary>
/// <remarks>
/// All matrices are [rows, cols] with a row stride in floats; y may be residual or x (with its stride). There is one rounding
/// with fused multiply-add. Without it there are two, which adds |scale x| 2^-24 to the error.
/// </remarks>
internal static unsafe class ScaleAdd
{
    /// <summary>Computes <paramref name="rows"/> rows.</summary>
    public static void Execute(float* residual, nint residualStride, float* scale, float* x, nint xStride,
        float* y, nint yStride, nint rows, nint cols) =>
        Simd.Run(new Kernel(residual, residualStride, scale, x, xStride, y, yStride, rows, cols));

    private readonly struct Kernel(float* residual, nint residualStride, float* scale, float* x, nint xStride, float* y,
        nint yStride, nint rows, nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Execute<TVec>(residual, residualStride, scale, x, xStride, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* residual, nint residualStride, float* scale, float* x, nint xStride,
        float* y, nint yStride, nint rows, nint cols) where TVec : unmanaged, IVector<TVec>
    {
        for (nint r = 0; r < rows; r++, residual += residualStride, x += xStride, y += yStride)
        {
            nint c = 0;
            for (; c <= cols - TVec.Count; c += TVec.Count)
                TVec.MultiplyAdd(TVec.Load(scale + c), TVec.Load(x + c), TVec.Load(residual + c)).Store(y + c);
            for (; c < cols; c++)
                Lanes1.MultiplyAdd(Lanes1.Load(scale + c), Lanes1.Load(x + c), Lanes1.Load(residual + c)).Store(y + c);
        }
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* residual, nint residualStride, float* scale, float* x, nint xStride,
        float* y, nint yStride, nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
        {
            for (nint c = 0; c < cols; c++)
                y[r * yStride + c] = (float)(residual[r * residualStride + c] + (double)scale[c] * x[r * xStride + c]);
        }
    }
}
