using System.Text.Json;

namespace TinyZsad.Weights;

/// <summary>
/// Opens safetensors as a checkpoint: one file, or several files with the index that Hugging Face writes
/// (<c>model.safetensors.index.json</c>: <c>{"weight_map": {"tensor": "file", …}}</c>).
/// </summary>
internal static class ShardedSafetensors
{
    private const int MaxIndex = 1 << 26, MaxShards = 1000;

    /// <summary>Opens one file, which the checkpoint owns.</summary>
    public static Checkpoint Read(SafetensorsFile file) => new(file.Name, "safetensors",
        file.Tensors.ToDictionary(t => t.Name, t => View(file, t)), Values(file), [file],
        () => [(file.Name, file.ComputeSha256())]);

    /// <summary>Opens the files of an index. All must be in its folder.</summary>
    /// <exception cref="ModelFormatException">
    /// The index is malformed, a file or tensor of it is missing, or a file is in another folder.
    /// </exception>
    public static Checkpoint Read(FileBytes index)
    {
        Dictionary<string, string> places = Places(index);
        string folder = Path.GetDirectoryName(Path.GetFullPath(index.Name))!;
        Dictionary<string, SafetensorsFile> files = new(StringComparer.Ordinal);
        try
        {
            foreach (string name in places.Values.Distinct().Order(StringComparer.Ordinal))
            {
                string path = Path.Combine(folder, name);
                if (!File.Exists(path)) throw index.Error($"it names the file {Shown.Quote(name)}, which is not beside it");
                files.Add(name, SafetensorsFile.Open(path));
            }
            Dictionary<string, CheckpointTensor> tensors = new(StringComparer.Ordinal);
            foreach ((string tensor, string name) in places)
            {
                tensors.Add(tensor, files[name].TryGet(tensor, out TensorEntry? entry)
                    ? View(files[name], entry)
                    : throw index.Error(
                        $"it says that {Shown.Quote(name)} holds {Shown.Quote(tensor)}, which it does not", tensor: tensor));
            }

            string sha256 = index.Sha256();
            return new Checkpoint(index.Name, $"safetensors in {files.Count} files", tensors, new Dictionary<string, object>(),
                files.Values, () => [(index.Name, sha256), .. files.Values.Select(f => (f.Name, f.ComputeSha256()))]);
        }
        catch
        {
            foreach (SafetensorsFile file in files.Values) file.Dispose();
            throw;
        }
    }

    private static CheckpointTensor View(SafetensorsFile file, TensorEntry entry) => entry.Type == ElementType.Other
        ? CheckpointTensor.OfOtherType(file.Name, entry.Name, entry.TypeName, entry.Shape)
        : new(file.Name, entry.Name, entry.Type, entry.Shape, CheckpointTensor.RowMajor(entry.Shape), () => entry.Address);

    private static Dictionary<string, object> Values(SafetensorsFile file) =>
        file.Metadata.ToDictionary(pair => $"__metadata__.{pair.Key}", pair => (object)pair.Value);

    /// <summary>Reads the file name of each tensor.</summary>
    private static Dictionary<string, string> Places(FileBytes index)
    {
        if (index.Length > MaxIndex)
            throw index.Error($"it begins as an index of shards, but has {index.Length} bytes; at most {MaxIndex} are read");
        Dictionary<string, string> places = new(StringComparer.Ordinal);
        try
        {
            using JsonDocument document = JsonDocument.Parse(index.Span(0, index.Length).ToArray(), new() { MaxDepth = 8 });
            if (!document.RootElement.TryGetProperty("weight_map", out JsonElement map) || map.ValueKind != JsonValueKind.Object)
            {
                throw index.Error(document.RootElement.TryGetProperty("error", out JsonElement error)
                    ? ForeignFile.Answer(error.ToString())
                    : "it is JSON, but no index of shards: it has no object 'weight_map'");
            }
            foreach (JsonProperty tensor in map.EnumerateObject())
            {
                string name = tensor.Value.ValueKind == JsonValueKind.String ? tensor.Value.GetString()! : "";
                // A name must not lead to another folder on any operating system.
                if (name.Length == 0 || name is "." or ".." || name.AsSpan().ContainsAny("/\\:\0"))
                {
                    throw index.Error($"it says that {Shown.Quote(tensor.Name)} is in {Shown.Quote(tensor.Value.GetRawText())}; "
                        + "a file's name alone is right, of a file in the index's own folder", tensor: tensor.Name);
                }

                if (!places.TryAdd(tensor.Name, name))
                    throw index.Error($"it names {Shown.Quote(tensor.Name)} twice", tensor: tensor.Name);
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw index.Error($"it begins as an index of shards, but is no valid JSON: {Shown.Clip(e.Message.TrimEnd('.'))}",
                (e as JsonException)?.Offset(index.Span(0, index.Length)), inner: e);
        }
        if (places.Values.Distinct().Count() is var shards && shards > MaxShards)
            throw index.Error($"it names {shards} files; at most {MaxShards} are read");
        return places;
    }
}
