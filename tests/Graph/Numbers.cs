using System.Collections.Concurrent;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Graph;

/// <summary>Creates random numbers and weights.</summary>
internal static unsafe class Numbers
{
    /// <summary>The arrays that parameters point into. They are kept for as long as the tests run.</summary>
    private static readonly ConcurrentBag<Array> Kept = [];

    /// <summary>Creates uniform numbers between -scale and scale.</summary>
    public static float[] Random(int seed, int count, float scale = 1)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => scale * (2 * random.NextSingle() - 1))];
    }

    /// <summary>Creates a weight with the given numbers.</summary>
    public static Parameter Weight(string name, float[] values, params int[] shape)
    {
        float[] pinned = GC.AllocateUninitializedArray<float>(values.Length, pinned: true);
        values.CopyTo(pinned, 0);
        Kept.Add(pinned);
        fixed (float* p = pinned) return new Parameter(name, (nint)p, FloatType.F32, shape);
    }

    /// <summary>
    /// Creates a weight with random numbers, scaled so that a product with it keeps the magnitude of its input.
    /// </summary>
    public static Parameter Weight(string name, int seed, params int[] shape) =>
        Weight(name, Random(seed, shape.Aggregate(1, (n, d) => n * d), MathF.Sqrt(3f / shape[^1])), shape);

    /// <summary>
    /// Creates a binary16 weight with the given numbers. They are rounded in place, so that both hold the same numbers.
    /// </summary>
    public static Parameter HalfWeight(string name, float[] values, params int[] shape)
    {
        Half[] pinned = GC.AllocateUninitializedArray<Half>(values.Length, pinned: true);
        for (int i = 0; i < values.Length; i++) values[i] = (float)(pinned[i] = (Half)values[i]);
        Kept.Add(pinned);
        fixed (Half* p = pinned) return new Parameter(name, (nint)p, FloatType.F16, shape);
    }
}
