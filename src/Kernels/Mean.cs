using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Computes the element-wise mean of a few arrays: y[i] = (x0[i] + x1[i] + …) / count.</summary>
/// <remarks>
/// The terms are added in order and the sum is multiplied by 1 / count: |y - exact| ≤ (count + 1) 2^-24 · mean |x|. y may be any
/// of the inputs.
/// </remarks>
internal static unsafe class Mean
{
    /// <summary>Averages <paramref name="count"/> arrays of <paramref name="n"/> elements.</summary>
    public static void Execute(float** x, int count, float* y, nint n) =>
        Simd.Run(new Kernel(x, count, y, n));

    private readonly struct Kernel(float** x, int count, float* y, nint n) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec>(x, count, y, n);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float** x, int count, float* y, nint n) where TVec : unmanaged, IVector<TVec>
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count) At<TVec>(x, count, i).Store(y + i);
        for (; i < n; i++) At<Lanes1>(x, count, i).Store(y + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec At<TVec>(float** x, int count, nint i) where TVec : unmanaged, IVector<TVec>
    {
        TVec sum = TVec.Load(x[0] + i);
        for (int j = 1; j < count; j++) sum += TVec.Load(x[j] + i);
        return sum * TVec.Broadcast(1f / count);
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float** x, int count, float* y, nint n)
    {
        for (nint i = 0; i < n; i++)
        {
            double sum = 0;
            for (int j = 0; j < count; j++) sum += x[j][i];
            y[i] = (float)(sum / count);
        }
    }
}
