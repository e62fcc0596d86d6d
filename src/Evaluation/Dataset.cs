using System.Text.Json;

namespace TinyZsad.Evaluation;

/// <summary>Represents an image of a dataset. Instances are immutable and thread safe.</summary>
/// <param name="Path">The path of the image.</param>
/// <param name="ClassName">The name of its class.</param>
/// <param name="Anomalous">Whether the image is labeled as anomalous. The mask does not matter.</param>
/// <param name="MaskPath">The path of the mask of anomalous pixels; null if there is none.</param>
public sealed record DatasetImage(string Path, string ClassName, bool Anomalous, string? MaskPath)
{
    /// <summary>
    /// Reads the ground truth at the size of a map. As in published evaluations, pixels of the mask that are not black are anomalous, the
    /// mask is resized bilinearly, and all pixels of an anomalous image without a mask are normal. All pixels of a normal image are
    /// normal.
    /// </summary>
    /// <param name="size">The width and height of the map in pixels, at least 1.</param>
    /// <returns>Whether each pixel is anomalous, [size * size], row-major.</returns>
    /// <exception cref="ImageFormatException">The mask cannot be decoded.</exception>
    /// <exception cref="IOException">The mask cannot be read.</exception>
    /// <exception cref="OverflowException">The size is too large.</exception>
    public bool[] Mask(int size) =>
        Anomalous && MaskPath is not null ? GroundTruth.Load(MaskPath, size) : new bool[checked(size * size)];
}

/// <summary>
/// Represents a test set in the format of published evaluations: a file <c>meta.json</c> with
/// <c>{"test": {class: [{"img_path", "mask_path", "anomaly"}]}}</c> and paths relative to its folder. Instances are immutable and thread
/// safe.
/// </summary>
public sealed class Dataset
{
    private Dataset(IReadOnlyList<string> classes, IReadOnlyList<DatasetImage> images)
    {
        Classes = classes;
        Images = images;
    }

    /// <summary>Gets the class names in the order of the file.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>Gets all images, ordered by class.</summary>
    public IReadOnlyList<DatasetImage> Images { get; }

    /// <summary>Reads the description of a test set. The images are not opened.</summary>
    /// <param name="metaPath">The path of the JSON file.</param>
    /// <returns>The test set.</returns>
    /// <exception cref="ArgumentException"><paramref name="metaPath"/> is null or empty.</exception>
    /// <exception cref="InvalidDataException">The file is not a valid description.</exception>
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
