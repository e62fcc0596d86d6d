using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Finds the largest element of a row. If any element is NaN, the result is NaN.</summary>
internal static unsafe class Max
{
    /// <summary>Finds the largest of <paramref name="n"/> elements; minus infinity where n is 0. The result is exact.</summary>
    public static float Execute(float* x, nint n)
    {
        float max;
        Simd.Run(new Kernel(x, n, &max));
        return max;
    }

    private readonly struct Kernel(float* x, nint n, float* max) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => *max = Execute<TVec>(x, n);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Execute<TVec>(float* x, nint n) where TVec : unmanaged, IVector<TVec>
    {
        TVec max = TVec.Broadcast(float.NegativeInfinity);
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
        {
            TVec v = TVec.Load(x + i);
            if (TVec.AnyNaN(v))
                return float.NaN;
            max = TVec.Max(max, v);
        }
        float result = TVec.MaxAcross(max);
        for (; i < n; i++)
            result = MathF.Max(result, x[i]);    // propagates NaN
        return result;
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static float Scalar(float* x, nint n)
    {
        float max = float.NegativeInfinity;
        for (nint i = 0; i < n; i++)
            max = MathF.Max(max, x[i]);
        return max;
    }
}
