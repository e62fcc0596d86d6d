using System.Text.Json;

namespace TinyZsad.Evaluation;

/// <summary>A picture of a dataset.</summary>
/// <param name="Path">The picture.</param>
/// <param name="ClassName">Its class.</param>
/// <param name="Anomalous">Whether it is anomalous: the label, whatever the mask holds.</param>
/// <param name="MaskPath">Its mask; null where it has none.</param>
public sealed record DatasetImage(string Path, string ClassName, bool Anomalous, string? MaskPath)
{
    /// <summary>
    /// The truth at a map's size, row by row. All normal for a normal picture and, as in the published evaluations, for an
    /// anomalous one without a mask.
    /// </summary>
    /// <exception cref="ImageFormatException">The mask is no picture.</exception>
    public bool[] Mask(int size) =>
        Anomalous && MaskPath is not null ? GroundTruth.Load(MaskPath, size) : new bool[checked(size * size)];
}

/// <summary>
/// A test set as the published evaluations describe it: <c>meta.json</c> with
/// <c>{"test": {class: [{"img_path", "mask_path", "anomaly"}]}}</c>, paths relative to its folder.
/// </summary>
public sealed class Dataset
{
    private Dataset(IReadOnlyList<string> classes, IReadOnlyList<DatasetImage> images)
    {
        Classes = classes;
        Images = images;
    }

    /// <summary>In the file's order.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>All pictures, class by class.</summary>
    public IReadOnlyList<DatasetImage> Images { get; }

    /// <summary>Reads a description; the pictures are not opened.</summary>
    /// <param name="metaPath">The JSON file.</param>
    /// <exception cref="InvalidDataException">It is no such description; the message says why.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Dataset Load(string metaPath)
    {
        ArgumentException.ThrowIfNullOrEmpty(metaPath);
        string folder = Path.GetDirectoryName(Path.GetFullPath(metaPath))!;
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(metaPath));
            JsonProperty[] classes = [.. document.RootElement.GetProperty("test").EnumerateObject()];
            return new Dataset([.. classes.Select(c => c.Name)],
                [.. classes.SelectMany(c => c.Value.EnumerateArray().Select(i => Read(i, c.Name)))]);
        }
        catch (Exception e) when (
            e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException)
        {
            throw new InvalidDataException($"{metaPath}: not the description of a test set: {e.Message}", e);
        }

        DatasetImage Read(JsonElement item, string className)
        {
            string mask = item.TryGetProperty("mask_path", out JsonElement path) ? path.GetString() ?? "" : "";
            string full = Path.Combine(folder, mask);
            return new DatasetImage(Path.Combine(folder, item.GetProperty("img_path").GetString()!), className,
                item.GetProperty("anomaly").GetInt32() != 0, mask.Length == 0 || Directory.Exists(full) ? null : full);
        }
    }
}
