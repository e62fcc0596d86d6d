namespace TinyZsad.Evaluation;

/// <summary>
/// How well scores rank the anomalous above the normal, as scikit-learn computes it and the published evaluations use it. Each
/// value is in 0 to 1, or NaN where it is not defined.
/// </summary>
/// <param name="Auroc">Area under the ROC curve, ties counted half; NaN unless both kinds are there.</param>
/// <param name="AveragePrecision">
/// Sum over distinct thresholds of (gain in recall) times precision; 0 where nothing is anomalous.
/// </param>
/// <param name="F1Max">
/// Largest 2PR / (P + R + 1e-8) over distinct thresholds: 0.999999995 for a perfect ranking; 0 where nothing is anomalous.
/// </param>
public readonly record struct RankingMetrics(double Auroc, double AveragePrecision, double F1Max)
{
    /// <summary>What is not defined: no scores, or NaN among them.</summary>
    public static RankingMetrics Undefined => new(double.NaN, double.NaN, double.NaN);

    /// <summary>Measures a ranking.</summary>
    /// <param name="anomalous">The truth, one a score.</param>
    /// <param name="scores">Higher is more anomalous.</param>
    /// <exception cref="ArgumentException">There are not as many labels as scores.</exception>
    public static RankingMetrics Of(ReadOnlySpan<bool> anomalous, ReadOnlySpan<float> scores)
    {
        if (anomalous.Length != scores.Length)
            throw new ArgumentException($"There are {anomalous.Length} labels for {scores.Length} scores.", nameof(anomalous));
        return OfOwned(anomalous.ToArray(), scores.ToArray());
    }

    /// <summary>The same on arrays that may be sorted.</summary>
    internal static RankingMetrics OfOwned(bool[] labels, float[] scores)
    {
        if (scores.Length == 0 || Array.Exists(scores, float.IsNaN)) return Undefined;
        Array.Sort(scores, labels);
        double positives = labels.LongCount(l => l), negatives = labels.Length - positives;
        double tp = 0, fp = 0, area = 0, precisions = 0, f1 = 0;
        for (int i = scores.Length - 1; i >= 0;)
        {
            // All of one score are found at once.
            (double tpBefore, double fpBefore) = (tp, fp);
            for (float threshold = scores[i]; i >= 0 && scores[i] == threshold; i--)
            {
                if (labels[i]) tp++;
                else fp++;
            }
            double precision = tp / (tp + fp), recall = positives > 0 ? tp / positives : 1;
            area += (fp - fpBefore) * (tp + tpBefore) / 2;
            if (positives > 0) precisions += (tp - tpBefore) / positives * precision;
            f1 = Math.Max(f1, 2 * precision * recall / (precision + recall + 1e-8));
        }
        return new RankingMetrics(positives > 0 && negatives > 0 ? area / (positives * negatives) : double.NaN, precisions, f1);
    }
}
