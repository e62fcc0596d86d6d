namespace TinyZsad.Evaluation;

/// <summary>The metrics of one class, or their mean over classes. In 0 to 1; NaN where one is not defined.</summary>
/// <param name="Name">The class, or <c>Mean</c>.</param>
/// <param name="Image">Of pictures by their scores.</param>
/// <param name="Pixel">Of all pixels of all maps.</param>
/// <param name="Pro">Per-region overlap, see <see cref="PerRegionOverlap"/>.</param>
public sealed record ClassMetrics(string Name, RankingMetrics Image, RankingMetrics Pixel, double Pro)
{
    /// <summary>
    /// The mean row of a published table: the mean of the classes' values already rounded to 0.1 %. A value that is not defined
    /// is left out.
    /// </summary>
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
