using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>Represents the result of one image.</summary>
/// <param name="Score">The image score; higher is more anomalous. It is in (0, 1) if the system gives probabilities.</param>
/// <param name="RawScore">The score before the sigmoid or softmax; the score itself if there is none.</param>
/// <param name="Map">
/// The anomaly map, [<see cref="AnomalySystem.ImageSize"/>, <see cref="AnomalySystem.ImageSize"/>], row-major.
/// </param>
internal sealed record Detection(float Score, float RawScore, ReadOnlyMemory<float> Map)
{
    /// <summary>
    /// Gets the logits of a map that is the sigmoid of bilinearly resized logits. A map of another size is computed from them. Null if
    /// the map itself is resized.
    /// </summary>
    internal LogitMap? Logits { get; init; }
}

/// <summary>Represents a square map of logits, row-major.</summary>
/// <param name="Values">The logits, [side, side].</param>
/// <param name="Side">The number of rows and columns.</param>
internal sealed record LogitMap(float[] Values, int Side);

/// <summary>
/// Represents a loaded anomaly detection system: its weights and the graph that they make. Apart from caches, a detection does not
/// change its state. All members are thread safe except <see cref="Dispose"/>.
/// </summary>
internal abstract class AnomalySystem : IDisposable
{
    /// <summary>The name of the pixel input of <see cref="DetectionGraph"/>: [ImageSize * ImageSize, 3] bytes.</summary>
    public const string Pixels = "pixels";

    private const string MapOutput = "map", ScoreOutput = "score";

    /// <summary>The constructors of the systems by their name in the metadata.</summary>
    private static readonly Dictionary<string, Func<WeightStore, Device, int?, AnomalySystem>> Known = new()
    {
        ["lizad"] = (weights, device, _) => new LiZad(weights, device),
        ["edgezsad"] = (weights, _, _) => new EdgeZsad(weights),
        ["visualad"] = (weights, device, imageSize) => new VisualAd(weights, device, imageSize),
    };

    private protected AnomalySystem(WeightStore weights)
    {
        Weights = weights;
        Metadata = new ModelMetadata(weights.File);
    }

    /// <summary>Gets the weights.</summary>
    internal WeightStore Weights { get; }

    private protected ModelMetadata Metadata { get; }

    /// <summary>Gets or sets where class embeddings are kept for other processes; null to keep none. Set it before use.</summary>
    public EmbeddingFolder? EmbeddingFolder { get; set; }

    /// <summary>Gets the model file.</summary>
    public SafetensorsFile File => Weights.File;

    /// <summary>Gets the name of the system as published: LiZAD, EdgeZSAD or VisualAD.</summary>
    public abstract string Name { get; }

    /// <summary>Gets the width and height in pixels to which images are resized.</summary>
    public abstract int ImageSize { get; }

    /// <summary>Gets a value that indicates whether a detection depends on the class name.</summary>
    public virtual bool TakesClassName => false;

    /// <summary>Gets a value that indicates whether any class can be embedded, because the file holds a text tower.</summary>
    public virtual bool AnyClass => false;

    /// <summary>Gets the classes whose embeddings the file holds.</summary>
    public virtual IReadOnlyList<string> StoredClasses => [];

    /// <summary>Gets the image score that <see cref="ImageScore.Default"/> means for this system.</summary>
    public abstract ImageScore DefaultScore { get; }

    /// <summary>
    /// Loads the system that the metadata of a file names. The system owns the file; if this method throws, the file is closed.
    /// </summary>
    /// <param name="file">The model file.</param>
    /// <param name="device">The device that computes values of weights or a class alone. It must outlive the system.</param>
    /// <param name="imageSize">
    /// The width and height to which images are resized; null for the size in the file. Only VisualAD supports other sizes, because it
    /// interpolates its positions.
    /// </param>
    /// <exception cref="ModelFormatException">
    /// The file is not a TinyZsad model, or its tensors do not match the model.
    /// </exception>
    /// <exception cref="ArgumentException">The system does not support the image size.</exception>
    public static AnomalySystem Load(SafetensorsFile file, Device device, int? imageSize = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        WeightStore weights = new(file);
        try
        {
            string name = new ModelMetadata(file).RequireModel();
            if (!Known.TryGetValue(name, out Func<WeightStore, Device, int?, AnomalySystem>? read))
            {
                throw weights.KeyError(
                    "model", $"it holds the model '{name}'; this version knows {string.Join(", ", Known.Keys)}.");
            }

            AnomalySystem system = read(weights, device, imageSize);
            if (imageSize is { } asked && asked != system.ImageSize)
            {
                throw new ArgumentException(
                    $"{system.Name} works at {system.ImageSize} pixels, the size {file.Name} states, and at no other; {asked} " +
                    "was asked for.", nameof(imageSize));
            }

            return system;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Creates the graph of one detection. Its inputs are <see cref="Pixels"/> and those that <see cref="Bind"/> sets; its outputs are
    /// those that <see cref="Read"/> reads.
    /// </summary>
    /// <param name="score">The image score.</param>
    public abstract ComputeGraph DetectionGraph(ImageScore score);

    /// <summary>
    /// Gets the class embedding: stored in the file, in memory, from <see cref="EmbeddingFolder"/>, or computed. Null if the system takes
    /// no class.
    /// </summary>
    /// <param name="className">The class; null if the system takes none.</param>
    /// <param name="cancellationToken">The token that cancels the computation, or waiting for that of another caller.</param>
    /// <param name="progress">Called with the share that is done, from 0 to 1, if this call computes; null for nothing.</param>
    public virtual ClassEmbedding? Prepare(
        string? className, CancellationToken cancellationToken, Action<double>? progress = null) => null;

    /// <summary>
    /// Gets a value that indicates whether <see cref="Prepare"/> returns or fails without a computation and without reading a file.
    /// </summary>
    /// <param name="className">The class; null if the system takes none.</param>
    public virtual bool IsPrepared(string? className) => true;

    /// <summary>Sets all inputs of a run except the pixels.</summary>
    /// <param name="run">A run of <see cref="DetectionGraph"/>.</param>
    /// <param name="prepared">The embedding from <see cref="Prepare"/>; null for placeholder values, to warm up or to measure time.</param>
    public virtual void Bind(Run run, ClassEmbedding? prepared) { }

    /// <summary>Reads the outputs of a run after its execution.</summary>
    /// <param name="run">The run.</param>
    /// <param name="score">The image score.</param>
    /// <param name="mapBuffer">The memory for the map; a new array is allocated if it is empty.</param>
    public virtual Detection Read(Run run, ImageScore score, Memory<float> mapBuffer = default)
    {
        float value = run.Output(ScoreOutput)[0];
        return new Detection(value, value, ReadMap(run, mapBuffer));
    }

    /// <summary>Reads the map of a run after its execution.</summary>
    private protected static ReadOnlyMemory<float> ReadMap(Run run, Memory<float> buffer)
    {
        ReadOnlySpan<float> map = run.Output(MapOutput);
        if (buffer.IsEmpty) return map.ToArray();
        map.CopyTo(buffer.Span);
        return buffer[..map.Length];
    }

    /// <summary>Writes a copy of the model file that holds the embeddings of some classes.</summary>
    /// <param name="path">The new file. It must not be the file that the model is mapped from.</param>
    /// <param name="classNames">The class names as detections use them.</param>
    /// <param name="textTower">
    /// <see langword="true"/> to keep the text tower. Without it the file has a quarter of the size and supports stored classes only.
    /// </param>
    /// <param name="progress">Called with the share of the classes that is done, from 0 to 1; null for nothing.</param>
    /// <param name="cancellationToken">The token that cancels the computation.</param>
    /// <exception cref="NotSupportedException">The system takes no class.</exception>
    public virtual void SaveWithClasses(string path, IReadOnlyCollection<string> classNames, bool textTower,
        Action<double>? progress, CancellationToken cancellationToken) =>
        throw new NotSupportedException($"{Name} takes no class name: there are no class embeddings to save.");

    /// <summary>Adds the map to the outputs of a graph and, unless the score is a logit, the score of the map.</summary>
    /// <param name="g">The graph.</param>
    /// <param name="map">The map, [pixels, 1].</param>
    /// <param name="score">The image score.</param>
    /// <param name="top">The number of values in the largest 1 %; null for 1 % of the map, rounded down.</param>
    /// <returns>The score, [1, 1]; null for a logit.</returns>
    private protected static Value? Give(ComputeGraph g, Value map, ImageScore score, int? top = null)
    {
        g.Output(MapOutput, map);
        if (score == ImageScore.GlobalLogit) return null;
        Value value = g.TopKMean(map, score == ImageScore.Maximum ? 1 : Math.Max(1, top ?? map.Rows / 100));
        g.Output(ScoreOutput, value);
        return value;
    }

    /// <summary>Gets the taps that are not values of the graph: tables, and combinations of other taps.</summary>
    /// <param name="taps">The taps of the graph by name.</param>
    internal virtual IEnumerable<(string Name, float[] Values)> OtherTaps(IReadOnlyDictionary<string, float[]> taps) => [];

    /// <summary>Closes the model file. No run may be in progress.</summary>
    public virtual void Dispose()
    {
        Weights.Dispose();
        GC.SuppressFinalize(this);
    }
}
