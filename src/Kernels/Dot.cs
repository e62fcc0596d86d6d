using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Computes the dot product of two rows, for use inside other kernels.</summary>
internal static unsafe class Dot
{
    /// <summary>
    /// Computes the sum of a[i] b[i] for i below <paramref name="n"/>; a may be b. |error| &lt;= e (n / (4 lanes) + lanes + 10)
    /// times the sum of |a[i] b[i]|, e = 2^-24.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Execute<TVec>(float* a, float* b, nint n) where TVec : unmanaged, IVector<TVec>
    {
        TVec s0 = TVec.Zero, s1 = TVec.Zero, s2 = TVec.Zero, s3 = TVec.Zero;
        nint i = 0;
        for (; i <= n - 4 * TVec.Count; i += 4 * TVec.Count)
        {
            s0.AddProduct(TVec.Load(a + i), TVec.Load(b + i));
            s1.AddProduct(TVec.Load(a + i + TVec.Count), TVec.Load(b + i + TVec.Count));
            s2.AddProduct(TVec.Load(a + i + 2 * TVec.Count), TVec.Load(b + i + 2 * TVec.Count));
            s3.AddProduct(TVec.Load(a + i + 3 * TVec.Count), TVec.Load(b + i + 3 * TVec.Count));
        }
        for (; i <= n - TVec.Count; i += TVec.Count)
            s0.AddProduct(TVec.Load(a + i), TVec.Load(b + i));
        Lanes1 tail = Lanes1.Zero;
        for (; i < n; i++)
            tail = Lanes1.MultiplyAdd(Lanes1.Load(a + i), Lanes1.Load(b + i), tail);
        return TVec.Sum((s0 + s1) + (s2 + s3)) + Lanes1.Sum(tail);
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static double Scalar(float* a, float* b, nint n)
    {
        double sum = 0;
        for (nint i = 0; i < n; i++)
            sum += (double)a[i] * b[i];
        return sum;
    }
}
