using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Smooths one channel by a Gaussian filter like <c>scipy.ndimage.gaussian_filter</c>: 2 radius + 1 taps exp(-k² / 2 sigma²),
/// divided by their sum, along both axes. The borders are mirrored with the edge repeated (d c b a | a b c d | d c b a).
/// </summary>
/// <remarks>
/// <para>For each output row, the input rows around it are blended into scratch memory, and the result is then filtered
/// horizontally. Rows are independent, so threads compute their bands without sharing data.</para>
/// <para>|y - exact| &lt;= 2 (radius + 4) e max|x|, e = 2^-24. Along each axis there is one rounding for the sum of two opposite
/// taps, one for their weight and one for each of the radius + 1 additions, since the weights sum to 1.</para>
/// </remarks>
internal static unsafe class GaussianBlur
{
    /// <summary>Computes the number of scratch floats that one thread needs: a row and its mirrored ends.</summary>
    public static nint ScratchLength(int width, int radius) => width + 2 * (nint)radius;

    /// <summary>
    /// Computes the output rows from <paramref name="begin"/> up to, but not including, <paramref name="end"/>.
    /// <paramref name="x"/> and <paramref name="y"/> are [height, width] with strides in floats and do not overlap.
    /// <paramref name="weight"/> is filled by <see cref="GaussianTaps.FillWeights"/>. <paramref name="scratch"/> holds
    /// <see cref="ScratchLength"/> floats for the calling thread alone.
    /// </summary>
    public static void Execute(float* x, nint xStride, int height, int width, float* weight, int radius,
        float* y, nint yStride, int begin, int end, float* scratch) =>
        Simd.Run(new Kernel(x, xStride, height, width, weight, radius, y, yStride, begin, end, scratch));

    private readonly struct Kernel(float* x, nint xStride, int height, int width, float* weight, int radius, float* y,
        nint yStride, int begin, int end, float* scratch) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Execute<TVec>(x, xStride, height, width, weight, radius, y, yStride, begin, end, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint xStride, int height, int width, float* weight, int radius,
        float* y, nint yStride, int begin, int end, float* scratch) where TVec : unmanaged, IVector<TVec>
    {
        float* blend = scratch + radius;
        for (int r = begin; r < end; r++)
        {
            Centre<TVec>(x + r * xStride, weight[0], blend, width);
            for (int k = 1; k <= radius; k++)
                AddPair<TVec>(x + Mirror(r - k, height) * xStride, x + Mirror(r + k, height) * xStride, weight[k], blend, width);
            for (int k = 1; k <= radius; k++)
            {
                blend[-k] = blend[Mirror(-k, width)];
                blend[width - 1 + k] = blend[Mirror(width - 1 + k, width)];
            }
            float* row = y + r * yStride;
            Centre<TVec>(blend, weight[0], row, width);
            for (int k = 1; k <= radius; k++) AddPair<TVec>(blend - k, blend + k, weight[k], row, width);
        }
    }

    /// <summary>Computes y = weight x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Centre<TVec>(float* x, float weight, float* y, nint n) where TVec : unmanaged, IVector<TVec>
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count) (TVec.Broadcast(weight) * TVec.Load(x + i)).Store(y + i);
        for (; i < n; i++) y[i] = weight * x[i];
    }

    /// <summary>Computes y += weight (a + b).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddPair<TVec>(float* a, float* b, float weight, float* y, nint n) where TVec : unmanaged, IVector<TVec>
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
            TVec.MultiplyAdd(TVec.Broadcast(weight), TVec.Load(a + i) + TVec.Load(b + i), TVec.Load(y + i)).Store(y + i);
        for (; i < n; i++)
        {
            Lanes1.MultiplyAdd(Lanes1.Broadcast(weight), Lanes1.Load(a + i) + Lanes1.Load(b + i), Lanes1.Load(y + i))
                .Store(y + i);
        }
    }

    /// <summary>Gets the index of the sample at position i of the mirrored row, at any distance outside.</summary>
    private static int Mirror(int i, int n)
    {
        if ((uint)i < (uint)n) return i;
        i %= 2 * n;
        if (i < 0) i += 2 * n;
        return i < n ? i : 2 * n - 1 - i;
    }

    /// <summary>Computes the reference result from the definition: a filter along every column, then along every row.</summary>
    public static void Scalar(float* x, nint xStride, int height, int width, double sigma, float* y, nint yStride)
    {
        int radius = GaussianTaps.Radius(sigma);
        double sum = 0;
        for (int k = -radius; k <= radius; k++) sum += GaussianTaps.Tap(k, sigma);
        double[,] blend = new double[height, width];
        for (int r = 0; r < height; r++)
        {
            for (int c = 0; c < width; c++)
            {
                for (int k = -radius; k <= radius; k++)
                    blend[r, c] += GaussianTaps.Tap(k, sigma) / sum * x[Mirror(r + k, height) * xStride + c];
            }
        }

        for (int r = 0; r < height; r++)
        {
            for (int c = 0; c < width; c++)
            {
                double v = 0;
                for (int k = -radius; k <= radius; k++) v += GaussianTaps.Tap(k, sigma) / sum * blend[r, Mirror(c + k, width)];
                y[r * yStride + c] = (float)v;
            }
        }
    }
}
