using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>An activation function y = f(x), written once for any number of lanes; its fields are its parameters.</summary>
public interface IActivation
{
    /// <summary>f(x), lane by lane, to float accuracy.</summary>
    TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>;

    /// <summary>The definition, in double precision: what the tests compare <see cref="Invoke"/> with.</summary>
    double Scalar(double x);
}

/// <summary>y = x. Lets a fused epilogue leave its activation out at no cost.</summary>
public readonly struct Identity : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => x;

    /// <inheritdoc/>
    public double Scalar(double x) => x;
}
