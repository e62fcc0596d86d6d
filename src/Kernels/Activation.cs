using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>An activation function y = f(x), written once for any number of lanes; its fields are its parameters.</summary>
internal interface IActivation
{
    /// <summary>f(x), lane by lane, to float accuracy.</summary>
    TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>;

    /// <summary>The definition, in double precision: what the tests compare <see cref="Invoke"/> with.</summary>
    double Scalar(double x);
}

/// <summary>y = x. Lets a fused epilogue leave its activation out at no cost.</summary>
internal readonly struct Identity : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => x;

    /// <inheritdoc/>
    public double Scalar(double x) => x;
}

/// <summary>
/// y = x/2 (1 + erf(x / sqrt 2)), the exact GELU, computed as max(x, 0) - |x| P(X > |x|)
/// (<see cref="VectorMath.MinusUpperTail"/>), so that nothing cancels. With 16 lanes |y - exact| &lt;= 7e-8 max(1, |x|), and 9e-8
/// |x| where |x| &lt; 1; with fewer 3e-7 max(1, |x|), and 4.6e-7 |x| where |x| &lt; 1. Minus infinity gives 0 or -0, plus
/// infinity itself.
/// </summary>
internal readonly struct Gelu : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        TVec magnitude = TVec.Min(TVec.Broadcast(VectorMath.UpperTailEnd<TVec>()), TVec.Abs(x));
        return TVec.MultiplyAdd(magnitude, VectorMath.MinusUpperTail(magnitude), TVec.Max(TVec.Zero, x));
    }

    /// <inheritdoc/>
    public double Scalar(double x) => x / 2 * VectorMath.Erfc(-x / Math.Sqrt(2));
}

/// <summary>
/// y = x sigmoid(1.702 x), CLIP's GELU, computed as x / (1 + 2^(-2.455 x)). |y - exact| &lt;= 2.7e-7 |x|: with s the sigmoid of
/// u = 1.702 x, the roundings of the exponent move s by at most 1.5 e u s (1 - s) &lt; 0.4 e, the power's 2 e by at most 0.5 e,
/// the sum's and the reciprocal's by 2.5 e, and the last product by e, e = 2^-24. Minus infinity gives minus infinity.
/// </summary>
internal readonly struct QuickGelu : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        // Unlike the sigmoid's, which keeps its relative accuracy, this one may be large where the result is next to nothing. The
        // constants stand first, so that NaN comes through.
        TVec exponent = TVec.Min(TVec.Broadcast(126), x * TVec.Broadcast(-2.455467f));
        return x * TVec.Reciprocal(TVec.Broadcast(1) + VectorMath.Exp2(TVec.Max(TVec.Broadcast(-126), exponent)));
    }

    /// <inheritdoc/>
    public double Scalar(double x) => x / (1 + Math.Exp(-1.702 * x));
}

/// <summary>y = x where x is positive, else <paramref name="slope"/> x. One rounding.</summary>
/// <param name="slope">What negative values are multiplied by.</param>
internal readonly struct LeakyRelu(float slope) : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> =>
        TVec.SelectLess(x, TVec.Zero, TVec.Broadcast(slope) * x, x);

    /// <inheritdoc/>
    public double Scalar(double x) => x < 0 ? slope * x : x;
}

/// <summary>y = 1 / (1 + exp(-x)), within 2.5e-7 of it relatively; 0 below -87.33.</summary>
internal readonly struct Sigmoid : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => VectorMath.Sigmoid(x);

    /// <inheritdoc/>
    public double Scalar(double x) => 1 / (1 + Math.Exp(-x));
}
