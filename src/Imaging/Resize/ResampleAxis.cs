using System.Runtime.CompilerServices;

namespace TinyZsad.Imaging;

/// <summary>Computes the weights of one axis: those of the input positions around each output position.</summary>
/// <remarks>The order of the operations is Pillow's. Another order gives other last bits, which can change rounded weights.</remarks>
internal readonly struct ResampleAxis
{
    /// <summary>The fractional bits of a weight.</summary>
    /// <remarks>
    /// Sums fit 32 bits. The weights of an output position sum to 1, and their absolute values to at most 1.3 because of the negative
    /// lobes, so a sum is below 1.3 * 255 * 2^22 + 2^21 &lt; 0.66 * 2^31.
    /// </remarks>
    public const int FractionBits = 22;

    private readonly ResampleFilter filter;
    private readonly double scale, support, perStretch;

    /// <param name="from">The input pixels along the axis.</param>
    /// <param name="to">The output pixels along the axis.</param>
    /// <param name="filter">The filter.</param>
    public ResampleAxis(int from, int to, ResampleFilter filter)
    {
        (From, To, this.filter) = (from, to, filter);
        scale = (double)from / to;
        double stretch = Math.Max(scale, 1);
        support = filter.Support() * stretch;
        perStretch = 1 / stretch;
        MostTaps = (int)Math.Min(2 * Math.Ceiling(support) + 1, from);
    }

    public int From { get; }

    public int To { get; }

    /// <summary>Whether the axis keeps its size, so that nothing is computed along it.</summary>
    public bool IsIdentity => From == To;

    /// <summary>The most input positions of an output position, or some more.</summary>
    public int MostTaps { get; }

    /// <summary>The first input position of an output position, and the position after the last one. Both ascend.</summary>
    public (int First, int End) Range(int i)
    {
        double center = (i + 0.5) * scale;
        return (Math.Max((int)(center - support + 0.5), 0), (int)Math.Min(center + support + 0.5, From));
    }

    /// <summary>Computes weights before they are divided by their sum.</summary>
    /// <param name="i">The output position.</param>
    /// <param name="first">The first input position.</param>
    /// <param name="weights">Receives the weights from that position on.</param>
    public void Evaluate(int i, int first, Span<double> weights)
    {
        double center = (i + 0.5) * scale;
        for (int j = 0; j < weights.Length; j++)
        {
            weights[j] = this.filter.Weight((first + j - center + 0.5) * perStretch);
        }
    }

    /// <summary>Computes the sum of the weights of an output position, a portion at a time.</summary>
    public double Sum(int i)
    {
        const int most = 512;
        Span<double> portion = stackalloc double[most];
        (int first, int end) = Range(i);
        double sum = 0;
        for (; first < end; first += most)
        {
            Span<double> weights = portion[..Math.Min(most, end - first)];
            Evaluate(i, first, weights);
            sum = Add(sum, weights);
        }

        return sum;
    }

    /// <summary>Computes weights in fixed point.</summary>
    /// <param name="i">The output position.</param>
    /// <param name="first">The first input position.</param>
    /// <param name="count">The number of input positions.</param>
    /// <param name="sum">The sum of all weights of the output position.</param>
    /// <param name="lanes">How many times each weight is repeated.</param>
    /// <param name="weights">Receives count * lanes weights.</param>
    public void Fix(int i, int first, int count, double sum, int lanes, Span<int> weights)
    {
        const int most = 512;
        Span<double> portion = stackalloc double[most];
        for (int at = 0; at < count; at += most)
        {
            Span<double> exact = portion[..Math.Min(most, count - at)];
            Evaluate(i, first + at, exact);
            Fix(exact, sum, lanes, weights[(at * lanes)..]);
        }
    }

    /// <summary>Adds weights to a sum, one after the other.</summary>
    public static double Add(double sum, ReadOnlySpan<double> weights)
    {
        foreach (double weight in weights)
        {
            sum += weight;
        }

        return sum;
    }

    /// <summary>Converts weights to fixed point.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fix(ReadOnlySpan<double> exact, double sum, int lanes, Span<int> weights)
    {
        for (int j = 0; j < exact.Length; j++)
        {
            double w = (sum == 0 ? exact[j] : exact[j] / sum) * (1 << FractionBits);
            weights.Slice(j * lanes, lanes).Fill((int)(w < 0 ? w - 0.5 : w + 0.5));
        }
    }
}
