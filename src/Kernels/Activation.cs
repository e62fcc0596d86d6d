using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Represents an activation function y = f(x), written once for all vector widths. Its fields are its parameters.
/// </summary>
internal interface IActivation
{
    /// <summary>Computes f(x) in every lane, to float accuracy.</summary>
    TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>;

    /// <summary>Computes f(x) from the definition in double precision. Tests compare <see cref="Invoke"/> with it.</summary>
    double Scalar(double x);
}

/// <summary>y = x. A fused epilogue with this activation costs nothing.</summary>
internal readonly struct Identity : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => x;

    /// <inheritdoc/>
    public double Scalar(double x) => x;
}

/// <summary>
/// The exact GELU, y = x/2 (1 + erf(x / sqrt 2)). It is computed as max(x, 0) - |x| P(X > |x|)
/// (<see cref="VectorMath.MinusUpperTail"/>), which avoids cancellation. With 16 lanes |y - exact| &lt;= 7e-8 max(1, |x|), and
/// 9e-8 |x| where |x| &lt; 1. With fewer lanes |y - exact| &lt;= 3e-7 max(1, |x|), and 4.6e-7 |x| where |x| &lt; 1. Minus
/// infinity gives a number from -2e-31 to 0; plus infinity gives plus infinity.
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
/// CLIP's GELU, y = x sigmoid(1.702 x), computed as x / (1 + 2^(-2.455 x)). |y - exact| &lt;= 2.7e-7 |x|. Let e = 2^-24 and s the
/// sigmoid of u = 1.702 x. Rounding the exponent changes s by at most 1.5 e u s (1 - s) &lt; 0.4 e, the power's error of 2 e
/// changes it by at most 0.5 e, the sum and the reciprocal add 2.5 e, and the last product adds e. Minus infinity gives minus
/// infinity.
/// </summary>
internal readonly struct QuickGelu : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
    {
        // Sigmoid computes exp(-|x|) to keep its relative accuracy. Here the error is relative to |x|, so the exponential may be
        // large where the result is close to zero. The constants are the first operands of Min and Max, so that NaN is kept.
        TVec exponent = TVec.Min(TVec.Broadcast(126), x * TVec.Broadcast(-2.455467f));
        return x * TVec.Reciprocal(TVec.Broadcast(1) + VectorMath.Exp2(TVec.Max(TVec.Broadcast(-126), exponent)));
    }

    /// <inheritdoc/>
    public double Scalar(double x) => x / (1 + Math.Exp(-1.702 * x));
}

/// <summary>y = x where x is positive; otherwise y = <paramref name="slope"/> x. Rounded once.</summary>
/// <param name="slope">The factor for negative values.</param>
internal readonly struct LeakyRelu(float slope) : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> =>
        TVec.SelectLess(x, TVec.Zero, TVec.Broadcast(slope) * x, x);

    /// <inheritdoc/>
    public double Scalar(double x) => x < 0 ? slope * x : x;
}

/// <summary>y = 1 / (1 + exp(-x)), with a relative error of at most 2.5e-7; 0 below -87.33.</summary>
internal readonly struct Sigmoid : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => VectorMath.Sigmoid(x);

    /// <inheritdoc/>
    public double Scalar(double x) => 1 / (1 + Math.Exp(-x));
}
