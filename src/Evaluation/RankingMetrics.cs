namespace TinyZsad.Evaluation;

/// <summary>
/// Represents metrics of the ranking of scores, computed as by scikit-learn and published evaluations. Each value is in 0 to 1; NaN if it
/// is not defined. Instances are immutable and thread safe.
/// </summary>
/// <param name="Auroc">
/// The area under the ROC curve; ties count half. NaN unless there are both normal and anomalous samples.
/// </param>
/// <param name="AveragePrecision">
/// The sum over distinct thresholds of the increase in recall times the precision; 0 if no sample is anomalous.
/// </param>
/// <param name="F1Max">
/// The largest 2PR / (P + R + 1e-8) over distinct thresholds: 0.999999995 for a perfect ranking, 0 if no sample is anomalous.
/// </param>
public readonly record struct RankingMetrics(double Auroc, double AveragePrecision, double F1Max)
{
    /// <summary>Gets the metrics of no scores, or of scores with NaN: all values are NaN.</summary>
    public static RankingMetrics Undefined => new(double.NaN, double.NaN, double.NaN);

    /// <summary>Computes the metrics of scores.</summary>
    /// <param name="anomalous">Whether each sample is anomalous.</param>
    /// <param name="scores">The score of each sample; higher is more anomalous.</param>
    /// <returns>The metrics; <see cref="Undefined"/> if there are no scores or one is NaN.</returns>
    /// <exception cref="ArgumentException">The numbers of labels and scores differ.</exception>
    public static RankingMetrics Of(ReadOnlySpan<bool> anomalous, ReadOnlySpan<float> scores)
    {
        if (anomalous.Length != scores.Length)
            throw new ArgumentException($"There are {anomalous.Length} labels for {scores.Length} scores.", nameof(anomalous));
        return OfOwned(anomalous.ToArray(), scores.ToArray());
    }

    /// <summary>Computes the metrics and sorts the arrays.</summary>
    internal static RankingMetrics OfOwned(bool[] labels, float[] scores)
    {
        if (scores.Length == 0 || Array.Exists(scores, float.IsNaN)) return Undefined;
        Array.Sort(scores, labels);
        double positives = labels.LongCount(l => l), negatives = labels.Length - positives;
        double tp = 0, fp = 0, area = 0, precisions = 0, f1 = 0;
        for (int i = scores.Length - 1; i >= 0;)
        {
            // Samples of equal score are counted at one threshold.
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
