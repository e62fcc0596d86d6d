using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Divides each row by its Euclidean norm: y[r, c] = x[r, c] / sqrt(sum over c of x[r, c]^2).</summary>
/// <remarks>
/// <para>x and y are [rows, cols] with strides in floats; y may be x with the same stride. A row of zeros stays zero, where a
/// division would give NaN. The squares are summed in floats: norms below 1e-19 or above 1e19 are out of range.</para>
/// <para>|y - exact| &lt;= e (cols / (8 lanes) + lanes / 2 + 9) |y|, e = 2^-24: half the error of <see cref="Dot"/>, and the
/// roundings of the square root, the reciprocal and the product.</para>
/// </remarks>
internal static unsafe class L2Normalize
{
    /// <summary>Normalizes <paramref name="rows"/> rows.</summary>
    public static void Execute(float* x, nint xStride, float* y, nint yStride, nint rows, nint cols) =>
        Simd.Run(new Kernel(x, xStride, y, yStride, rows, cols));

    private readonly struct Kernel(float* x, nint xStride, float* y, nint yStride, nint rows, nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec>(x, xStride, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint xStride, float* y, nint yStride, nint rows, nint cols)
        where TVec : unmanaged, IVector<TVec>
    {
        for (nint r = 0; r < rows; r++, x += xStride, y += yStride)
        {
            float squares = Dot.Execute<TVec>(x, x, cols);
            float scale = squares == 0 ? 0 : 1 / MathF.Sqrt(squares);
            nint c = 0;
            for (; c <= cols - TVec.Count; c += TVec.Count)
                (TVec.Load(x + c) * TVec.Broadcast(scale)).Store(y + c);
            for (; c < cols; c++)
                y[c] = x[c] * scale;
        }
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint xStride, float* y, nint yStride, nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
        {
            double norm = Math.Sqrt(Dot.Scalar(x + r * xStride, x + r * xStride, cols));
            for (nint c = 0; c < cols; c++)
                y[r * yStride + c] = norm == 0 ? 0 : (float)(x[r * xStride + c] / norm);
        }
    }
}
