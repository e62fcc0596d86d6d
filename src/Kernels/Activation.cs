using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>An activation function, written once for any number of lanes.</summary>
public interface IActivation
{
    /// <summary>f(x), lane by lane.</summary>
    static abstract TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>;

    /// <summary>The definition, in double precision.</summary>
    static abstract double Scalar(double x);
}

/// <summary>y = x. Lets a fused epilogue leave its activation out at no cost.</summary>
public readonly struct Identity : IActivation
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => x;

    /// <inheritdoc/>
    public static double Scalar(double x) => x;
}
