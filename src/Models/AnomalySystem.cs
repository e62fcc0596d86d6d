using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>The result of a detection.</summary>
/// <param name="Score">The score; higher is more anomalous. In (0, 1) if the system gives probabilities.</param>
/// <param name="RawScore">The score before it is mapped to (0, 1), if it is; otherwise the score itself.</param>
/// <param name="Map">
/// The anomaly map, [<see cref="AnomalySystem.ImageSize"/>, <see cref="AnomalySystem.ImageSize"/>], row-major.
/// </param>
internal sealed record Detection(float Score, float RawScore, ReadOnlyMemory<float> Map)
{
    /// <summary>
    /// Gets the logits whose bilinear resize and sigmoid is the map, from which it is computed at other sizes too; null if the map
    /// itself is resized.
    /// </summary>
    internal LogitMap? Logits { get; init; }
}

/// <summary>A square map of logits, row-major.</summary>
internal sealed record LogitMap(float[] Values, int Side);

/// <summary>
/// One of the published systems, loaded: its weights and the graph they make. A system holds no state that a detection changes,
/// but for caches; any number of threads may use it at once.
/// </summary>
internal abstract class AnomalySystem : IDisposable
{
    /// <summary>Name of the pixel input of <see cref="DetectionGraph"/>: [ImageSize * ImageSize, 3] bytes.</summary>
    public const string Pixels = "pixels";

    private const string MapOutput = "map", ScoreOutput = "score";

    /// <summary>The systems by the name that a file's metadata gives them: a new one is a line here.</summary>
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

    /// <summary>Whether any class can be named: the file holds what embeds it.</summary>
    public virtual bool AnyClass => false;

    /// <summary>The classes whose embeddings the file holds.</summary>
    public virtual IReadOnlyList<string> StoredClasses => [];

    /// <summary>The image score that <see cref="ImageScore.Default"/> stands for.</summary>
    public abstract ImageScore DefaultScore { get; }

    /// <summary>
    /// Reads the system that a file's metadata names. The system owns the file from then on, even if reading fails.
    /// </summary>
    /// <param name="file">The model.</param>
    /// <param name="device">What computes whatever depends on weights or a class alone; it must outlive the system.</param>
    /// <param name="imageSize">
    /// The size to bring pictures to instead of the one the file states; null for that one. Only VisualAD can: its positions are
    /// interpolated.
    /// </param>
    /// <exception cref="ModelFormatException">
    /// The file is no model of ours, or its tensors are not what the model needs.
    /// </exception>
    /// <exception cref="ArgumentException">The system cannot work at the image size asked for.</exception>
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
    /// The graph of one detection, for a way of scoring; its inputs are <see cref="Pixels"/> and whatever <see cref="Prepare"/>
    /// gives, its outputs what <see cref="Read"/> reads.
    /// </summary>
    public abstract ComputeGraph DetectionGraph(ImageScore score);

    /// <summary>
    /// What must be known before a detection and does not depend on the picture, computed or taken from a cache.
    /// </summary>
    /// <param name="className">The class, where the system takes one.</param>
    /// <param name="cancellationToken">Stops the computation.</param>
    public virtual ClassEmbedding? Prepare(string? className, CancellationToken cancellationToken) => null;

    /// <summary>
    /// Returns whether <see cref="Prepare"/> takes no time worth mentioning for a class, or fails at once.
    /// </summary>
    public virtual bool IsPrepared(string? className) => true;

    /// <summary>Gives a run everything but the pixels.</summary>
    /// <param name="run">A run of <see cref="DetectionGraph"/>.</param>
    /// <param name="prepared">From <see cref="Prepare"/>; null for a stand-in, to warm up or to measure times.</param>
    public virtual void Bind(Run run, ClassEmbedding? prepared) { }

    /// <summary>Reads the result of an executed run.</summary>
    /// <param name="run">The run.</param>
    /// <param name="score">How the map becomes a score.</param>
    /// <param name="mapBuffer">The memory for the map; a new array if it is empty.</param>
    public virtual Detection Read(Run run, ImageScore score, Memory<float> mapBuffer = default)
    {
        float value = run.Output(ScoreOutput)[0];
        return new Detection(value, value, ReadMap(run, mapBuffer));
    }

    /// <summary>Reads the map of an executed run.</summary>
    private protected static ReadOnlyMemory<float> ReadMap(Run run, Memory<float> buffer)
    {
        ReadOnlySpan<float> map = run.Output(MapOutput);
        if (buffer.IsEmpty) return map.ToArray();
        map.CopyTo(buffer.Span);
        return buffer[..map.Length];
    }

    /// <summary>Writes a copy of the model file that holds the embeddings of some classes.</summary>
    /// <param name="path">The new file; not the one the model is mapped from.</param>
    /// <param name="classNames">The classes, as they will be named at detection.</param>
    /// <param name="textTower">
    /// Whether to keep the text tower. Without it the file is a quarter as large and knows only stored classes.
    /// </param>
    /// <param name="cancellationToken">Stops the computation.</param>
    /// <exception cref="NotSupportedException">The system takes no class.</exception>
    public virtual void SaveWithClasses(
        string path, IReadOnlyCollection<string> classNames, bool textTower, CancellationToken cancellationToken) =>
        throw new NotSupportedException($"{Name} takes no class name: there are no class embeddings to save.");

    /// <summary>Adds the map to a graph's outputs and, unless a system's own logit is the score, the score of it.</summary>
    /// <param name="g">The graph.</param>
    /// <param name="map">The map.</param>
    /// <param name="score">How the map becomes a score.</param>
    /// <param name="top">How many values the largest 1 % are; null rounds down.</param>
    /// <returns>The score, [1, 1]; null for a logit.</returns>
    private protected static Value? Give(ComputeGraph g, Value map, ImageScore score, int? top = null)
    {
        g.Output(MapOutput, map);
        if (score == ImageScore.GlobalLogit) return null;
        Value value = g.TopKMean(map, score == ImageScore.Maximum ? 1 : Math.Max(1, top ?? map.Rows / 100));
        g.Output(ScoreOutput, value);
        return value;
    }

    /// <summary>Taps that are no values of the graph: tables, and what is put together from other taps.</summary>
    /// <param name="taps">The taps of the graph, by name.</param>
    internal virtual IEnumerable<(string Name, float[] Values)> OtherTaps(IReadOnlyDictionary<string, float[]> taps) => [];

    /// <summary>Unmaps the weights. No run may be under way.</summary>
    public virtual void Dispose()
    {
        Weights.Dispose();
        GC.SuppressFinalize(this);
    }
}
