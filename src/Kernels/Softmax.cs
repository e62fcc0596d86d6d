using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Computes the softmax of each row: y[r, c] = exp(x[r, c] - max_r) / sum over c of exp(x[r, c] - max_r).</summary>
/// <remarks>
/// <para>x and y are [rows, cols] with strides in floats; y may be x with the same stride. The largest element is subtracted
/// first, so any finite row gives a valid result, including a row full of -1e30 or of one value. Elements of minus infinity
/// become 0. A row that contains NaN or plus infinity, or only minus infinity, becomes NaN throughout, as in PyTorch.</para>
/// <para>|y - exact| &lt;= e (c + ln cols + 10 + |x - max|) y + 2^-126, e = 2^-24. c = cols / lanes + lanes + 8 bounds the
/// roundings of the sum. The other terms cover exp and the rounding of x - max, in both the numerator and the sum, the reciprocal
/// and the product.</para>
/// </remarks>
internal static unsafe class Softmax
{
    /// <summary>Computes the softmax of <paramref name="rows"/> rows.</summary>
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
            float max = Largest<TVec>(x, cols);
            float sum = Exponentials<TVec>(x, y, cols, max);
            Multiply<TVec>(y, cols, 1 / sum);
        }
    }

    /// <summary>
    /// Finds the largest element. The result is unspecified if an element is NaN; the NaN then reaches the sum through the
    /// exponentials.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest<TVec>(float* x, nint n) where TVec : unmanaged, IVector<TVec>
    {
        TVec m = TVec.Broadcast(float.NegativeInfinity);
        nint c = 0;
        for (; c <= n - TVec.Count; c += TVec.Count)
            m = TVec.Max(m, TVec.Load(x + c));
        float max = TVec.MaxAcross(m);
        for (; c < n; c++)
            max = MathF.Max(max, x[c]);
        return max;
    }

    /// <summary>Computes y = exp(x - max) and returns the sum of y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Exponentials<TVec>(float* x, float* y, nint n, float max) where TVec : unmanaged, IVector<TVec>
    {
        TVec s = TVec.Zero;
        nint c = 0;
        for (; c <= n - TVec.Count; c += TVec.Count)
        {
            TVec e = VectorMath.ExpNonPositive(TVec.Load(x + c) - TVec.Broadcast(max));
            e.Store(y + c);
            s += e;
        }
        float sum = TVec.Sum(s);
        for (; c < n; c++)
        {
            VectorMath.ExpNonPositive(Lanes1.Load(x + c) - Lanes1.Broadcast(max)).Store(y + c);
            sum += y[c];
        }
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Multiply<TVec>(float* y, nint n, float by) where TVec : unmanaged, IVector<TVec>
    {
        nint c = 0;
        for (; c <= n - TVec.Count; c += TVec.Count)
            (TVec.Load(y + c) * TVec.Broadcast(by)).Store(y + c);
        for (; c < n; c++)
            y[c] *= by;
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint xStride, float* y, nint yStride, nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
        {
            double max = double.NegativeInfinity, sum = 0;
            for (nint c = 0; c < cols; c++)
                max = Math.Max(max, x[r * xStride + c]);
            for (nint c = 0; c < cols; c++)
                sum += Math.Exp(x[r * xStride + c] - max);
            for (nint c = 0; c < cols; c++)
                y[r * yStride + c] = (float)(Math.Exp(x[r * xStride + c] - max) / sum);
        }
    }
}
