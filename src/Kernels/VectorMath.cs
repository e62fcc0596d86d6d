using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// Provides elementary functions of vectors, for use inside other kernels. All of them propagate NaN. The polynomials are minimax
/// fits made for this file. Each error bound covers the fit and the float arithmetic, with or without fused multiply-add, in
/// units of e = 2^-24 = 6e-8.
/// </summary>
internal static class VectorMath
{
    // ln(2^-126). Below it, the result would not be a normal float.
    private const float ExpLow = -87.336544f;

    /// <summary>
    /// Computes exp(x) for x &lt;= 0, with a relative error of at most 2 e (1.2e-7) for x &gt; -87.33. Below that, where the
    /// result would be subnormal, it is 0, also for minus infinity. This is sufficient for a softmax. For larger x the result is
    /// unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec ExpNonPositive<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        // The constant is the first operand of Max, so that NaN is kept.
        TVec low = TVec.Broadcast(ExpLow);
        TVec y = ExpReduced(TVec.Max(low, x), out TVec n);
        return TVec.SelectLess(x, low, TVec.Zero, TVec.Scale(y, n));
    }

    /// <summary>Computes y and n with exp(x) = y * 2^n and y in [0.70, 1.42], for x in [-88, 0].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec ExpReduced<TVec>(TVec x, out TVec n) where TVec : unmanaged, IVector<TVec>
    {
        n = TVec.Round(x * TVec.Broadcast(1.442695041f));
        // ln 2 is split into two parts, the first with 16 bits. The product of the first part and n is exact, and so is the
        // difference of x and that product.
        TVec r = TVec.MultiplyAdd(n, TVec.Broadcast(-0.693145751953125f), x);
        r = TVec.MultiplyAdd(n, TVec.Broadcast(-1.42860677e-6f), r);
        // exp(r) = 1 + r + r^2 q(r) on |r| <= ln(2)/2, fitted to 3.1e-9. Rounding errors: r 0.25 e, r^2 q 0.2 e, its sum with r
        // 0.25 e, the last addition e. Where the result is below 1, the last addition contributes 0.5 e, and the total is divided
        // by 0.7 to make it relative. The error is below 2 e in both cases.
        TVec q = TVec.Broadcast(0.0013814467f);
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.008368781f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.041668393f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.1666652f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.49999994f));
        return TVec.MultiplyAdd(r * r, q, r) + TVec.Broadcast(1);
    }

    /// <summary>
    /// Computes 2^x for x &lt;= 0, with a relative error of at most 2 e (1.2e-7) down to x = -126; the result is 2^-126 below.
    /// For larger x the result is unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Exp2NonPositive<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> =>
        Exp2(TVec.Max(TVec.Broadcast(-126), x));

    /// <summary>
    /// Computes 2^x for x from -126 to 127, with a relative error of at most 2 e (1.2e-7). Outside that range the result is
    /// unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Exp2<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> =>
        TVec.Count == 8
            ? Unsafe.BitCast<Vector256<float>, TVec>(Exp2ByTable(Unsafe.BitCast<TVec, Vector256<float>>(x)))
            : Exp2ByPolynomial(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec Exp2ByPolynomial<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        TVec r = TVec.Fraction(x, out TVec n);
        // 2^r = 1 + r q(r) on [0, 1], fitted to 2.0e-9; rounding the coefficients raises that to 1.3e-8. Rounding errors: r 0.35
        // e, r q 0.5 e, the last addition e where the result is near 1. x is split at its floor rather than at the nearest
        // integer. This saves two operations on processors that have one instruction for the fraction and one for the scaling
        // (AVX-512).
        TVec q = TVec.Broadcast(0.00021612915f);
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.0012467847f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.009675452f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.055485282f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.24022931f));
        q = TVec.MultiplyAdd(q, r, TVec.Broadcast(0.69314706f));
        return TVec.Scale(TVec.MultiplyAdd(q, r, TVec.Broadcast(1)), n);
    }

    /// <summary>
    /// Computes 2^x as 2^n 2^(j/8) 2^r with |r| &lt;= 1/16. A permutation of vector lanes looks up 2^(j/8). This takes a third fewer
    /// operations than the polynomial on [0, 1] with a floor and a scaling, for which AVX2 has no instruction.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Exp2ByTable(Vector256<float> x)
    {
        // Adding 1.5 * 2^20 rounds to eighths and leaves 8 n + j in the low bits, of which the permutation reads three. Shifted by 20
        // they are n in the exponent and j in the mantissa, which the table has subtracted.
        Vector256<float> magic = Vector256.Create(1572864f);
        Vector256<float> t = x + magic;
        Vector256<float> r = x - (t - magic);
        Vector256<int> table = Vector256.Create(
            0x3F800000, 0x3F7B95C2, 0x3F7837F0, 0x3F75FED7, 0x3F7504F3, 0x3F75672A, 0x3F7744FD, 0x3F7AC0C7);
        Vector256<float> power = (Avx2.PermuteVar8x32(table, t.AsInt32()) + (t.AsInt32() << 20)).AsSingle();
        // 2^r = 1 + r q(r), fitted to 2.6e-8. Errors: the fit 0.44 e, the table at most 0.54 e, r q 0.1 e, the last addition e over the
        // mantissa. Where the table errs most, the mantissa is at least 1.13, so the total is below 2 e.
        Vector256<float> q = Vector256.Create(0.05549473f);
        q = Vector256.MultiplyAddEstimate(q, r, Vector256.Create(0.2402577f));
        q = Vector256.MultiplyAddEstimate(q, r, Vector256.Create(0.69314724f));
        return Vector256.MultiplyAddEstimate(power, r * q, power);
    }

    /// <summary>
    /// Gets the largest valid argument of <see cref="MinusUpperTail"/>. The result there is 0 with 16 lanes and -8e-33 with fewer. Beyond
    /// 18, products in <see cref="TwoTails"/> would be subnormal, which takes processors 100 cycles or more. A caller that multiplies the
    /// result by z must clamp z to this value in both places.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static float UpperTailEnd<TVec>() where TVec : unmanaged, IVector<TVec> => TVec.Count == 16 ? 6 : 16;

    /// <summary>
    /// Computes -P(X > z) of a standard normal X, which is -erfc(z / sqrt 2) / 2, for z from 0 to <see cref="UpperTailEnd"/>.
    /// With 16 lanes, the error is at most 4.2e-8. With fewer lanes, it is at most 4.5e-7 and at most 2e-7 / z. Outside that
    /// range the result is unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec MinusUpperTail<TVec>(TVec z) where TVec : unmanaged, IVector<TVec> =>
        TVec.Count == 16
            ? Unsafe.BitCast<Vector512<float>, TVec>(MinusUpperTailByTable(Unsafe.BitCast<TVec, Vector512<float>>(z)))
            : TVec.Broadcast(-0.5f) * TwoTails(z);

    /// <summary>
    /// Evaluates one of sixteen polynomials. Polynomial n covers the interval of width 13/32 centered at n 13/32; a permutation
    /// of vector lanes looks up its coefficients. There is no division, which takes 16 cycles for 16 lanes while the whole GELU
    /// takes 8. The dependency chain is half as long, so more evaluations overlap.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> MinusUpperTailByTable(Vector512<float> z)
    {
        // Adding 1.5 * 2^23 leaves the nearest integer in the low bits, of which the permutation reads four.
        Vector512<float> magic = Vector512.Create(12582912f);
        Vector512<float> t = Avx512F.FusedMultiplyAdd(z, Vector512.Create(32f / 13), magic);
        Vector512<float> r = Avx512F.FusedMultiplyAddNegated(t - magic, Vector512.Create(13f / 32), z);
        Vector512<int> n = t.AsInt32();
        // Fitted to 6.3e-9, and to exactly -1/2 at 0. The last polynomial, from 5.89 on, is 0, where the tail is 1.9e-9.
        Vector512<float> p = Avx512F.PermuteVar16x32(Vector512.Create(
            0.00970264338f, 0.00618790323f, -0.0012156365f, -0.00579439476f, -0.00518149743f, -0.00201095873f,
            0.000429520122f, 0.00114744657f, 0.000864388712f, 0.000424406811f, 0.000154811481f,
            4.40734839e-05f, 1.00383941e-05f, 1.85603108e-06f, 2.81212948e-07f, 0f), n);
        p = Avx512F.FusedMultiplyAdd(p, r, Avx512F.PermuteVar16x32(Vector512.Create(
            8.09019984e-05f, 0.0174573585f, 0.0225412194f, 0.0145542566f, 0.00265773875f, -0.00474968366f,
            -0.00607087137f, -0.00421600835f, -0.00208971417f, -0.000797494256f, -0.00024223543f,
            -5.96233549e-05f, -1.20236427e-05f, -2.00108047e-06f, -2.76267372e-07f, 0f), n));
        p = Avx512F.FusedMultiplyAdd(p, r, Avx512F.PermuteVar16x32(Vector512.Create(
            -0.0664996579f, -0.0511184037f, -0.0162447374f, 0.0153542394f, 0.0291308053f, 0.0264122151f,
            0.0168447103f, 0.00826378074f, 0.00323382486f, 0.00102844113f, 0.000268748263f, 5.81152672e-05f,
            1.04500905e-05f, 1.56800149e-06f, 1.96830626e-07f, 0f), n));
        p = Avx512F.FusedMultiplyAdd(p, r, Avx512F.PermuteVar16x32(Vector512.Create(
            4.41385708e-07f, -0.0746140033f, -0.116504364f, -0.115678325f, -0.0865633488f, -0.0514884293f,
            -0.0249273013f, -0.00994766131f, -0.00329702115f, -0.000911983079f, -0.00021122917f,
            -4.10625289e-05f, -6.71141697e-06f, -9.23480059e-07f, -1.07083842e-07f, 0f), n));
        p = Avx512F.FusedMultiplyAdd(p, r, Avx512F.PermuteVar16x32(Vector512.Create(
            0.398942262f, 0.367343426f, 0.286786675f, 0.1898323f, 0.106538273f, 0.050695058f, 0.0204526708f,
            0.0069961464f, 0.00202904781f, 0.000498942449f, 0.000104024024f, 1.83883312e-05f, 2.75598632e-06f,
            3.50218215e-07f, 3.77336242e-08f, 0f), n));
        return Avx512F.FusedMultiplyAdd(p, r, Avx512F.PermuteVar16x32(Vector512.Create(
            -0.5f, -0.342279464f, -0.2082524f, -0.111469552f, -0.0520812757f, -0.0211148169f, -0.00739460578f,
            -0.00222930079f, -0.000577025465f, -0.00012796621f, -2.42751321e-05f, -3.93395521e-06f,
            -5.44056491e-07f, -6.41556923e-08f, -6.44612541e-09f, 0f), n));
    }

    /// <summary>
    /// Computes P(|X| > z) of a standard normal X, which is erfc(z / sqrt 2), for z in [0, 16]. The absolute error is at most 9e-7 and
    /// at most 4e-7 / z. Outside that range it is unspecified.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec TwoTails<TVec>(TVec z) where TVec : unmanaged, IVector<TVec>
    {
        // 1 / p(z)^8, where p is fitted so that max(z, 1) / 2 times the error is at most 6.3e-8. The division and eight times the
        // rounding of p add up to 7e-7 of the result. This takes a third fewer multiplications than the form 2^(z h(z)).
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
    /// Computes 1 / (1 + exp(-x)), with a relative error of at most 4.2 e (2.5e-7); 0 below -87.33. It is computed from
    /// exp(-|x|), which avoids cancellation and overflow on both sides.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Sigmoid<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        TVec one = TVec.Broadcast(1);
        TVec e = ExpNonPositive(TVec.Zero - TVec.Abs(x));
        return TVec.SelectLess(x, TVec.Zero, e, one) * TVec.Reciprocal(one + e);
    }

    /// <summary>
    /// Computes erfc in double precision, with a relative error of at most 1e-12: by its Taylor series near zero and by its
    /// continued fraction elsewhere.
    /// </summary>
    public static double Erfc(double x)
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
