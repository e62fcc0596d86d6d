using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Operations that treat every element alike. In each of them y may be any of the float inputs itself, but not overlap one
/// in part.</summary>
public static unsafe class Elementwise
{
    /// <summary>y[i] = f(x[i]) for i below <paramref name="n"/>; y may be x. Error: that of the activation.</summary>
    public static void Activate<TActivation>(float* x, float* y, nint n, TActivation activation)
        where TActivation : struct, IActivation
    {
        if (Simd.Lanes == 16) Activate<Lanes16, TActivation>(x, y, n, activation);
        else if (Simd.Lanes == 8) Activate<Lanes8, TActivation>(x, y, n, activation);
        else if (Simd.Lanes == 4) Activate<Lanes4, TActivation>(x, y, n, activation);
        else Activate<Lanes1, TActivation>(x, y, n, activation);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Activate<TVec, TActivation>(float* x, float* y, nint n, TActivation activation)
        where TVec : unmanaged, IVector<TVec>
        where TActivation : struct, IActivation
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
            activation.Invoke(TVec.Load(x + i)).Store(y + i);
        for (; i < n; i++)
            activation.Invoke(Lanes1.Load(x + i)).Store(y + i);
    }

    /// <summary>The definition of <see cref="Activate{TActivation}"/>.</summary>
    public static void ActivateScalar<TActivation>(float* x, float* y, nint n, TActivation activation)
        where TActivation : struct, IActivation
    {
        for (nint i = 0; i < n; i++)
            y[i] = (float)activation.Scalar(x[i]);
    }
}
