using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Computes layer normalization: y[r, c] = (x[r, c] - mean_r) / sqrt(var_r + eps) * gamma[c] + beta[c], with the mean and the
/// (biased) variance of row r.
/// </summary>
/// <remarks>
/// <para>x and y are [rows, cols] with strides in floats; gamma and beta hold cols floats; y may be x with the same
/// stride.</para>
/// <para>The first pass computes an estimate m of the mean. The second pass sums the differences to m and their squares. The mean
/// d of the differences then corrects both the mean and the variance, so neither a large mean nor its rounding affects the
/// result. With z the exact normalized value, |y - exact| &lt;= e (c + 10)((1 + |z|) |gamma| + |beta|), e = 2^-24. c = cols / (4
/// lanes) + lanes + 8 bounds the number of roundings of one term of a sum: c from the mean, and half of c and half of the few
/// roundings of the square root from the scale.</para>
/// </remarks>
internal static unsafe class LayerNorm
{
    /// <summary>Normalizes <paramref name="rows"/> rows.</summary>
    public static void Execute(float* x, nint xStride, float* gamma, float* beta, float eps, float* y, nint yStride,
        nint rows, nint cols) =>
        Simd.Run(new Kernel(x, xStride, gamma, beta, eps, y, yStride, rows, cols));

    private readonly struct Kernel(float* x, nint xStride, float* gamma, float* beta, float eps, float* y, nint yStride,
        nint rows, nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Execute<TVec>(x, xStride, gamma, beta, eps, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint xStride, float* gamma, float* beta, float eps, float* y, nint yStride,
        nint rows, nint cols) where TVec : unmanaged, IVector<TVec>
    {
        float perCol = 1f / cols;
        for (nint r = 0; r < rows; r++, x += xStride, y += yStride)
        {
            float estimate = Sum<TVec>(x, cols) * perCol;
            SumDifferences<TVec>(x, cols, estimate, out float sum, out float squares);
            float correction = sum * perCol;
            float variance = MathF.Max(0, squares * perCol - correction * correction);
            float scale = 1 / MathF.Sqrt(variance + eps);
            Normalise<TVec>(x, gamma, beta, y, cols, estimate, scale, -correction * scale);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Sum<TVec>(float* x, nint n) where TVec : unmanaged, IVector<TVec>
    {
        TVec s0 = TVec.Zero, s1 = TVec.Zero, s2 = TVec.Zero, s3 = TVec.Zero;
        nint c = 0;
        for (; c <= n - 4 * TVec.Count; c += 4 * TVec.Count)
        {
            s0 += TVec.Load(x + c);
            s1 += TVec.Load(x + c + TVec.Count);
            s2 += TVec.Load(x + c + 2 * TVec.Count);
            s3 += TVec.Load(x + c + 3 * TVec.Count);
        }
        for (; c <= n - TVec.Count; c += TVec.Count)
            s0 += TVec.Load(x + c);
        float sum = TVec.Sum((s0 + s1) + (s2 + s3));
        for (; c < n; c++)
            sum += x[c];
        return sum;
    }

    /// <summary>Computes the sums of x - m and of its square.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void SumDifferences<TVec>(float* x, nint n, float m, out float sum, out float squares)
        where TVec : unmanaged, IVector<TVec>
    {
        TVec s0 = TVec.Zero, s1 = TVec.Zero, q0 = TVec.Zero, q1 = TVec.Zero, q2 = TVec.Zero, q3 = TVec.Zero;
        TVec mean = TVec.Broadcast(m);
        nint c = 0;
        for (; c <= n - 4 * TVec.Count; c += 4 * TVec.Count)
        {
            TVec d0 = TVec.Load(x + c) - mean;
            TVec d1 = TVec.Load(x + c + TVec.Count) - mean;
            TVec d2 = TVec.Load(x + c + 2 * TVec.Count) - mean;
            TVec d3 = TVec.Load(x + c + 3 * TVec.Count) - mean;
            s0 += d0 + d2;
            s1 += d1 + d3;
            q0.AddProduct(d0, d0);
            q1.AddProduct(d1, d1);
            q2.AddProduct(d2, d2);
            q3.AddProduct(d3, d3);
        }
        for (; c <= n - TVec.Count; c += TVec.Count)
        {
            TVec d = TVec.Load(x + c) - mean;
            s0 += d;
            q0.AddProduct(d, d);
        }
        sum = TVec.Sum(s0 + s1);
        squares = TVec.Sum((q0 + q1) + (q2 + q3));
        for (; c < n; c++)
        {
            float d = x[c] - m;
            sum += d;
            squares += d * d;
        }
    }

    /// <summary>Computes y = ((x - m) scale + shift) gamma + beta.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Normalise<TVec>(float* x, float* gamma, float* beta, float* y, nint n, float m, float scale, float shift)
        where TVec : unmanaged, IVector<TVec>
    {
        nint c = 0;
        for (; c <= n - TVec.Count; c += TVec.Count)
            One<TVec>(x + c, gamma + c, beta + c, y + c, m, scale, shift);
        for (; c < n; c++)
            One<Lanes1>(x + c, gamma + c, beta + c, y + c, m, scale, shift);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void One<TVec>(float* x, float* gamma, float* beta, float* y, float m, float scale, float shift)
        where TVec : unmanaged, IVector<TVec>
    {
        TVec z = TVec.MultiplyAdd(TVec.Load(x) - TVec.Broadcast(m), TVec.Broadcast(scale), TVec.Broadcast(shift));
        TVec.MultiplyAdd(z, TVec.Load(gamma), TVec.Load(beta)).Store(y);
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint xStride, float* gamma, float* beta, float eps, float* y, nint yStride,
        nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
        {
            double mean = 0, variance = 0;
            for (nint c = 0; c < cols; c++)
                mean += x[r * xStride + c] / (double)cols;
            for (nint c = 0; c < cols; c++)
                variance += (x[r * xStride + c] - mean) * (x[r * xStride + c] - mean) / cols;
            for (nint c = 0; c < cols; c++)
                y[r * yStride + c] = (float)((x[r * xStride + c] - mean) / Math.Sqrt(variance + eps) * gamma[c] + beta[c]);
        }
    }
}
