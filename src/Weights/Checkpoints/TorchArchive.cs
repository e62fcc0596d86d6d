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
        Table table = new(file);
        table.Add("", content, 0);
        return new Checkpoint(file.Name, script ? "TorchScript archive" : "PyTorch archive", table.Tensors, table.Values, [file],
            () => [(file.Name, file.Sha256())]);
    }

    /// <summary>Flattens nested values into one table of names.</summary>
    private sealed class Table(FileBytes file)
    {
        private int names, characters;

        public Dictionary<string, CheckpointTensor> Tensors { get; } = new(StringComparer.Ordinal);

        public Dictionary<string, object> Values { get; } = new(StringComparer.Ordinal);

        public void Add(string name, object? value, int depth)
        {
            // A dict may be contained many times, and even contain itself.
            if (depth > MaxDepth) throw file.Error($"what it holds is nested more than {MaxDepth} deep");
            if (++names > MaxNames) throw file.Error($"it holds more than {MaxNames} values");
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
                case bool or long or double or string:
                    if (!Values.TryAdd(name, value)) throw Twice(name);
                    break;
            }
        }

        private void AddAll(string name, PickleDict dict, int depth)
        {
            foreach ((object? key, object? value) in dict.Items)
            {
                string part = key switch
                {
                    string text => text,
                    long number => number.ToString(CultureInfo.InvariantCulture),
                    _ => throw file.Error(
                        $"a dict in it, {Shown.Quote(name)}, has keys that are neither texts nor whole numbers"),
                };
                Add(Join(name, part), value, depth + 1);
            }
        }

        private void AddAll(string name, IEnumerable<object?> items, int depth)
        {
            int i = 0;
            foreach (object? item in items) Add(Join(name, (i++).ToString(CultureInfo.InvariantCulture)), item, depth + 1);
        }

        private void AddTensor(string name, TorchTensor tensor)
        {
            long start = tensor.Storage.Offset + tensor.Offset * tensor.Storage.Type.ByteSize();
            CheckpointTensor view = new(file.Name, name, tensor.Storage.Type, tensor.Shape, tensor.Strides, () => At(start));
            if (!Tensors.TryAdd(name, view)) throw Twice(name, name);
        }

        private unsafe nint At(long offset) => (nint)file.At(offset);

        private static string Join(string name, string part) => name.Length == 0 ? part : $"{name}.{part}";

        private ModelFormatException Twice(string name, string? tensor = null) =>
            file.Error($"it holds two values under the name {Shown.Quote(name)}", tensor: tensor);
    }
}
