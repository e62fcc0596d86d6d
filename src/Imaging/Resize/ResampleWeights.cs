using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>
/// Represents the weights of some output positions of an axis: for each one the first input position, the number of input positions,
/// and their weights in fixed point. The arrays are rented, so it must be disposed of. A default value has no weights.
/// </summary>
internal readonly struct ResampleWeights : IDisposable
{
    private readonly int[] first, taps, weights;

    /// <summary>Computes weights.</summary>
    /// <param name="axis">The axis.</param>
    /// <param name="start">The first output position.</param>
    /// <param name="count">The number of output positions.</param>
    /// <param name="group">The weights that are used at once. Each output position has a multiple of this, padded with zeros.</param>
    /// <param name="lanes">How many times each weight is repeated.</param>
    public ResampleWeights(ResampleAxis axis, int start, int count, int group, int lanes)
    {
        Count = count;
        Stride = checked((int)StrideOf(axis, group, lanes));
        first = ArrayPool<int>.Shared.Rent(count);
        taps = ArrayPool<int>.Shared.Rent(count);
        this.weights = ArrayPool<int>.Shared.Rent(checked(Stride * count));
        double[] rented = ArrayPool<double>.Shared.Rent(axis.MostTaps);
        for (int i = 0; i < count; i++)
        {
            (int low, int end) = axis.Range(start + i);
            Span<double> exact = rented.AsSpan(0, end - low);
            axis.Evaluate(start + i, low, exact);
            Span<int> weights = this.weights.AsSpan(i * Stride, Stride);
            weights[(exact.Length * lanes)..].Clear();
            ResampleAxis.Fix(exact, ResampleAxis.Add(0, exact), lanes, weights);
            (first[i], taps[i]) = (low, exact.Length);
        }

        ArrayPool<double>.Shared.Return(rented);
    }

    /// <summary>Returns the weights that an output position takes.</summary>
    public static long StrideOf(ResampleAxis axis, int group, int lanes) => ((long)axis.MostTaps + group - 1) / group * group * lanes;

    /// <summary>True for a default value.</summary>
    public bool IsEmpty => Count == 0;

    /// <summary>The output positions.</summary>
    public int Count { get; }

    /// <summary>The weights per output position in <see cref="Weights"/>.</summary>
    public int Stride { get; }

    /// <summary>The first input position of each output position, in ascending order.</summary>
    public ReadOnlySpan<int> First => first.AsSpan(0, Count);

    /// <summary>The number of input positions of each output position.</summary>
    public ReadOnlySpan<int> Taps => taps.AsSpan(0, Count);

    /// <summary>The weights, <see cref="Stride"/> for each output position.</summary>
    public ReadOnlySpan<int> Weights => this.weights.AsSpan(0, Count * Stride);

    /// <summary>Returns the arrays to their pool.</summary>
    public void Dispose()
    {
        if (IsEmpty)
        {
            return;
        }

        ArrayPool<int>.Shared.Return(first);
        ArrayPool<int>.Shared.Return(taps);
        ArrayPool<int>.Shared.Return(this.weights);
    }
}
