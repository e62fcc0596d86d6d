namespace TinyZsad.Evaluation;

/// <summary>
/// Collects what a detector said of a test set and measures it class by class. Keeps every map until it is measured: 1 MB a
/// picture of 518 pixels. Not thread safe.
/// </summary>
/// <param name="size">Pixels of a map each way.</param>
public sealed class DetectionEvaluation(int size)
{
    private readonly List<(string Name, Samples Samples)> classes = [];

    private sealed class Samples
    {
        public List<bool> Anomalous { get; } = [];
        public List<float> Scores { get; } = [];
        public List<float[]> Maps { get; } = [];
        public List<bool[]> Masks { get; } = [];
    }

    /// <summary>Runs a detector over a test set.</summary>
    /// <param name="detector">The detector.</param>
    /// <param name="dataset">The test set.</param>
    /// <param name="progress">Is told each picture when it is done.</param>
    /// <param name="cancellationToken">Stops between two pictures or within one.</param>
    /// <returns>A row a class, in the test set's order; a class without pictures has NaN.</returns>
    public static IReadOnlyList<ClassMetrics> Run(
        AnomalyDetector detector, Dataset dataset, Action<DatasetImage, AnomalyResult>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(detector);
        ArgumentNullException.ThrowIfNull(dataset);
        List<ClassMetrics> rows = [];
        foreach (string name in dataset.Classes)
        {
            DetectionEvaluation evaluation = new(detector.Model.ImageSize);
            evaluation.Of(name);
            foreach (DatasetImage item in dataset.Images.Where(i => i.ClassName == name))
            {
                Imaging.Image picture = Imaging.Image.Load(item.Path, cancellationToken: cancellationToken);
                AnomalyResult result = detector.Detect(picture, name, cancellationToken);
                evaluation.Add(name, item.Anomalous, result.Score, result.Map, item.Mask(detector.Model.ImageSize));
                progress?.Invoke(item, result);
            }
            rows.AddRange(evaluation.Measure());
        }
        return rows;
    }

    /// <summary>Adds a picture.</summary>
    /// <param name="className">Its class.</param>
    /// <param name="anomalous">Whether it is anomalous.</param>
    /// <param name="score">What the detector says.</param>
    /// <param name="map">What the detector says, pixel by pixel.</param>
    /// <param name="mask">Which pixels are anomalous, row by row; not copied.</param>
    /// <exception cref="ArgumentException">The map or the mask has another size.</exception>
    public void Add(string className, bool anomalous, float score, AnomalyMap map, bool[] mask)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(mask);
        if (map.Width != size || map.Height != size)
            throw new ArgumentException($"The map is {map.Width} x {map.Height}, not {size} x {size}.", nameof(map));
        if (mask.Length != size * size)
            throw new ArgumentException($"The mask has {mask.Length} pixels, not {size} x {size}.", nameof(mask));
        Samples samples = Of(className);
        samples.Anomalous.Add(anomalous);
        samples.Scores.Add(score);
        samples.Maps.Add(map.Values.ToArray());
        samples.Masks.Add(mask);
    }

    /// <summary>A row a class, in the order in which they came.</summary>
    public IReadOnlyList<ClassMetrics> Measure() => [.. classes.Select(c => Measure(c.Name, c.Samples))];

    private ClassMetrics Measure(string name, Samples s) => new(name,
        RankingMetrics.OfOwned([.. s.Anomalous], [.. s.Scores]),
        RankingMetrics.OfOwned([.. s.Masks.SelectMany(m => m)], [.. s.Maps.SelectMany(m => m)]),
        PerRegionOverlap.Of(s.Masks, s.Maps, size));

    private Samples Of(string className)
    {
        foreach ((string name, Samples samples) in classes)
            if (name == className) return samples;
        classes.Add((className, new Samples()));
        return classes[^1].Samples;
    }
}
