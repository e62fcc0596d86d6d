using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>Represents a model to be written: tensors and metadata from checkpoints. It owns the checkpoints.</summary>
internal sealed class ModelDraft : IDisposable
{
    private readonly List<DraftTensor> tensors = [];
    private readonly List<(string Part, Checkpoint Checkpoint)> checkpoints = [];
    private readonly List<(string Part, StateDict Network)> networks = [];

    /// <summary>Gets the metadata of the model, in the order of the file.</summary>
    public List<KeyValuePair<string, string>> Metadata { get; } = [];

    /// <summary>Opens a checkpoint.</summary>
    /// <param name="part">The part of the model that it provides.</param>
    /// <param name="path">The path of the file.</param>
    public Checkpoint Open(string part, string path)
    {
        Checkpoint checkpoint = Checkpoint.Open(path);
        checkpoints.Add((part, checkpoint));
        return checkpoint;
    }

    /// <summary>Registers a network of a checkpoint, so that its used tensors are not reported as left out.</summary>
    public StateDict Use(string part, StateDict network)
    {
        networks.Add((part, network));
        return network;
    }

    /// <summary>Adds a tensor, whose rows are those of the parts.</summary>
    public void Add(string name, params CheckpointTensor[] parts) => tensors.Add(new DraftTensor(name, parts));

    /// <summary>Adds metadata.</summary>
    public void Describe(string key, string value) => Metadata.Add(new(key, value));

    /// <summary>Gets "model.safetensors sha256:…" for each file of a part.</summary>
    public string SourceOf(string part) => string.Join(", ",
        checkpoints.Where(c => c.Part == part).SelectMany(c => c.Checkpoint.Files).Select(f => $"{f.Name} sha256:{f.Sha256}"));

    /// <summary>
    /// Writes the model to a temporary file, loads it to check all shapes, and moves it. A failure leaves no file and does not change an
    /// existing one.
    /// </summary>
    /// <param name="path">The path of the model.</param>
    /// <param name="options">The options.</param>
    /// <param name="classes">The classes whose embeddings are stored.</param>
    /// <param name="textTower">Whether the text tower is stored.</param>
    /// <param name="cancellationToken">The token that cancels the work.</param>
    public ConversionReport Write(string path, ConversionOptions options, IReadOnlyCollection<string> classes, bool textTower,
        CancellationToken cancellationToken)
    {
        foreach ((_, Checkpoint source) in checkpoints)
        {
            if (Path.GetFullPath(path) == Path.GetFullPath(source.Name))
                throw new ArgumentException($"{path} is one of the checkpoints; write to another file.", nameof(path));
        }

        List<HalfLoss> kept = [], flushed = [];
        List<TensorDeclaration> declarations = [];
        foreach (DraftTensor tensor in tensors.OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            HalfLoss? loss = HalfEncoding.Examine(tensor);
            bool half = loss is null || (options.FlushToZero && loss is { Overflowing: 0, Coarse: 0 });
            if (loss is not null) (half ? flushed : kept).Add(loss);
            declarations.Add(HalfEncoding.Declare(tensor, half ? ElementType.F16 : ElementType.F32));
        }

        string temporary = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, $".{Path.GetRandomFileName()}.tmp");
        try
        {
            SafetensorsWriter.Write(temporary, declarations, Metadata);
            cancellationToken.ThrowIfCancellationRequested();
            ModelInfo model = Check(temporary);
            if (classes.Count == 0)
            {
                File.Move(temporary, path, overwrite: true);
            }
            else
            {
                using AnomalyDetector detector = AnomalyDetector.Load(temporary);
                detector.SaveWithClasses(path, classes, textTower, cancellationToken);
            }
            using SafetensorsFile written = SafetensorsFile.Open(path);
            return new ConversionReport(path, written.Length, model.SystemName, written.Tensors.Count, written.Metadata,
                [.. checkpoints.Select(c => new ConversionSource(
                    c.Part, c.Checkpoint.Name, c.Checkpoint.Format, c.Checkpoint.Tensors.Count, c.Checkpoint.Files))],
                kept, flushed,
                [.. checkpoints.SelectMany(c => StateDict.Unused(
                    c.Part, c.Checkpoint, networks.Where(n => n.Part == c.Part).Select(n => n.Network)))]);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Closes the checkpoints.</summary>
    public void Dispose()
    {
        foreach ((_, Checkpoint checkpoint) in checkpoints) checkpoint.Dispose();
    }

    /// <summary>Loads the model to check that the engine accepts it.</summary>
    private ModelInfo Check(string temporary)
    {
        try
        {
            using AnomalyDetector detector = AnomalyDetector.Load(temporary);
            return detector.Model;
        }
        catch (ModelFormatException e)
        {
            // The caller does not know the temporary file; the checkpoints are the cause.
            throw new ModelFormatException(
                string.Join(", ", checkpoints.Select(c => c.Checkpoint.Name)), $"together they make no model: {e.Reason}", e)
            {
                Tensor = e.Tensor, Key = e.Key, Offset = e.Offset, Operation = e.Operation,
            };
        }
    }
}
