using System.Globalization;

namespace TinyZsad.Weights;

/// <summary>
/// Reads the archives that <c>torch.save</c> (since PyTorch 1.6) and <c>torch.jit.save</c> write: a ZIP file with a pickle
/// (<c>data.pkl</c>) and the uncompressed bytes of each storage (<c>data/0</c>, <c>data/1</c>, …). The code of TorchScript archives is
/// ignored.
/// </summary>
internal static class TorchArchive
{
    /// <summary>The maximum length of the pickle, 16 MiB. That of CLIP ViT-L/14 has 256 KiB.</summary>
    private const int MaxPickle = 1 << 24;

    /// <summary>
    /// The limits of the table of names: their number, depth, length and total length. A few bytes of a pickle can produce many names.
    /// </summary>
    private const int MaxNames = 1 << 18, MaxDepth = 64, MaxNameLength = 1024, MaxCharacters = 1 << 25;

    /// <summary>
    /// The number of elements of all tensors that repeat elements of their storage, as <c>expand</c> makes them. A few bytes can stand
    /// for any number.
    /// </summary>
    private const long MaxRepeated = 1 << 26;

    /// <summary>The number of skipped objects that messages name.</summary>
    private const int MaxSkipped = 3;

    /// <summary>Reads an archive, which the checkpoint owns.</summary>
    /// <exception cref="ModelFormatException">The archive is malformed or needs an unsupported global.</exception>
    public static Checkpoint Read(FileBytes file)
    {
        ZipDirectory zip = new(file);
        string[] roots = [.. zip.Names.Select(name => name.Split('/')[0]).Distinct().Take(2)];
        if (roots.Length != 1 || !zip.Names.Contains($"{roots[0]}/data.pkl"))
        {
            throw file.Error(zip.Names.Any(name => name.EndsWith("/model.json", StringComparison.Ordinal))
                ? "this is a TorchScript archive from before PyTorch 1.2, which is not read; save it anew with a later one"
                : zip.Names.Count > 0 && zip.Names.All(name => name.EndsWith(".npy", StringComparison.Ordinal))
                ? ForeignFile.Archive(ForeignFile.NumPyArchive)
                : "this is a ZIP archive, but not one of PyTorch's: it has no data.pkl in the one folder that all is in");
        }
        string root = roots[0];
        if (zip.Names.Contains($"{root}/byteorder"))
        {
            (long at, long bytes) = zip.Find($"{root}/byteorder");
            if (!file.Span(at, bytes).SequenceEqual("little"u8))
                throw file.Error("its numbers are not little-endian; only those are read", at);
        }
        bool script = zip.Names.Contains($"{root}/constants.pkl");
        (long offset, long length) = zip.Find($"{root}/data.pkl");
        if (length > MaxPickle)
            throw file.Error($"its data.pkl has {length} bytes; at most {MaxPickle} are read, far more than tensors need", offset);

        object? content = new PickleReader(file, offset, file.Span(offset, length), script, key =>
            zip.Find($"{root}/data/{key}")).Read();
        Table table = new(file, Math.Max(MaxNames, (int)length));
        table.Add("", content, 0);
        return new Checkpoint(file.Name, script ? "TorchScript archive" : "PyTorch archive", table.Tensors, table.Values, [file],
            () => [(file.Name, file.Sha256())]) { Skipped = table.Skipped };
    }

    /// <summary>
    /// Flattens nested values into one table of names. Objects without content are skipped, and so are items of dicts whose keys are
    /// neither texts nor whole numbers.
    /// </summary>
    /// <param name="file">The archive, for messages.</param>
    /// <param name="maxItems">
    /// The maximum number of values that are visited. A value takes a byte of the pickle, or is one that it holds several times.
    /// </param>
    private sealed class Table(FileBytes file, int maxItems)
    {
        private int items, characters;
        private long repeated;

        public Dictionary<string, CheckpointTensor> Tensors { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, object> Values { get; } = new(StringComparer.Ordinal);

        /// <summary>Gets the names and classes of the first objects that were skipped.</summary>
        public List<string> Skipped { get; } = [];

        public void Add(string name, object? value, int depth)
        {
            // A dict may be contained many times, and even contain itself.
            if (depth > MaxDepth) throw file.Error($"what it holds is nested more than {MaxDepth} deep");
            if (name.Length > MaxNameLength)
                throw file.Error($"it holds a name of more than {MaxNameLength} characters, {Shown.Quote(name)}");
            if ((characters += name.Length) > MaxCharacters)
                throw file.Error($"it holds names of more than {MaxCharacters} characters together");
            switch (value)
            {
                case TorchTensor tensor: AddTensor(name, tensor); break;
                case PickleDict dict: AddAll(name, dict, depth); break;
                case PickleInstance { Attributes: { } attributes }: AddAll(name, attributes, depth); break;
                case PickleList list: AddAll(name, list.Items, depth); break;
                case object?[] tuple: AddAll(name, tuple, depth); break;
                case PickleOpaque skipped:
                    string place = name.Length == 0 ? "all of it" : Shown.Quote(name);
                    if (Skipped.Count < MaxSkipped) Skipped.Add($"{place}, an object of {Shown.Quote(skipped.ClassName)}");
                    break;
                case bool or long or double or string:
                    if (!Values.TryAdd(name, value)) throw Twice(name);
                    break;
            }
        }

        private void AddAll(string name, PickleDict dict, int depth)
        {
            foreach ((object? key, object? value) in dict.Items)
            {
                if (IsNamed(value) && key is string or long)
                    Add(Join(name, key as string ?? ((long)key).ToString(CultureInfo.InvariantCulture)), value, depth + 1);
            }
        }

        private void AddAll(string name, IEnumerable<object?> items, int depth)
        {
            int i = 0;
            foreach (object? item in items)
            {
                if (IsNamed(item)) Add(Join(name, i.ToString(CultureInfo.InvariantCulture)), item, depth + 1);
                i++;
            }
        }

        /// <summary>
        /// Gets a value that indicates whether a value has a place in the table. Beyond the limits, values beside tensors have none.
        /// </summary>
        private bool IsNamed(object? value)
        {
            if (++items > maxItems) throw file.Error($"it holds more than {maxItems} values");
            return value switch
            {
                bool or long or double or string => Values.Count < MaxNames && characters < MaxCharacters / 2,
                PickleOpaque => Skipped.Count < MaxSkipped,
                TorchTensor or PickleDict or PickleList or PickleInstance or object?[] => true,
                _ => false,
            };
        }

        private void AddTensor(string name, TorchTensor tensor)
        {
            if (Tensors.Count == MaxNames) throw file.Error($"it holds more than {MaxNames} tensors");
            if (!Tensors.TryAdd(name, View(name, tensor))) throw Twice(name, name);
        }

        private CheckpointTensor View(string name, TorchTensor tensor)
        {
            TorchStorage storage = tensor.Storage;
            if (storage.Type == ElementType.Other) return CheckpointTensor.OfOtherType(file.Name, name, storage.TypeName, tensor.Shape);
            long start = storage.Offset + tensor.Offset * storage.Type.ByteSize();
            CheckpointTensor view = new(file.Name, name, storage.Type, tensor.Shape, tensor.Strides, () => At(start));
            if (view.ElementCount <= storage.Count) return view;
            if (view.ElementCount > MaxRepeated - repeated)
            {
                return new CheckpointTensor(file.Name, name, view.TypeName, tensor.Shape,
                    $"repeats the {storage.Count} elements of its storage, and of such tensors at most {MaxRepeated} elements of a "
                    + "checkpoint are read; save it with its own elements: torch.save with tensor.contiguous()");
            }
            repeated += view.ElementCount;
            return view;
        }

        private unsafe nint At(long offset) => (nint)file.At(offset);

        private static string Join(string name, string part) => name.Length == 0 ? part : $"{name}.{part}";

        private ModelFormatException Twice(string name, string? tensor = null) =>
            file.Error($"it holds two values under the name {Shown.Quote(name)}", tensor: tensor);
    }
}
