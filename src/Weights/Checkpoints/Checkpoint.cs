using System.Diagnostics.CodeAnalysis;

namespace TinyZsad.Weights;

/// <summary>
/// What others train and publish: safetensors (one file, or shards with an index), PyTorch's archives since 1.6 and
/// TorchScript's.
/// Tensors are views of the mapped files; nothing that a checkpoint holds is executed.
/// </summary>
/// <remarks>
/// Nested dicts, lists and modules are seen as one table of names with dots between them: <c>model.blocks.0.norm1.weight</c>.
/// Tensors may be read from any number of threads, but <see cref="Dispose"/> called only once none does any more.
/// </remarks>
internal sealed class Checkpoint : IDisposable
{
    private const string SaveAnew =
        ", which is not read; save it anew with a later PyTorch: torch.save(torch.load(FILE), NEW)";

    private readonly List<IDisposable> owners;
    private readonly Lazy<IReadOnlyList<(string, string)>> hashes;
    private readonly Dictionary<string, CheckpointTensor> byName;

    /// <summary>Puts a checkpoint together.</summary>
    /// <param name="name">The file that the user named.</param>
    /// <param name="format">What it is, in words.</param>
    /// <param name="tensors">All tensors, their names unique.</param>
    /// <param name="values">Numbers, truths and texts beside the tensors, by name.</param>
    /// <param name="owners">What is closed with the checkpoint.</param>
    /// <param name="hashes">Gives each file's name and SHA-256.</param>
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

    /// <summary>Opens a checkpoint; what kind it is, its content says.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="ModelFormatException">It is no checkpoint that can be read; the message says why.</exception>
    public static Checkpoint Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        FileBytes bytes = FileBytes.Map(path);
        return Open(bytes, () => SafetensorsFile.Open(path));
    }

    /// <summary>Opens a checkpoint in memory, which must not change meanwhile.</summary>
    /// <param name="bytes">A whole file.</param>
    /// <param name="name">What error messages call it.</param>
    /// <exception cref="ModelFormatException">It is no checkpoint that can be read; the message says why.</exception>
    public static Checkpoint Open(ReadOnlyMemory<byte> bytes, string name) =>
        Open(FileBytes.Pin(bytes, name), () => SafetensorsFile.Open(bytes, name));

    private static Checkpoint Open(FileBytes bytes, Func<SafetensorsFile> safetensors)
    {
        bool keep = false;
        try
        {
            ReadOnlySpan<byte> head = bytes.Span(0, Math.Min(bytes.Length, 512));
            // The length of a safetensors header, below 2^32, and its first character; nothing else begins so.
            if (head.Length > 8 && head[8] == '{' && head[4..8].IndexOfAnyExcept((byte)0) < 0)
                return ShardedSafetensors.Read(safetensors());
            if (head.StartsWith("PK\x03\x04"u8) || head.StartsWith("PK\x05\x06"u8))
            {
                Checkpoint archive = TorchArchive.Read(bytes);
                keep = true;
                return archive;
            }
            if (head is [0x80, < 6, ..])
                throw bytes.Error("this is PyTorch's legacy format, a bare pickle as torch.save wrote it before 1.6" + SaveAnew, 0);
            if (head.Length > 262 && head[257..].StartsWith("ustar"u8))
            {
                throw bytes.Error(
                    "this is PyTorch's oldest format, a tar archive, as torch.save wrote before 0.1.10" + SaveAnew, 257);
            }

            return head is [(byte)'{', ..] ? ShardedSafetensors.Read(bytes) : ShardedSafetensors.Read(safetensors());
        }
        finally
        {
            if (!keep) bytes.Dispose();
        }
    }

    /// <summary>The file that the user named; every error message begins with it.</summary>
    public string Name { get; }

    /// <summary>What it is: "safetensors", "TorchScript archive" and so on.</summary>
    public string Format { get; }

    /// <summary>Every tensor, in the checkpoint's order.</summary>
    public IReadOnlyList<CheckpointTensor> Tensors { get; }

    /// <summary>What stands beside the tensors: bool, long, double or string by name; a list's items by their numbers.</summary>
    public IReadOnlyDictionary<string, object> Values { get; }

    /// <summary>Finds a tensor by its whole name.</summary>
    public bool TryGet(string name, [MaybeNullWhen(false)] out CheckpointTensor tensor) => byName.TryGetValue(name, out tensor);

    /// <summary>The whole numbers of a list; null if there is no such list, or something else in it.</summary>
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
    /// Every file's name, without its folder, and its SHA-256 in lower-case hexadecimal. The files are read whole, once.
    /// </summary>
    /// <exception cref="ModelFormatException">A file cannot be read any more.</exception>
    public IReadOnlyList<(string Name, string Sha256)> Files => hashes.Value;

    /// <summary>Closes the files. No tensor can be read any more.</summary>
    public void Dispose()
    {
        foreach (IDisposable owner in owners) owner.Dispose();
    }
}
