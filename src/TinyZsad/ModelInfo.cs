using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad;

/// <summary>
/// What a model file is. Stays readable after the detector is disposed, but for <see cref="Sha256"/> if it was never asked for
/// before.
/// </summary>
public sealed class ModelInfo
{
    private readonly Lazy<string> sha256;

    internal ModelInfo(AnomalySystem system)
    {
        SafetensorsFile file = system.File;
        System = system.Name;
        Path = file.Name;
        FileBytes = file.Length;
        ImageSize = system.ImageSize;
        TakesClassName = system.TakesClassName;
        Metadata = file.Metadata;
        Tensors = file.Tensors.Count;
        Parameters = file.Tensors.Sum(t => t.ElementCount);
        StoredClasses = system.StoredClasses;
        AnyClass = system.AnyClass;
        sha256 = new Lazy<string>(file.ComputeSha256);
    }

    /// <summary>The published system: LiZAD, EdgeZSAD, VisualAD.</summary>
    public string System { get; }

    /// <summary>The file it was loaded from; <see cref="AnomalyDetector.DefaultModelName"/> for the model in the box.</summary>
    public string Path { get; }

    /// <summary>Size of the file.</summary>
    public long FileBytes { get; }

    /// <summary>Numbers in all tensors of the file.</summary>
    public long Parameters { get; }

    /// <summary>Tensors in the file.</summary>
    public int Tensors { get; }

    /// <summary>Pictures are brought to this many pixels each way, whatever their shape.</summary>
    public int ImageSize { get; }

    /// <summary>Whether detection asks for the name of a class.</summary>
    public bool TakesClassName { get; }

    /// <summary>Whether any class can be named: the file holds a text tower.</summary>
    public bool AnyClass { get; }

    /// <summary>Classes whose embeddings the file holds.</summary>
    public IReadOnlyList<string> StoredClasses { get; }

    /// <summary>The file's own words about itself.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>
    /// SHA-256 of the file, in lower-case hexadecimal; computed when first asked for, by reading the whole file.
    /// </summary>
    public string Sha256 => sha256.Value;
}
