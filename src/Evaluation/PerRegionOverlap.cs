namespace TinyZsad.Evaluation;

/// <summary>
/// Computes the per-region overlap (PRO): the area under the curve of the mean overlap with all anomalous regions of a class over the
/// false positive rate, up to a rate of 0.3, as <c>cal_pro_score</c> of published evaluations does.
/// </summary>
internal static class PerRegionOverlap
{
    private const int Steps = 200;

    private const double FprLimit = 0.3;

    /// <summary>Computes the metric of the maps of a class.</summary>
    /// <param name="masks">The anomalous pixels of each map, [height * width] each.</param>
    /// <param name="maps">The anomaly maps, [height * width] each; higher is more anomalous.</param>
    /// <param name="width">The number of pixels per row.</param>
    /// <returns>
    /// A value in 0 to 1. It is 0 if there is no region or fewer than two thresholds are within the limit of the false positive rate. It
    /// is NaN if there are no maps, the maps contain NaN or a single value, or all rates within the limit are equal (a perfect map).
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

        // Histograms: the number of pixels of each region, and of normal pixels, by the number of thresholds below them. Cumulative sums
        // from the top give the curve.
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
    /// Gets 200 thresholds from the smallest value on; none if all values are equal. They are computed in double precision as by NumPy's
    /// <c>arange</c>, whose rounding sometimes gives 201, and converted to float.
    /// </summary>
    private static float[] Thresholds(float least, float most)
    {
        double span = most - least, step = span / Steps;
        if (!(span > 0) || !double.IsFinite(span)) return [];
        int count = (int)Math.Ceiling(span / step);
        step = least + step - least;
        return [.. Enumerable.Range(0, count).Select(i => (float)(least + i * step))];
    }

    /// <summary>Gets the number of thresholds below a value. The thresholds are ascending.</summary>
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
    /// Gets the false positive rate and the overlap for each threshold whose rate is within the limit, by ascending threshold.
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

    /// <summary>Computes the area by the trapezoidal rule, with the rates rescaled from their range to 0 to 1.</summary>
    private static double Area(List<(double Fpr, double Overlap)> rates)
    {
        if (rates.Count < 2) return 0;
        double least = rates[^1].Fpr, span = rates[0].Fpr - least, area = 0;
        for (int i = 1; i < rates.Count; i++)
            area += (rates[i - 1].Fpr - rates[i].Fpr) / span * (rates[i - 1].Overlap + rates[i].Overlap) / 2;
        return area;
    }
}
