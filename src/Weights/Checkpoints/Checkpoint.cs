using System.Diagnostics.CodeAnalysis;

namespace TinyZsad.Weights;

/// <summary>
/// Represents an open checkpoint: safetensors (one file, or shards with an index), an archive of PyTorch 1.6 or later, or a
/// TorchScript archive. Tensors are views of the mapped files. No content of a checkpoint is executed.
/// </summary>
/// <remarks>
/// Nested dictionaries, lists and modules are flattened into one table of names: <c>model.blocks.0.norm1.weight</c>. Tensors are
/// thread safe; <see cref="Dispose"/> must not be called while one is read.
/// </remarks>
internal sealed class Checkpoint : IDisposable
{
    private readonly List<IDisposable> owners;
    private readonly Lazy<IReadOnlyList<(string, string)>> hashes;
    private readonly Dictionary<string, CheckpointTensor> byName;

    /// <summary>Initializes a checkpoint.</summary>
    /// <param name="name">The path that the caller gave.</param>
    /// <param name="format">The format, in words.</param>
    /// <param name="tensors">All tensors by name.</param>
    /// <param name="values">The numbers, Booleans and texts beside the tensors, by name.</param>
    /// <param name="owners">The objects that are disposed with the checkpoint.</param>
    /// <param name="hashes">Computes the name and SHA-256 hash of each file.</param>
    public Checkpoint(string name, string format, Dictionary<string, CheckpointTensor> tensors,
        IReadOnlyDictionary<string, object> values, IEnumerable<IDisposable> owners, Func<IEnumerable<(string, string)>> hashes)
    {
        Name = name;
        Format = format;
        Values = values;
        Tensors = [.. tensors.Values];
        byName = tensors;
        this.owners = [.. owners];
        this.hashes = new(() => [.. hashes().Select(file => (Path.GetFileName(file.Item1), file.Item2))]);
    }

    /// <summary>Opens a checkpoint. Its format is detected from its content.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="ModelFormatException">The file is not a checkpoint of a supported format.</exception>
    public static Checkpoint Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        FileBytes bytes = FileBytes.Map(path);
        return Open(bytes, () => SafetensorsFile.Open(path));
    }

    /// <summary>Opens a checkpoint in memory.</summary>
    /// <param name="bytes">The bytes of the whole file. They must not change while the checkpoint is open.</param>
    /// <param name="name">The name of the file in error messages.</param>
    /// <exception cref="ModelFormatException">The file is not a checkpoint of a supported format.</exception>
    public static Checkpoint Open(ReadOnlyMemory<byte> bytes, string name) =>
        Open(FileBytes.Pin(bytes, name), () => SafetensorsFile.Open(bytes, name));

    private static Checkpoint Open(FileBytes bytes, Func<SafetensorsFile> safetensors)
    {
        bool keep = false;
        try
        {
            ReadOnlySpan<byte> head = bytes.Span(0, Math.Min(bytes.Length, ForeignFile.HeadLength));
            if (SafetensorsFile.Begins(head)) return ShardedSafetensors.Read(safetensors());
            if (ForeignFile.IsZip(head))
            {
                Checkpoint archive = TorchArchive.Read(bytes);
                keep = true;
                return archive;
            }
            if (ForeignFile.IsJson(head)) return ShardedSafetensors.Read(bytes);
            return ForeignFile.DescribeCheckpoint(head) is { } foreign
                ? throw bytes.Error(foreign, 0)
                : ShardedSafetensors.Read(safetensors());
        }
        finally
        {
            if (!keep) bytes.Dispose();
        }
    }

    /// <summary>Gets the path that the caller gave. Error messages begin with it.</summary>
    public string Name { get; }

    /// <summary>Gets the format: "safetensors", "TorchScript archive" and so on.</summary>
    public string Format { get; }

    /// <summary>Gets all tensors, in the order of the checkpoint.</summary>
    public IReadOnlyList<CheckpointTensor> Tensors { get; }

    /// <summary>Gets the other values by name: bool, long, double or string. An item of a list has its index as name.</summary>
    public IReadOnlyDictionary<string, object> Values { get; }

    /// <summary>Gets what was skipped, for messages: the names and classes of the first objects that are not known.</summary>
    public IReadOnlyList<string> Skipped { get; init; } = [];

    /// <summary>Finds a tensor by its full name.</summary>
    public bool TryGet(string name, [MaybeNullWhen(false)] out CheckpointTensor tensor) => byName.TryGetValue(name, out tensor);

    /// <summary>Gets a list of integers; null if there is no such list or it holds other values.</summary>
    public long[]? Integers(string name)
    {
        List<long> numbers = [];
        while (Values.TryGetValue($"{name}.{numbers.Count}", out object? item))
        {
            if (item is not long number) return null;
            numbers.Add(number);
        }
        return numbers.Count > 0 ? [.. numbers] : null;
    }

    /// <summary>
    /// Gets the name of each file without its folder, and its SHA-256 hash in lower-case hexadecimal. The files are read at the first call.
    /// </summary>
    /// <exception cref="ModelFormatException">A file cannot be read.</exception>
    public IReadOnlyList<(string Name, string Sha256)> Files => hashes.Value;

    /// <summary>Closes the files. Tensors cannot be read afterwards.</summary>
    public void Dispose()
    {
        foreach (IDisposable owner in owners) owner.Dispose();
    }
}
