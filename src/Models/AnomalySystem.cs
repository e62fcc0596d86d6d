using TinyZsad.Graph;
using TinyZsad.Kernels;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>How a map becomes one number for the whole picture.</summary>
public enum ImageScore
{
    /// <summary>
    /// The system's own choice: <see cref="TopPercentMean"/> for LiZAD and VisualAD, <see cref="GlobalLogit"/> for EdgeZSAD.
    /// </summary>
    Default,

    /// <summary>The largest value of the map.</summary>
    Maximum,

    /// <summary>The mean of the largest 1 % of the map's values.</summary>
    TopPercentMean,

    /// <summary>
    /// The image-level logit that was trained on image labels: for LiZAD softmax of its two, the anomalous one; for EdgeZSAD
    /// sigmoid of its fused one, its default.
    /// </summary>
    GlobalLogit,
}

/// <summary>What a system says of one picture.</summary>
/// <param name="Score">Higher is more anomalous; in (0, 1) where the system gives probabilities.</param>
/// <param name="RawScore">The score before it is squashed into (0, 1), where it is; else the score itself.</param>
/// <param name="Map">
/// The anomaly map, [<see cref="AnomalySystem.ImageSize"/>, <see cref="AnomalySystem.ImageSize"/>], row-major.
/// </param>
public sealed record Detection(float Score, float RawScore, float[] Map)
{
    /// <summary>The patch logits that the map was made from, where it can be made anew at any size.</summary>
    internal float[]? Logits { get; init; }
}

/// <summary>
/// One of the published systems, loaded: its weights and the graph they make. A system holds no state that a detection changes,
/// but for caches; any number of threads may use it at once.
/// </summary>
public abstract class AnomalySystem : IDisposable
{
    /// <summary>Name of the pixel input of <see cref="DetectionGraph"/>: [ImageSize * ImageSize, 3] bytes.</summary>
    public const string Pixels = "pixels";

    private protected AnomalySystem(WeightStore weights)
    {
        Weights = weights;
        Metadata = new ModelMetadata(weights.File);
    }

    internal WeightStore Weights { get; }

    private protected ModelMetadata Metadata { get; }

    /// <summary>The file it came from.</summary>
    public SafetensorsFile File => Weights.File;

    /// <summary>As the field writes it: LiZAD, EdgeZSAD, VisualAD.</summary>
    public abstract string Name { get; }

    /// <summary>Pictures are resized to this many pixels each way.</summary>
    public abstract int ImageSize { get; }

    /// <summary>Whether a detection depends on the name of the class.</summary>
    public virtual bool TakesClassName => false;

    /// <summary>The image score that <see cref="ImageScore.Default"/> stands for.</summary>
    public abstract ImageScore DefaultScore { get; }

    /// <summary>
    /// Reads the system that a file's metadata names. The system owns the file from then on, even if reading fails.
    /// </summary>
    /// <param name="file">The model.</param>
    /// <param name="imageSize">
    /// The size to bring pictures to instead of the one the file states; null for that one. Only VisualAD can: its positions are
    /// interpolated.
    /// </param>
    /// <exception cref="ModelFormatException">
    /// The file is no model of ours, or its tensors are not what the model needs.
    /// </exception>
    /// <exception cref="ArgumentException">The system cannot work at the image size asked for.</exception>
    public static AnomalySystem Load(SafetensorsFile file, int? imageSize = null)
    {
        WeightStore weights = new(file);
        try
        {
            AnomalySystem system = new ModelMetadata(file).RequireModel() switch
            {
                "lizad" => new LiZad(weights),
                "edgezsad" => new EdgeZsad(weights),
                "visualad" => new VisualAd(weights, imageSize),
                string other => throw new ModelFormatException(
                    $"{file.Name}: it holds the model '{other}'; this version knows lizad, edgezsad and visualad."),
            };
            if (imageSize is { } asked && asked != system.ImageSize)
                throw new ArgumentException(
                    $"{system.Name} works at {system.ImageSize} pixels, the size {file.Name} states, and at no other; {asked} " +
                    "was asked for.", nameof(imageSize));
            return system;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The graph of one detection, for a way of scoring; its inputs are <see cref="Pixels"/> and whatever <see cref="Prepare"/>
    /// gives.
    /// </summary>
    public abstract ComputeGraph DetectionGraph(ImageScore score);

    /// <summary>
    /// What must be known before a detection and does not depend on the picture, computed or taken from a cache.
    /// </summary>
    /// <param name="className">The class, where the system takes one.</param>
    /// <param name="team">Who computes.</param>
    /// <param name="cancellation">Stops the computation.</param>
    public virtual ClassEmbedding? Prepare(string? className, ThreadTeam team, CancellationToken cancellation) => null;

    /// <summary>Gives a run everything but the pixels.</summary>
    public virtual void Bind(CpuRun run, ClassEmbedding? prepared) { }

    /// <summary>Reads the result of an executed run.</summary>
    public abstract Detection Read(CpuRun run, ImageScore score);

    /// <summary>A detection's map at another size, such as the picture's.</summary>
    public virtual float[] Enlarge(Detection detection, int width, int height) =>
        MapResizer.Resize(detection.Map, ImageSize, ImageSize, width, height);

    /// <summary>The image score that is read off a map.</summary>
    /// <param name="map">The map.</param>
    /// <param name="score">How.</param>
    /// <param name="top">How many values the largest 1 % are; null rounds down.</param>
    private protected static unsafe float ScoreOfMap(float[] map, ImageScore score, int? top = null)
    {
        fixed (float* p = map)
            return score == ImageScore.Maximum
                ? Max.Execute(p, map.Length)
                : TopKMean.Execute(p, map.Length, Math.Max(1, top ?? map.Length / 100));
    }

    /// <summary>Taps that are tables rather than values of a graph.</summary>
    internal virtual IEnumerable<(string Name, int[] Shape, float[] Values)> ConstantTaps() => [];

    /// <summary>Taps that are put together from others.</summary>
    internal virtual IEnumerable<(string Name, int[] Shape, float[] Values)> DerivedTaps(
        IReadOnlyDictionary<string, float[]> taps, int pictureWidth, int pictureHeight) => [];

    /// <summary>Unmaps the weights. No run may be under way.</summary>
    public virtual void Dispose()
    {
        Weights.Dispose();
        GC.SuppressFinalize(this);
    }
}
