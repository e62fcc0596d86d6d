namespace TinyZsad.Evaluation;

/// <summary>
/// Represents the metrics of one class, or their mean over classes. All values are in 0 to 1; NaN if a metric is not defined. Instances
/// are immutable and thread safe.
/// </summary>
/// <param name="Name">The class name, or <c>Mean</c>.</param>
/// <param name="Image">The metrics of images by their scores.</param>
/// <param name="Pixel">The metrics of the pixels of all maps.</param>
/// <param name="Pro">
/// The per-region overlap (PRO): the area under the curve of the mean overlap with anomalous regions over the false positive rate, up to
/// a rate of 0.3, as published evaluations compute it.
/// </param>
public sealed record ClassMetrics(string Name, RankingMetrics Image, RankingMetrics Pixel, double Pro)
{
    /// <summary>
    /// Computes the mean row of a published table: the mean of the values of the classes, each rounded to 0.1 %. Values that are NaN are
    /// left out.
    /// </summary>
    /// <param name="classes">The metrics of the classes.</param>
    /// <returns>The means, with the name <c>Mean</c>. A mean without any value is NaN.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="classes"/> is null.</exception>
    public static ClassMetrics Mean(IReadOnlyCollection<ClassMetrics> classes)
    {
        return new ClassMetrics("Mean", Ranking(c => c.Image), Ranking(c => c.Pixel), Of(c => c.Pro));

        double Of(Func<ClassMetrics, double> value) =>
            classes.Select(value).Where(v => !double.IsNaN(v)).Select(v => Math.Round(100 * v, 1) / 100)
                .DefaultIfEmpty(double.NaN).Average();

        RankingMetrics Ranking(Func<ClassMetrics, RankingMetrics> of) =>
            new(Of(c => of(c).Auroc), Of(c => of(c).AveragePrecision), Of(c => of(c).F1Max));
    }
}
