using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad;

/// <summary>
/// Describes a loaded model. Immutable and thread safe. It stays readable after the detector is disposed, except
/// <see cref="Sha256"/> if it was not read before.
/// </summary>
public sealed class ModelInfo
{
    private readonly Lazy<string> sha256 = new("");

    /// <summary>Initializes a description, for example for the tests of code that uses detectors.</summary>
    public ModelInfo() { }

    internal ModelInfo(AnomalySystem system, Func<string> computeSha256)
    {
        SafetensorsFile file = system.File;
        SystemName = system.Name;
        Path = file.Name;
        FileBytes = file.Length;
        ImageSize = system.ImageSize;
        TakesClassName = system.TakesClassName;
        Metadata = file.Metadata;
        Tensors = file.Tensors.Count;
        Parameters = file.Tensors.Sum(t => t.ElementCount);
        StoredClasses = system.StoredClasses;
        AnyClass = system.AnyClass;
        sha256 = new Lazy<string>(computeSha256, LazyThreadSafetyMode.PublicationOnly);
    }

    /// <summary>Gets the published system: LiZAD, EdgeZSAD or VisualAD.</summary>
    public string SystemName { get; init; } = "";

    /// <summary>
    /// Gets the path of the file, or the name given for a stream or bytes; <see cref="AnomalyDetector.DefaultModelName"/> for the model
    /// in the box.
    /// </summary>
    public string Path { get; init; } = "";

    /// <summary>Gets the size of the file in bytes.</summary>
    public long FileBytes { get; init; }

    /// <summary>Gets the number of elements in all tensors of the file.</summary>
    public long Parameters { get; init; }

    /// <summary>Gets the number of tensors in the file.</summary>
    public int Tensors { get; init; }

    /// <summary>Gets the width and height in pixels that every picture is resized to, whatever its shape.</summary>
    public int ImageSize { get; init; }

    /// <summary>Gets whether a detection depends on the name of a class.</summary>
    public bool TakesClassName { get; init; }

    /// <summary>Gets whether any class can be named, because the file holds a text tower.</summary>
    public bool AnyClass { get; init; }

    /// <summary>Gets the classes whose embeddings the file holds.</summary>
    public IReadOnlyList<string> StoredClasses { get; init; } = [];

    /// <summary>Gets the metadata of the file.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// Gets the SHA-256 of the file in lower-case hexadecimal. It is computed when it is first asked for, by reading the whole file.
    /// </summary>
    /// <exception cref="ObjectDisposedException">It was never computed, and the detector is disposed.</exception>
    public string Sha256
    {
        get => sha256.Value;
        init => sha256 = new Lazy<string>(value);
    }
}
