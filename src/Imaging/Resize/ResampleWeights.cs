using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>
/// What resizing one axis needs to know: for every output position the first input position it reads, how many it reads, and
/// their weights in fixed point. Rented memory: dispose of it.
/// </summary>
internal readonly ref struct ResampleWeights : IDisposable
{
    private readonly int[] first, taps, weights;

    /// <summary>Weights are integers times 2^-22. A sum starts from a half, and shifting it down by 22 bits rounds it.</summary>
    /// <remarks>
    /// Sums fit 32 bits: of the weights of one output, which sum to 1, the absolute values sum to at most 1.3 (the negative
    /// lobes, also where the border cuts off a part), so a sum stays below 1.3 * 255 * 2^22 + 2^21 &lt; 0.66 * 2^31.
    /// </remarks>
    public const int FractionBits = 22;

    /// <summary>Computes the weights for an axis.</summary>
    /// <param name="from">Pixels of the input along the axis.</param>
    /// <param name="to">Pixels of the output.</param>
    /// <param name="filter">The kernel.</param>
    /// <param name="group">Taps a kernel takes at once: their number is a multiple of this, by trailing zeros.</param>
    /// <param name="lanes">How many times each weight is written, for a kernel that multiplies so many samples by it.</param>
    public ResampleWeights(int from, int to, ResampleFilter filter, int group, int lanes)
    {
        // The order of the operations is Pillow's: another one differs in last bits, and with them in rounded weights.
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

    /// <summary>Output positions.</summary>
    public int Count { get; }

    /// <summary>Numbers in <see cref="Weights"/> from one output position to the next.</summary>
    public int Stride { get; }

    /// <summary>The first input position of each output position; never decreasing.</summary>
    public ReadOnlySpan<int> First => first.AsSpan(0, Count);

    /// <summary>How many input positions each output position reads.</summary>
    public ReadOnlySpan<int> Taps => taps.AsSpan(0, Count);

    /// <summary>The weights, <see cref="Stride"/> numbers for each output position.</summary>
    public ReadOnlySpan<int> Weights => this.weights.AsSpan(0, Count * Stride);

    /// <summary>Gives the memory back; the weights must not be used any more.</summary>
    public void Dispose()
    {
        ArrayPool<int>.Shared.Return(first);
        ArrayPool<int>.Shared.Return(taps);
        ArrayPool<int>.Shared.Return(this.weights);
    }
}
