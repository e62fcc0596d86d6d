using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>A model to be: tensors and metadata, gathered from checkpoints, which it owns.</summary>
internal sealed class ModelDraft : IDisposable
{
    private readonly List<DraftTensor> tensors = [];
    private readonly List<(string Part, Checkpoint Checkpoint)> checkpoints = [];
    private readonly List<(string Part, StateDict Network)> networks = [];

    /// <summary>What the model will say of itself, in this order.</summary>
    public List<KeyValuePair<string, string>> Metadata { get; } = [];

    /// <summary>Opens a checkpoint.</summary>
    /// <param name="part">What it is of the model.</param>
    /// <param name="path">The file.</param>
    public Checkpoint Open(string part, string path)
    {
        Checkpoint checkpoint = Checkpoint.Open(path);
        checkpoints.Add((part, checkpoint));
        return checkpoint;
    }

    /// <summary>Notes a network of an opened checkpoint, so that what it uses does not count as left out.</summary>
    public StateDict Use(string part, StateDict network)
    {
        networks.Add((part, network));
        return network;
    }

    public void Add(string name, params CheckpointTensor[] parts) => tensors.Add(new DraftTensor(name, parts));

    public void Describe(string key, string value) => Metadata.Add(new(key, value));

    /// <summary>"model.safetensors sha256:…" of every file of a part.</summary>
    public string SourceOf(string part) => string.Join(", ",
        checkpoints.Where(c => c.Part == part).SelectMany(c => c.Checkpoint.Files).Select(f => $"{f.Name} sha256:{f.Sha256}"));

    /// <summary>
    /// Writes the model beside its place, loads it, which checks every shape, and moves it there; a failure leaves nothing behind
    /// and a file that was there as it was.
    /// </summary>
    /// <param name="path">Where to.</param>
    /// <param name="options">How.</param>
    /// <param name="classes">Classes whose embeddings are stored.</param>
    /// <param name="textTower">Whether the text tower stays in the model.</param>
    /// <param name="cancellationToken">Stops the work.</param>
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

    /// <summary>The engine's own word on whether the tensors make a model.</summary>
    private ModelInfo Check(string temporary)
    {
        try
        {
            using AnomalyDetector detector = AnomalyDetector.Load(temporary);
            return detector.Model;
        }
        catch (ModelFormatException e)
        {
            // The file is a temporary one that nobody chose: what is at fault are the checkpoints.
            throw new ModelFormatException(
                string.Join(", ", checkpoints.Select(c => c.Checkpoint.Name)), $"together they make no model: {e.Reason}", e)
            {
                Tensor = e.Tensor, Key = e.Key, Offset = e.Offset, Operation = e.Operation,
            };
        }
    }
}
