using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Applies rotary position embeddings: every head p of every row becomes scale * (p * cos + rot(p) * sin), where rot([u, w]) =
/// [-w, u] for the halves u and w of the head.
/// </summary>
/// <remarks>
/// <para>x and y are [rows, heads * headDim] with strides in floats; y may be x with the same stride. cos and sin are [rows,
/// headDim / 2], contiguous, and the same for both halves and all heads. headDim is even.</para>
/// <para>|y - exact| &lt;= 4 e scale (|p cos| + |rot(p) sin|), e = 2^-24: one rounding for multiplying cos and sin by scale, then
/// two products and a sum.</para>
/// </remarks>
internal static unsafe class Rotary
{
    /// <summary>Rotates <paramref name="heads"/> heads in each of <paramref name="rows"/> rows.</summary>
    public static void Execute(float* x, nint xStride, float* cos, float* sin, float scale, float* y, nint yStride,
        nint rows, nint heads, nint headDim)
    {
        if (Simd.Lanes == 16) Execute<Lanes16>(x, xStride, cos, sin, scale, y, yStride, rows, heads, headDim);
        else if (Simd.Lanes == 8) Execute<Lanes8>(x, xStride, cos, sin, scale, y, yStride, rows, heads, headDim);
        else if (Simd.Lanes == 4) Execute<Lanes4>(x, xStride, cos, sin, scale, y, yStride, rows, heads, headDim);
        else Execute<Lanes1>(x, xStride, cos, sin, scale, y, yStride, rows, heads, headDim);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint xStride, float* cos, float* sin, float scale, float* y, nint yStride,
        nint rows, nint heads, nint headDim) where TVec : unmanaged, IVector<TVec>
    {
        nint half = headDim / 2;
        for (nint r = 0; r < rows; r++, x += xStride, y += yStride, cos += half, sin += half)
        {
            nint i = 0;
            for (; i <= half - TVec.Count; i += TVec.Count)
                Rotate<TVec>(x + i, cos + i, sin + i, scale, y + i, heads, half);
            for (; i < half; i++)
                Rotate<Lanes1>(x + i, cos + i, sin + i, scale, y + i, heads, half);
        }
    }

    /// <summary>Rotates one vector of elements of both halves, in every head of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Rotate<TVec>(float* x, float* cos, float* sin, float scale, float* y, nint heads, nint half)
        where TVec : unmanaged, IVector<TVec>
    {
        TVec c = TVec.Load(cos) * TVec.Broadcast(scale), s = TVec.Load(sin) * TVec.Broadcast(scale), minusS = TVec.Zero - s;
        for (nint h = 0; h < heads; h++, x += 2 * half, y += 2 * half)
        {
            TVec u = TVec.Load(x), w = TVec.Load(x + half);
            TVec.MultiplyAdd(u, c, w * minusS).Store(y);
            TVec.MultiplyAdd(w, c, u * s).Store(y + half);
        }
    }

    /// <summary>Computes the reference result from the definition. y may be x here, too.</summary>
    public static void Scalar(float* x, nint xStride, float* cos, float* sin, float scale, float* y, nint yStride,
        nint rows, nint heads, nint headDim)
    {
        nint half = headDim / 2;
        for (nint r = 0; r < rows; r++)
        {
            for (nint h = 0; h < heads; h++)
            {
                for (nint i = 0; i < half; i++)
                {
                    double u = x[r * xStride + h * headDim + i], w = x[r * xStride + h * headDim + half + i];
                    float c = cos[r * half + i], s = sin[r * half + i];
                    y[r * yStride + h * headDim + i] = (float)(scale * (u * c - w * s));
                    y[r * yStride + h * headDim + half + i] = (float)(scale * (w * c + u * s));
                }
            }
        }
    }
}
