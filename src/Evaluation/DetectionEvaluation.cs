namespace TinyZsad.Evaluation;

/// <summary>
/// Collects the results of a detector on a test set and computes the metrics of each class. It keeps all maps in memory: about 1 MB per
/// map of 518 x 518 pixels. Instances are not thread safe.
/// </summary>
/// <param name="size">The width and height of the maps in pixels.</param>
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

    /// <summary>Runs a detector on a test set and computes the metrics. The maps of one class are in memory at a time.</summary>
    /// <param name="detector">The detector.</param>
    /// <param name="dataset">The test set.</param>
    /// <param name="progress">The method that is called after each image, on the calling thread.</param>
    /// <param name="cancellationToken">The token that cancels between two images or within one.</param>
    /// <returns>The metrics of each class, in the order of the test set. Those of a class without images are NaN.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="detector"/> or <paramref name="dataset"/> is null.</exception>
    /// <exception cref="ImageFormatException">An image or a mask cannot be decoded.</exception>
    /// <exception cref="IOException">An image or a mask cannot be read.</exception>
    /// <exception cref="UnknownClassException">The model cannot embed a class of the test set.</exception>
    /// <exception cref="ModelFormatException">A result is not finite.</exception>
    /// <exception cref="DetectorBusyException">The queue of the detector is full.</exception>
    /// <exception cref="ObjectDisposedException">The detector is disposed.</exception>
    /// <exception cref="OperationCanceledException">The evaluation is cancelled.</exception>
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

    /// <summary>Adds the result of an image.</summary>
    /// <param name="className">The name of its class.</param>
    /// <param name="anomalous">Whether the image is anomalous.</param>
    /// <param name="score">The image score; higher is more anomalous.</param>
    /// <param name="map">The anomaly map. Its values are copied.</param>
    /// <param name="mask">Whether each pixel is anomalous, [size * size], row-major. It is not copied and must not change.</param>
    /// <exception cref="ArgumentNullException"><paramref name="map"/> or <paramref name="mask"/> is null.</exception>
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

    /// <summary>Computes the metrics of all images that were added.</summary>
    /// <returns>The metrics of each class, in the order in which the classes were added.</returns>
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
