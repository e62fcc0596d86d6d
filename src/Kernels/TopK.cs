using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>The largest elements of a row. NaN anywhere makes every result NaN.</summary>
public static unsafe class TopK
{
    /// <summary>The largest of <paramref name="n"/> elements; minus infinity where n is 0. Exact.</summary>
    public static float Max(float* x, nint n)
    {
        float max;
        Simd.Run(new MaxKernel(x, n, &max));
        return max;
    }

    private readonly struct MaxKernel(float* x, nint n, float* max) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => *max = Max<TVec>(x, n);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Max<TVec>(float* x, nint n) where TVec : unmanaged, IVector<TVec>
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
            result = MathF.Max(result, x[i]);    // keeps NaN
        return result;
    }

    /// <summary>The definition of <see cref="Max(float*, nint)"/>.</summary>
    public static float MaxScalar(float* x, nint n)
    {
        float max = float.NegativeInfinity;
        for (nint i = 0; i < n; i++)
            max = MathF.Max(max, x[i]);
        return max;
    }

    /// <summary>
    /// The mean of the <paramref name="k"/> largest of <paramref name="n"/> elements: an image score from a map.
    /// Exact selection in three passes over x whatever it holds; the sum is in double, in the order of x, so the result is the
    /// exact one rounded once (n 2^-53 apart) and the same on every machine. No memory but 8 KB of stack.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">k is not in 1 .. n.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Mean(float* x, nint n, nint k)
    {
        if (k < 1 || k > n)
            throw new ArgumentOutOfRangeException(nameof(k), k, $"The number of elements to average must be in 1 to {n}.");
        // A radix selection: the key's upper 11 bits, the next 11, the last 10. `prefix` holds what is known of the bits of the
        // k-th largest key, `rank` its place among the keys that begin so.
        uint* count = stackalloc uint[1 << 11];
        uint prefix = 0, known = 0;
        nint rank = k;
        int shift = 32;
        foreach (int bits in (ReadOnlySpan<int>)[11, 11, 10])
        {
            shift -= bits;
            uint mask = (1u << bits) - 1;
            new Span<uint>(count, 1 << 11).Clear();
            for (nint i = 0; i < n; i++)
            {
                if (float.IsNaN(x[i]))
                    return float.NaN;
                uint key = Key(x[i]);
                if ((key & known) == prefix)
                    count[key >> shift & mask]++;
            }
            uint bin = mask;
            for (; count[bin] < rank; bin--)
                rank -= (nint)count[bin];
            prefix |= bin << shift;
            known |= mask << shift;
        }
        // Of the elements equal to the k-th largest, `rank` belong to the k.
        double sum = 0;
        float last = 0;
        for (nint i = 0; i < n; i++)
        {
            uint key = Key(x[i]);
            if (key > prefix)
                sum += x[i];
            else if (key == prefix)
                last = x[i];
        }
        return (float)((sum + (double)rank * last) / k);
    }

    /// <summary>The bits of a float as an unsigned number of the same order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Key(float x)
    {
        int bits = BitConverter.SingleToInt32Bits(x);
        return (uint)(bits ^ (bits >> 31 | int.MinValue));
    }

    /// <summary>The definition of <see cref="Mean"/>: sorts a copy.</summary>
    public static float MeanScalar(float* x, nint n, nint k)
    {
        float[] sorted = new Span<float>(x, checked((int)n)).ToArray();
        if (Array.Exists(sorted, float.IsNaN))
            return float.NaN;
        Array.Sort(sorted);
        double sum = 0;
        for (nint i = 0; i < k; i++)
            sum += sorted[n - 1 - i];
        return (float)(sum / k);
    }
}
