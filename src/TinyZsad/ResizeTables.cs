using TinyZsad.Graph;
using TinyZsad.Imaging;

namespace TinyZsad;

/// <summary>
/// Computes how devices resize pictures to the size of a model, with the weights of <see cref="Resampler"/>. The axes of the last
/// pictures are kept, as a camera's have all the same size. Thread safe.
/// </summary>
/// <param name="to">The width and the height of the result.</param>
/// <param name="filter">The filter.</param>
internal sealed class ResizeTables(int to, ResampleFilter filter)
{
    /// <summary>The axes that are kept.</summary>
    private const int MostAxes = 8;

    /// <summary>The most weights of an axis: more than a row of 100,000 pixels needs.</summary>
    private const int MostWeights = 1 << 20;

    private readonly List<ResizeAxis> axes = [];

    /// <summary>Gets an axis; null if its weights would take too much memory.</summary>
    /// <param name="from">The pixels of the picture along the axis.</param>
    public ResizeAxis? TryGet(int from)
    {
        lock (axes)
        {
            int at = axes.FindIndex(a => a.From == from);
            ResizeAxis? axis = at >= 0 ? axes[at] : TryCompute(from);
            if (axis is null) return null;
            if (at >= 0) axes.RemoveAt(at);
            else if (axes.Count == MostAxes) axes.RemoveAt(0);
            // The last used is at the end.
            axes.Add(axis);
            return axis;
        }
    }

    private ResizeAxis? TryCompute(int from)
    {
        ResampleAxis axis = new(from, to, filter);
        if ((long)axis.MostTaps * to > MostWeights) return null;
        int[] first = new int[to], count = new int[to], weights = new int[to * axis.MostTaps];
        for (int i = 0; i < to; i++)
        {
            (first[i], int end) = axis.Range(i);
            count[i] = end - first[i];
            axis.Fix(i, first[i], count[i], axis.Sum(i), lanes: 1, weights.AsSpan(i * axis.MostTaps, count[i]));
        }

        return new ResizeAxis(from, first, count, weights);
    }
}
