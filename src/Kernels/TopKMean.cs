using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Computes the mean of the largest elements of a row. If any element is NaN, the result is NaN.</summary>
internal static unsafe class TopKMean
{
    /// <summary>
    /// Computes the mean of the <paramref name="k"/> largest of <paramref name="n"/> elements. It turns an anomaly map into an
    /// image score. The selection is exact and takes three passes over x for any input. The sum is in double precision, in the
    /// order of x, so the result is the exact one rounded once (apart from n 2^-53) and the same on every machine. The only
    /// memory used is 8 KB of stack.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">k is not in 1 .. n.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Execute(float* x, nint n, nint k)
    {
        if (k < 1 || k > n)
            throw new ArgumentOutOfRangeException(nameof(k), k, $"The number of elements to average must be in 1 to {n}.");
        // A radix selection over the upper 11 bits of the keys, then the next 11, then the last 10. `prefix` holds the bits of
        // the k-th largest key known so far. `rank` is its rank among the keys with that prefix.
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
        // Among the elements equal to the k-th largest, `rank` are part of the k largest.
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

    /// <summary>Maps the bits of a float to an unsigned integer with the same order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Key(float x)
    {
        int bits = BitConverter.SingleToInt32Bits(x);
        return (uint)(bits ^ (bits >> 31 | int.MinValue));
    }

    /// <summary>Computes the reference result from the definition, by sorting a copy.</summary>
    public static float Scalar(float* x, nint n, nint k)
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
