using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Applies an activation function to an array: y[i] = f(x[i]). y may be x. The error is that of the <see cref="IActivation"/>.
/// </summary>
internal static unsafe class Activate
{
    /// <summary>Applies the function to <paramref name="n"/> elements.</summary>
    public static void Execute<TActivation>(float* x, float* y, nint n, TActivation activation)
        where TActivation : struct, IActivation =>
        Simd.Run(new Kernel<TActivation>(x, y, n, activation));

    private readonly struct Kernel<TActivation>(float* x, float* y, nint n, TActivation activation) : IWideKernel
        where TActivation : struct, IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec, TActivation>(x, y, n, activation);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec, TActivation>(float* x, float* y, nint n, TActivation activation)
        where TVec : unmanaged, IVector<TVec>
        where TActivation : struct, IActivation
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
            activation.Invoke(TVec.Load(x + i)).Store(y + i);
        for (; i < n; i++)
            activation.Invoke(Lanes1.Load(x + i)).Store(y + i);
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar<TActivation>(float* x, float* y, nint n, TActivation activation)
        where TActivation : struct, IActivation
    {
        for (nint i = 0; i < n; i++)
            y[i] = (float)activation.Scalar(x[i]);
    }
}
