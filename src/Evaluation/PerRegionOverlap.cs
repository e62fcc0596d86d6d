namespace TinyZsad.Evaluation;

/// <summary>
/// PRO: the mean, over all anomalous regions of a class, of the part that is found, against the part of the normal pixels wrongly
/// found; the area under that curve up to a false positive rate of 0.3, as the published evaluations' <c>cal_pro_score</c>
/// computes it.
/// </summary>
internal static class PerRegionOverlap
{
    private const int Steps = 200;

    private const double FprLimit = 0.3;

    /// <summary>Measures the maps of a class.</summary>
    /// <param name="masks">The truth, a mask a map, [height * width] each.</param>
    /// <param name="maps">Higher is more anomalous; [height * width] each.</param>
    /// <param name="width">Pixels a row.</param>
    /// <returns>
    /// 0 to 1. 0 where there is no region, or fewer than two thresholds keep the false positive rate; NaN where there are no
    /// maps, they hold NaN or one value only, or all kept rates are equal (a perfect map).
    /// </returns>
    /// <exception cref="ArgumentException">Masks and maps do not match in number or size.</exception>
    public static double Of(IReadOnlyList<bool[]> masks, IReadOnlyList<float[]> maps, int width)
    {
        ArgumentNullException.ThrowIfNull(masks);
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        if (masks.Count != maps.Count)
            throw new ArgumentException($"There are {masks.Count} masks for {maps.Count} maps.", nameof(masks));
        for (int i = 0; i < maps.Count; i++)
        {
            if (masks[i].Length != maps[i].Length || maps[i].Length % width != 0)
            {
                throw new ArgumentException(
                    $"Mask {i} has {masks[i].Length} pixels and its map {maps[i].Length}, of rows of {width}.", nameof(masks));
            }
        }

        if (maps.All(m => m.Length == 0) || maps.Any(m => Array.Exists(m, float.IsNaN))) return double.NaN;

        float[] thresholds = Thresholds(maps.Min(m => m.Min()), maps.Max(m => m.Max()));
        if (thresholds.Length == 0) return double.NaN;

        // How many pixels of each region, and of what is normal, lie above so many thresholds: the curve follows by summing from
        // the top.
        List<long[]> regions = [];
        long[] normal = new long[thresholds.Length + 1];
        for (int i = 0; i < maps.Count; i++)
        {
            int[] label = ConnectedRegions.Label(masks[i], width, out int count);
            int first = regions.Count;
            for (int r = 0; r < count; r++) regions.Add(new long[thresholds.Length + 1]);
            for (int p = 0; p < label.Length; p++)
                (label[p] == 0 ? normal : regions[first + label[p] - 1])[Below(thresholds, maps[i][p])]++;
        }
        return Area(Rates(regions, normal, thresholds.Length));
    }

    /// <summary>
    /// 200 steps from the least value on; none where all values are one. They are computed in double as numpy's <c>arange</c>
    /// does it, which by rounding sometimes gives a 201st, and used as floats.
    /// </summary>
    private static float[] Thresholds(float least, float most)
    {
        double span = most - least, step = span / Steps;
        if (!(span > 0) || !double.IsFinite(span)) return [];
        int count = (int)Math.Ceiling(span / step);
        step = least + step - least;
        return [.. Enumerable.Range(0, count).Select(i => (float)(least + i * step))];
    }

    /// <summary>How many thresholds are below a value; they do not descend.</summary>
    private static int Below(float[] thresholds, float value)
    {
        int low = 0, high = thresholds.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (thresholds[middle] < value) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    /// <summary>
    /// (false positive rate, overlap) at every threshold where the rate is within the limit, thresholds ascending.
    /// </summary>
    private static List<(double Fpr, double Overlap)> Rates(List<long[]> regions, long[] normal, int thresholds)
    {
        long normals = Math.Max(normal.Sum(), 1), wrong = 0;
        long[] found = new long[regions.Count], pixels = [.. regions.Select(r => r.Sum())];
        List<(double, double)> rates = [];
        for (int t = thresholds - 1; t >= 0; t--)
        {
            wrong += normal[t + 1];
            double overlap = 0;
            for (int r = 0; r < found.Length; r++)
            {
                found[r] += regions[r][t + 1];
                overlap += (double)found[r] / pixels[r];
            }
            double fpr = (double)wrong / normals;
            if (fpr <= FprLimit) rates.Add((fpr, found.Length > 0 ? overlap / found.Length : 0));
        }
        rates.Reverse();
        return rates;
    }

    /// <summary>The trapezoid area, the kept rates stretched to 0 to 1 by their own least and largest.</summary>
    private static double Area(List<(double Fpr, double Overlap)> rates)
    {
        if (rates.Count < 2) return 0;
        double least = rates[^1].Fpr, span = rates[0].Fpr - least, area = 0;
        for (int i = 1; i < rates.Count; i++)
            area += (rates[i - 1].Fpr - rates[i].Fpr) / span * (rates[i - 1].Overlap + rates[i].Overlap) / 2;
        return area;
    }
}
