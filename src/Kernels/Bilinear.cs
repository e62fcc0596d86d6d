using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Resamples one channel bilinearly from [height, width] to [outHeight, outWidth], with PyTorch's coordinates
/// (<c>F.interpolate(mode="bilinear")</c> with align_corners true or false, without antialiasing).
/// </summary>
/// <remarks>
/// <para>Each input row is stretched once to the output width, into scratch memory. Each output row is a blend of the two
/// stretched rows around it. <see cref="FillColumns"/> computes the column positions and weights once, and all threads share
/// them.</para>
/// <para>Positions and weights are computed in double precision. |y - exact| &lt;= 14 e max|x| (9e-7), e = 2^-24. Each of the two
/// blends contributes 2 e for the weight, 2 e for the difference, 2 e for the product and e for the sum. An area of constant
/// value keeps the value exactly.</para>
/// </remarks>
internal static unsafe class Bilinear
{
    /// <summary>Computes the number of scratch floats that one thread needs: two stretched rows.</summary>
    public static nint ScratchLength(nint outWidth) => 2 * outWidth;

    /// <summary>
    /// Fills <paramref name="column"/> and <paramref name="weight"/>, outWidth elements each. Output column i lies between input
    /// column column[i] and the next one, at the fraction weight[i].
    /// </summary>
    public static void FillColumns(int width, int outWidth, BilinearMode mode, int* column, float* weight)
    {
        for (int i = 0; i < outWidth; i++)
            weight[i] = (float)Locate(i, width, outWidth, mode, out column[i]);
    }

    /// <summary>
    /// Computes the output rows from <paramref name="begin"/> up to, but not including, <paramref name="end"/>.
    /// <paramref name="x"/> is [height, width] and <paramref name="y"/> is the whole output, both with a stride in floats; they
    /// do not overlap. <paramref name="scratch"/> holds <see cref="ScratchLength"/> floats for the calling thread alone.
    /// </summary>
    public static void Execute(float* x, nint xStride, int height, int width, int* column, float* weight,
        float* y, nint yStride, int outHeight, int outWidth, BilinearMode mode, int begin, int end, float* scratch) =>
        Simd.Run(new Kernel(x, xStride, height, width, column, weight, y, yStride, outHeight, outWidth, mode, begin, end,
            scratch));

    private readonly struct Kernel(float* x, nint xStride, int height, int width, int* column, float* weight, float* y,
        nint yStride, int outHeight, int outWidth, BilinearMode mode, int begin, int end, float* scratch) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Execute<TVec>(x, xStride, height, width, column, weight, y, yStride, outHeight, outWidth, mode, begin, end, scratch);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint xStride, int height, int width, int* column, float* weight,
        float* y, nint yStride, int outHeight, int outWidth, BilinearMode mode, int begin, int end, float* scratch)
        where TVec : unmanaged, IVector<TVec>
    {
        float* upper = scratch, lower = scratch + outWidth;
        int upperRow = -1, lowerRow = -1;    // the input rows in these buffers
        for (int r = begin; r < end; r++)
        {
            float t = (float)Locate(r, height, outHeight, mode, out int row);
            int next = Math.Min(row + 1, height - 1);
            if (row != upperRow)
            {
                // Output rows are computed from top to bottom, so the lower row becomes the upper row.
                float* other = upper;
                upper = lower;
                lower = other;
                (upperRow, lowerRow) = (lowerRow, upperRow);
                if (row != upperRow)
                    Stretch(x + row * xStride, width, column, weight, upper, outWidth);
                upperRow = row;
            }
            if (next != lowerRow)
            {
                Stretch(x + next * xStride, width, column, weight, lower, outWidth);
                lowerRow = next;
            }
            Blend<TVec>(upper, lower, t, y + r * yStride, outWidth);
        }
    }

    private static void Stretch(float* x, int width, int* column, float* weight, float* y, int outWidth)
    {
        for (nint i = 0; i < outWidth; i++)
        {
            float left = x[column[i]], right = x[Math.Min(column[i] + 1, width - 1)];
            y[i] = float.MultiplyAddEstimate(weight[i], right - left, left);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Blend<TVec>(float* upper, float* lower, float t, float* y, nint n) where TVec : unmanaged, IVector<TVec>
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
        {
            TVec u = TVec.Load(upper + i);
            TVec.MultiplyAdd(TVec.Broadcast(t), TVec.Load(lower + i) - u, u).Store(y + i);
        }
        for (; i < n; i++)
            y[i] = float.MultiplyAddEstimate(t, lower[i] - upper[i], upper[i]);
    }

    /// <summary>
    /// Locates output position i in the input: returns the fraction, in [0, 1), and the input position before it.
    /// </summary>
    private static double Locate(int i, int size, int outSize, BilinearMode mode, out int before)
    {
        double at = mode == BilinearMode.AlignCorners
            ? (outSize == 1 ? 0 : (double)i * (size - 1) / (outSize - 1))
            : Math.Max(0, (i + 0.5) * size / outSize - 0.5);
        before = Math.Min((int)at, size - 1);
        return Math.Min(at - before, 1);
    }

    /// <summary>
    /// Computes the reference result from the definition: the weighted mean of the four samples around each position.
    /// </summary>
    public static void Scalar(float* x, nint xStride, int height, int width, float* y, nint yStride, int outHeight, int outWidth,
        BilinearMode mode)
    {
        for (int r = 0; r < outHeight; r++)
        {
            for (int c = 0; c < outWidth; c++)
            {
                double v = Locate(r, height, outHeight, mode, out int top), u = Locate(c, width, outWidth, mode, out int left);
                int bottom = Math.Min(top + 1, height - 1), right = Math.Min(left + 1, width - 1);
                y[r * yStride + c] = (float)(
                    (1 - v) * ((1 - u) * x[top * xStride + left] + u * x[top * xStride + right])
                    + v * ((1 - u) * x[bottom * xStride + left] + u * x[bottom * xStride + right]));
            }
        }
    }
}
