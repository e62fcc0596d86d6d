using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Elementary functions on a row of lanes, for use inside other kernels. All of them keep NaN. The polynomials are minimax fits
/// made for this file; a bound quoted below is that of the fit plus that of the float arithmetic, with or without fused
/// multiply-add, in units of e = 2^-24 = 6e-8.
/// </summary>
public static class VectorMath
{
    // ln(2^-126): below it the result would not be a normal float.
    private const float ExpLow = -87.336544f;

    /// <summary>
    /// exp(x) for x &lt;= 0, within 2 e (1.2e-7) of it relatively for x &gt; -87.33; 0 below, where the result would be subnormal
    /// (so 0 at minus infinity): what a softmax needs. Larger x: unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec ExpNonPositive<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        // The constant stands first in Max, so that NaN comes through.
        TVec low = TVec.Broadcast(ExpLow);
        TVec y = ExpReduced(TVec.Max(low, x), out TVec n);
        return TVec.SelectLess(x, low, TVec.Zero, TVec.Scale(y, n));
    }

    /// <summary>exp(x) = y * 2^n with y in [0.70, 1.42], for x in [-88, 0].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec ExpReduced<TVec>(TVec x, out TVec n) where TVec : unmanaged, IVector<TVec>
    {
        n = TVec.Round(x * TVec.Broadcast(1.442695041f));
        // ln 2 in two parts, the first of 16 bits: its product with n is exact, and x minus that is too.
        TVec r = TVec.MultiplyAdd(n, TVec.Broadcast(-0.693145751953125f), x);
        r = TVec.MultiplyAdd(n, TVec.Broadcast(-1.42860677e-6f), r);
        // exp(r) = 1 + r + r^2 q(r) on |r| <= ln(2)/2, fitted to 3.1e-9. Roundings: r 0.25 e, r^2 q 0.2 e, its sum with r
        // 0.25 e, the last addition e; where the result is below 1, 0.5 e for that, and all over 0.7. Under 2 e either way.
        TVec q = TVec.Broadcast(0.0013814467f);
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.008368781f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.041668393f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.1666652f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.49999994f));
        return TVec.MultiplyAdd(r * r, q, r) + TVec.Broadcast(1);
    }

    /// <summary>
    /// 2^x for x &lt;= 0, within 2 e (1.2e-7) relatively down to x = -126, and 2^-126 below. Larger x: unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Exp2NonPositive<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        TVec r = TVec.Fraction(TVec.Max(TVec.Broadcast(-126), x), out TVec n);
        // 2^r = 1 + r q(r) on [0, 1], fitted to 2.0e-9, which the coefficients' rounding makes 1.3e-8. Roundings: r 0.35 e, r q
        // 0.5 e, the last addition e where the result is near 1. The floor instead of the nearest integer spares two operations
        // where the processor has both halves of the work as one instruction each.
        TVec q = TVec.Broadcast(0.00021612915f);
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.0012467847f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.009675452f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.055485282f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.24022931f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.69314706f));
        return TVec.Scale(TVec.MultiplyAdd(q, r, TVec.Broadcast(1)), n);
    }

    /// <summary>
    /// P(|X| > z) of a standard normal X, which is erfc(z / sqrt 2), for z in [0, 1e3], within 9e-7 of it absolutely and 4e-7 /
    /// z; it falls to 0 and stays there. Outside that range: unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec TwoTails<TVec>(TVec z) where TVec : unmanaged, IVector<TVec>
    {
        // 1 / p(z)^8, p fitted so that max(z, 1) / 2 times the error is at most 6.3e-8. The division and eight times the rounding
        // of p add up to 7e-7 of the result. A third fewer multiplications than 2^(z h(z)), which is what stood here.
        TVec p = TVec.Broadcast(2.6779812e-06f);
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(-1.3522585e-05f));
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(8.1219754e-05f));
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(0.00015404304f));
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(0.0009195862f));
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(0.008638706f));
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(0.044771153f));
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(0.09973489f));
        p = TVec.MultiplyAdd(p, z, TVec.Broadcast(1));
        TVec r = TVec.Broadcast(1) / p;
        r *= r;
        r *= r;
        return r * r;
    }

    /// <summary>
    /// 1 / (1 + exp(-x)), within 4.2 e (2.5e-7) of it relatively; 0 below -87.33. Computed from exp(-|x|), so neither side cancels
    /// or overflows.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Sigmoid<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        TVec one = TVec.Broadcast(1);
        TVec e = ExpNonPositive(TVec.Zero - TVec.Abs(x));
        return TVec.SelectLess(x, TVec.Zero, e, one) * TVec.Reciprocal(one + e);
    }

    /// <summary>
    /// erfc in double precision, within 1e-12 of it relatively: its Taylor series near zero, its continued fraction further out.
    /// </summary>
    public static double ErfcScalar(double x)
    {
        double a = Math.Abs(x), erfc;
        if (a < 2.5)
        {
            double term = a, sum = a;
            for (int k = 1; Math.Abs(term) > 1e-18; k++)
            {
                term *= -a * a / k;
                sum += term / (2 * k + 1);
            }
            erfc = 1 - 2 / Math.Sqrt(Math.PI) * sum;
        }
        else
        {
            double fraction = a;
            for (int k = 60; k > 0; k--)
                fraction = a + k / 2.0 / fraction;
            erfc = Math.Exp(-a * a) / Math.Sqrt(Math.PI) / fraction;
        }
        return x < 0 ? 2 - erfc : erfc;
    }
}
