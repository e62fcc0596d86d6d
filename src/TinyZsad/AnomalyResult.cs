using System.Globalization;
using System.Text.Json.Serialization;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;

namespace TinyZsad;

/// <summary>The time that each part of a detection took.</summary>
/// <param name="Waiting">Waiting for other detections.</param>
/// <param name="Resize">
/// Resizing the picture to the model's size. Where a GPU resizes it, this is the copy, and the rest is part of the inference.
/// </param>
/// <param name="ClassEmbedding">Embedding the class name; nearly zero once the class is known.</param>
/// <param name="Inference">Executing the network.</param>
public readonly record struct DetectionTimings(TimeSpan Waiting, TimeSpan Resize, TimeSpan ClassEmbedding, TimeSpan Inference)
{
    /// <summary>Gets the sum.</summary>
    public TimeSpan Total => Waiting + Resize + ClassEmbedding + Inference;
}

/// <summary>
/// The anomaly score of a picture and the scores of its pixels. Immutable and thread safe. System.Text.Json writes everything but the
/// maps.
/// </summary>
public sealed class AnomalyResult
{
    private readonly Device? device;
    private readonly LogitMap? logits;
    private readonly Lazy<AnomalyMap> pictureMap;
    private readonly float? rawScore;

    /// <summary>Initializes a result, for example for the tests of code that uses detectors.</summary>
    /// <param name="score">The score of the picture.</param>
    /// <param name="map">The scores of its pixels, at any size.</param>
    /// <param name="pictureWidth">The width of the picture in pixels; at least 1.</param>
    /// <param name="pictureHeight">The height of the picture in pixels; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A side is less than 1.</exception>
    public AnomalyResult(float score, AnomalyMap map, int pictureWidth, int pictureHeight)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentOutOfRangeException.ThrowIfLessThan(pictureWidth, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(pictureHeight, 1);
        (Score, Map, PictureWidth, PictureHeight) = (score, map, pictureWidth, pictureHeight);
        pictureMap = new Lazy<AnomalyMap>(MakePictureMap, LazyThreadSafetyMode.PublicationOnly);
    }

    internal AnomalyResult(Detection detection, int imageSize, int pictureWidth, int pictureHeight, Device? device)
        : this(detection.Score, new AnomalyMap(imageSize, imageSize, detection.Map), pictureWidth, pictureHeight)
    {
        rawScore = detection.RawScore;
        logits = detection.Logits;
        this.device = device;
    }

    /// <summary>
    /// Gets the anomaly score of the picture; higher is more anomalous. It is always finite, and in (0, 1) for LiZAD and EdgeZSAD. What
    /// is normal depends on the class: choose thresholds on pictures of it.
    /// </summary>
    public float Score { get; }

    /// <summary>
    /// Gets the score before it is mapped to (0, 1), where the score is a logit; otherwise <see cref="Score"/>. It ranks pictures
    /// without saturating.
    /// </summary>
    public float RawScore
    {
        get => rawScore ?? Score;
        init => rawScore = value;
    }

    /// <summary>Gets the scores of the pixels at the model's size.</summary>
    [JsonIgnore]
    public AnomalyMap Map { get; }

    /// <summary>
    /// Gets the scores of the pixels at the picture's size. The map is computed when it is first asked for, by the detector's threads if
    /// they are idle; <see cref="CopyPictureMapTo"/> computes it in a buffer.
    /// </summary>
    /// <exception cref="InvalidOperationException">The map is larger than one array holds.</exception>
    [JsonIgnore]
    public AnomalyMap PictureMap => pictureMap.Value;

    /// <summary>Gets the width of the picture in pixels.</summary>
    public int PictureWidth { get; }

    /// <summary>Gets the height of the picture in pixels.</summary>
    public int PictureHeight { get; }

    /// <summary>Gets the class that the detection was given; null for models that take none.</summary>
    public string? ClassName { get; init; }

    /// <summary>Gets the time that each part of the detection took.</summary>
    public DetectionTimings Timings { get; init; }

    /// <summary>Copies the scores of the pixels at the picture's size to a buffer, without other memory of that size.</summary>
    /// <param name="destination">
    /// At least <see cref="PictureWidth"/> * <see cref="PictureHeight"/> values; they are written row by row.
    /// </param>
    /// <exception cref="ArgumentException">The buffer is too short.</exception>
    public void CopyPictureMapTo(Span<float> destination)
    {
        if (destination.Length < (long)PictureWidth * PictureHeight)
        {
            throw new ArgumentException($"The map of a picture of {PictureWidth} x {PictureHeight} pixels has " +
                $"{(long)PictureWidth * PictureHeight} values; the buffer holds {destination.Length}.", nameof(destination));
        }

        if (pictureMap.IsValueCreated) pictureMap.Value.CopyTo(destination);
        else AtPictureSize().CopyTo(destination, device);
    }

    /// <summary>
    /// Finds the connected regions of the picture in which every pixel's score is at least a threshold. Pixels that touch at a side or
    /// a corner are connected.
    /// </summary>
    /// <param name="threshold">The threshold, in the unit of <see cref="Map"/>; not NaN.</param>
    /// <param name="options">Which regions to return; null for all.</param>
    /// <returns>The regions, the largest first. Empty if no pixel reaches the threshold.</returns>
    /// <exception cref="ArgumentException">The threshold is NaN.</exception>
    public IReadOnlyList<AnomalyRegion> Regions(float threshold, RegionOptions? options = null)
    {
        if (float.IsNaN(threshold)) throw new ArgumentException("The threshold must be a number.", nameof(threshold));
        RegionFinder finder = new(threshold);
        if (pictureMap.IsValueCreated)
        {
            AnomalyMap map = pictureMap.Value;
            for (int y = 0; y < map.Height; y++) finder.AddRow(map.Values.Slice(y * map.Width, map.Width));
        }
        else
        {
            AtPictureSize().ForEachRow(finder.AddRow);
        }

        return finder.Regions(options ?? new RegionOptions());
    }

    /// <summary>Draws the scores of the pixels over the picture.</summary>
    /// <param name="picture">The picture that was examined.</param>
    /// <param name="options">How to draw; null for scores from 0 to 1 and a legend with the picture's score.</param>
    /// <exception cref="ArgumentException">The picture is empty, or the drawing is larger than one array holds.</exception>
    /// <exception cref="InvalidOperationException">The map is larger than one array holds.</exception>
    public Image RenderOverlay(ImageView picture, OverlayOptions? options = null)
    {
        AnomalyMap map = PictureMap;
        return Overlay.Render(picture, map.Values, map.Width, map.Height, options ?? new OverlayOptions { Score = Score });
    }

    /// <summary>Returns the score, the class and the picture's size.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{Score:0.0000}{(ClassName is null ? "" : $" ({ClassName})")}, {PictureWidth} x {PictureHeight}");

    private MapEnlarger AtPictureSize() => logits is null
        ? new MapEnlarger(Map.Memory, Map.Width, Map.Height, logits: false, PictureWidth, PictureHeight)
        : new MapEnlarger(logits.Values, logits.Side, logits.Side, logits: true, PictureWidth, PictureHeight);

    private AnomalyMap MakePictureMap()
    {
        float[] values = MapEnlarger.Allocate(PictureWidth, PictureHeight);
        AtPictureSize().CopyTo(values, device);
        return new AnomalyMap(PictureWidth, PictureHeight, values);
    }
}
