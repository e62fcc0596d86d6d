using TinyZsad.Models;

namespace TinyZsad;

/// <summary>Where the time of a detection went.</summary>
/// <param name="Resize">Bringing the picture to the model's size.</param>
/// <param name="ClassEmbedding">Embedding the class name; zero once the class is known.</param>
/// <param name="Inference">The network.</param>
public readonly record struct DetectionTimings(TimeSpan Resize, TimeSpan ClassEmbedding, TimeSpan Inference)
{
    /// <summary>All of it.</summary>
    public TimeSpan Total => Resize + ClassEmbedding + Inference;
}

/// <summary>What a detector says of one picture. Immutable and thread safe.</summary>
public sealed class AnomalyResult
{
    private readonly Lazy<AnomalyMap> pictureMap;

    internal AnomalyResult(
        Detection detection, int imageSize, int pictureWidth, int pictureHeight, string? className, DetectionTimings timings)
    {
        Score = detection.Score;
        RawScore = detection.RawScore;
        Map = new AnomalyMap(imageSize, imageSize, detection.Map);
        PictureWidth = pictureWidth;
        PictureHeight = pictureHeight;
        ClassName = className;
        Timings = timings;
        pictureMap = new Lazy<AnomalyMap>(() => new AnomalyMap(
            pictureWidth, pictureHeight, MapResizer.Enlarge(detection, imageSize, pictureWidth, pictureHeight)));
    }

    /// <summary>
    /// How anomalous the picture is; higher is more. In (0, 1) for LiZAD and EdgeZSAD. What is normal depends on the class:
    /// choose thresholds on pictures of it.
    /// </summary>
    public float Score { get; }

    /// <summary>
    /// The score before it was squashed into (0, 1), where it was (a global logit); else <see cref="Score"/> itself. It ranks
    /// without saturating.
    /// </summary>
    public float RawScore { get; }

    /// <summary>The map at the model's size.</summary>
    public AnomalyMap Map { get; }

    /// <summary>The map at the picture's size; made when first asked for.</summary>
    public AnomalyMap PictureMap => pictureMap.Value;

    /// <summary>Width of the picture, in pixels.</summary>
    public int PictureWidth { get; }

    /// <summary>Height of the picture, in pixels.</summary>
    public int PictureHeight { get; }

    /// <summary>The class that was asked about; null where the model takes none.</summary>
    public string? ClassName { get; }

    /// <summary>Where the time went.</summary>
    public DetectionTimings Timings { get; }
}
