using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>
/// Represents the weights for one axis: for each output position the first input position, the number of input positions, and their
/// weights in fixed point. The arrays are rented, so it must be disposed of. A default value has no weights.
/// </summary>
internal readonly struct ResampleWeights : IDisposable
{
    private readonly int[] first, taps, weights;

    /// <summary>The fractional bits of a weight.</summary>
    /// <remarks>
    /// Sums fit 32 bits. The weights of an output position sum to 1, and their absolute values to at most 1.3 because of the negative
    /// lobes, so a sum is below 1.3 * 255 * 2^22 + 2^21 &lt; 0.66 * 2^31.
    /// </remarks>
    public const int FractionBits = 22;

    /// <summary>Computes the weights for an axis.</summary>
    /// <param name="from">The input pixels along the axis.</param>
    /// <param name="to">The output pixels along the axis.</param>
    /// <param name="filter">The filter.</param>
    /// <param name="group">The weights that are used at once. Each output position has a multiple of this, padded with zeros.</param>
    /// <param name="lanes">How many times each weight is repeated.</param>
    public ResampleWeights(int from, int to, ResampleFilter filter, int group, int lanes)
    {
        // The order of the operations is Pillow's. Another order gives other last bits, which can change rounded weights.
        double scale = (double)from / to, stretch = Math.Max(scale, 1);
        double support = filter.Support() * stretch, perStretch = 1 / stretch;
        int mostTaps = 2 * (int)Math.Min(Math.Ceiling(support), from) + 1;
        long stride = ((long)mostTaps + group - 1) / group * group * lanes;
        if (stride * to > Array.MaxLength)
        {
            throw new ArgumentException($"Resizing {from} to {to} pixels takes more weights than one array holds.");
        }

        Count = to;
        Stride = (int)stride;
        first = ArrayPool<int>.Shared.Rent(to);
        taps = ArrayPool<int>.Shared.Rent(to);
        this.weights = ArrayPool<int>.Shared.Rent(Stride * to);
        double[] exact = ArrayPool<double>.Shared.Rent(mostTaps);
        for (int i = 0; i < to; i++)
        {
            double center = (i + 0.5) * scale;
            int low = Math.Max((int)(center - support + 0.5), 0), high = Math.Min((int)(center + support + 0.5), from);
            double sum = 0;
            for (int j = low; j < high; j++)
            {
                exact[j - low] = filter.Weight((j - center + 0.5) * perStretch);
                sum += exact[j - low];
            }

            Span<int> weights = this.weights.AsSpan(i * Stride, Stride);
            weights[((high - low) * lanes)..].Clear();
            for (int j = 0; j < high - low; j++)
            {
                double w = (sum == 0 ? exact[j] : exact[j] / sum) * (1 << FractionBits);
                weights.Slice(j * lanes, lanes).Fill((int)(w < 0 ? w - 0.5 : w + 0.5));
            }

            first[i] = low;
            taps[i] = high - low;
        }

        ArrayPool<double>.Shared.Return(exact);
    }

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
