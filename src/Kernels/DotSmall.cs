using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Computes a matrix product with few columns: y[r, j] = scale * sum over c of x[r, c] t[j, c]. With 1 to 8 columns or so, most
/// of a tile would be empty. Heads compute their logits with it.
/// </summary>
/// <remarks>
/// x is [rows, cols] and y is [rows, count], both with strides in floats. t is [count, cols], contiguous. y overlaps no input.
/// The error is that of <see cref="Dot"/>, times scale, and one rounding.
/// </remarks>
internal static unsafe class DotSmall
{
    /// <summary>Computes <paramref name="rows"/> rows of <paramref name="count"/> products.</summary>
    public static void Execute(float* x, nint xStride, float* t, nint count, float scale, float* y, nint yStride,
        nint rows, nint cols) =>
        Simd.Run(new Kernel(x, xStride, t, count, scale, y, yStride, rows, cols));

    private readonly struct Kernel(float* x, nint xStride, float* t, nint count, float scale, float* y, nint yStride, nint rows,
        nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Execute<TVec>(x, xStride, t, count, scale, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint xStride, float* t, nint count, float scale, float* y, nint yStride,
        nint rows, nint cols) where TVec : unmanaged, IVector<TVec>
    {
        for (nint r = 0; r < rows; r++, x += xStride, y += yStride)
        {
            for (nint j = 0; j < count; j++)
                y[j] = scale * Dot.Execute<TVec>(x, t + j * cols, cols);
        }
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint xStride, float* t, nint count, float scale, float* y, nint yStride,
        nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
        {
            for (nint j = 0; j < count; j++)
                y[r * yStride + j] = (float)(scale * Dot.Scalar(x + r * xStride, t + j * cols, cols));
        }
    }
}
