using System.Collections.Immutable;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>Represents the expected values of a tap, an intermediate value of a network.</summary>
/// <param name="Name">The name of the tap.</param>
/// <param name="Shape">The shape of the whole tap.</param>
/// <param name="Stride">The distance of the stored values in row-major order, at least 1.</param>
/// <param name="Norm">The L2 norm of the whole tap; null if it is not known.</param>
/// <param name="Expected">The stored values: every <paramref name="Stride"/>-th value, from the first.</param>
/// <param name="Tolerance">
/// The limit of the largest absolute error divided by the largest absolute expected value; 0 for equality.
/// </param>
/// <param name="L2Tolerance">The limit of the relative L2 error; null for none.</param>
internal sealed record ExpectedTap(string Name, IReadOnlyList<int> Shape, int Stride, double? Norm, float[] Expected, double Tolerance,
    double? L2Tolerance = null);

/// <summary>Specifies what a reference case compares.</summary>
internal enum ReferenceCaseKind
{
    /// <summary>The taps of a network.</summary>
    Network,

    /// <summary>Resized and normalized images.</summary>
    Preprocessing,

    /// <summary>The maps, masks, scores and metrics of a small test set.</summary>
    Evaluation,

    /// <summary>The metrics of given scores and maps.</summary>
    Metrics,

    /// <summary>Single operations and blocks of the networks.</summary>
    Operations,
}

/// <summary>Represents an image of a case with several images.</summary>
/// <param name="Path">The path of the image.</param>
/// <param name="Content">The entry in the manifest.</param>
internal sealed record ReferencePicture(string Path, ManifestValue Content);

/// <summary>
/// Represents a reference case: a folder with a manifest, an input, and expected values that the original code of a system computed in
/// double precision. Weights are generated from a seed instead of stored. The format is described in <c>tests/reference/README.md</c>.
/// Instances are immutable and thread safe.
/// </summary>
public sealed class ReferenceCase
{
    private const string ManifestName = "manifest.json", ArraysName = "arrays.safetensors",
        ExpectedName = "expected.json", OperationsName = "cases.json";

    /// <summary>The maximum number of elements of all tensors of a case, 2^32. A few bytes of a manifest can request many.</summary>
    private const long MaxElements = 1L << 32;

    private readonly ManifestValue manifest;

    private ReferenceCase(string folder, ManifestValue manifest)
    {
        Folder = folder;
        this.manifest = manifest;
        Kind = manifest.Has("inputs") ? ReferenceCaseKind.Preprocessing
            : manifest.Has("dataset") ? ReferenceCaseKind.Evaluation : ReferenceCaseKind.Network;
        Name = manifest["case"].Text();
        Model = manifest["model"].Text();
        ClassName = manifest.TryGet("class_name", out ManifestValue name) ? name.Text() : null;
        // A case with strings needs their ids and a class. Missing keys are reported here rather than during a run.
        if (manifest.Has("strings")) _ = (manifest["tokens"], manifest["class_name"]);
        Metadata = Kind == ReferenceCaseKind.Preprocessing ? new Dictionary<string, string>()
            : manifest["metadata"].Members().ToDictionary(p => p.Name, p => p.Value.Text());
        ulong seed = manifest["seed"].UInt64();
        Tensors = [.. manifest["tensors"].Items().Select(t => new SeededTensor(
            t["name"].Text(), ShapeOf(t["shape"]), t["scale"].Number(), t["offset"].Number(), seed))];
        if (Tensors.Sum(t => (double)t.ElementCount) > MaxElements)
            throw manifest["tensors"].Error($"{MaxElements} numbers at most");
    }

    /// <summary>Initializes a case of metrics or operations, which has only expected values and no weights.</summary>
    private ReferenceCase(string folder, ReferenceCaseKind kind, ManifestValue content)
    {
        Folder = folder;
        manifest = content;
        Kind = kind;
        Name = Path.GetFileName(folder);
        Model = Path.GetFileName(Path.GetDirectoryName(folder)) ?? "";
        Metadata = new Dictionary<string, string>();
        Tensors = [];
    }

    /// <summary>Gets the full path of the folder.</summary>
    public string Folder { get; }

    /// <summary>Gets what the case compares.</summary>
    internal ReferenceCaseKind Kind { get; }

    /// <summary>Gets the name of the case.</summary>
    public string Name { get; }

    /// <summary>Gets the system that the case is for, such as "lizad"; for metrics and operations, the name of the parent folder.</summary>
    public string Model { get; }

    /// <summary>Gets the class whose text embeddings the case uses; null for none.</summary>
    public string? ClassName { get; }

    /// <summary>Gets the metadata of a model file of the case; empty if the case has no model.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Gets the weights, which are generated.</summary>
    internal IReadOnlyList<SeededTensor> Tensors { get; }

    /// <summary>Gets the path of the input image; null for none.</summary>
    /// <exception cref="ModelFormatException">The manifest names a file that does not exist.</exception>
    public string? Image => PathOf("image");

    /// <summary>Gets the path of the expected resized image, 8 bits per channel; null for none.</summary>
    /// <exception cref="ModelFormatException">The manifest names a file that does not exist.</exception>
    public string? Resized => PathOf("resized");

    /// <summary>
    /// Gets the path of the strings for the text tower; null for none. A case with strings also has token ids and a class name.
    /// </summary>
    /// <exception cref="ModelFormatException">The manifest names a file that does not exist.</exception>
    public string? Strings => PathOf("strings");

    /// <summary>Gets the path of the token ids of the strings, [strings, 77]; null for none.</summary>
    /// <exception cref="ModelFormatException">The manifest names a file that does not exist.</exception>
    public string? Tokens => PathOf("tokens");

    /// <summary>Opens a case.</summary>
    /// <param name="folder">The path of the folder, or of its manifest.json.</param>
    /// <returns>The case.</returns>
    /// <exception cref="ArgumentException"><paramref name="folder"/> is null or empty.</exception>
    /// <exception cref="FileNotFoundException">
    /// The folder holds neither manifest.json, nor cases.json, nor arrays.safetensors and expected.json.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="ModelFormatException">The file is not a valid reference case.</exception>
    public static ReferenceCase Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (Path.GetFileName(folder) == ManifestName) folder = Path.GetDirectoryName(folder)!;
        bool Holds(string name) => File.Exists(Path.Combine(folder, name));
        (string name, ReferenceCaseKind? kind) = Holds(ManifestName) ? (ManifestName, (ReferenceCaseKind?)null)
            : Holds(OperationsName) ? (OperationsName, ReferenceCaseKind.Operations)
            : Holds(ArraysName) && Holds(ExpectedName) ? (ExpectedName, ReferenceCaseKind.Metrics)
            : throw new FileNotFoundException(
                $"{folder} is no reference case: it holds no {ManifestName}.", Path.Combine(folder, ManifestName));
        ManifestValue content = ManifestValue.Read(Path.Combine(folder, name));
        return kind is null ? new ReferenceCase(folder, content) : new ReferenceCase(folder, kind.Value, content);
    }

    /// <summary>Reads the expected values of the taps.</summary>
    /// <returns>The taps, in the order in which a network computes them.</returns>
    /// <exception cref="FileNotFoundException">The file of expected values does not exist.</exception>
    /// <exception cref="ModelFormatException">The manifest is invalid, or the file does not hold a tap of the manifest.</exception>
    internal IReadOnlyList<ExpectedTap> ExpectedTaps()
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(Folder, "expected.safetensors"));
        return [.. manifest["taps"].Members().Select(tap =>
        {
            if (!file.TryGet(tap.Name, out TensorEntry? entry))
            {
                throw new ModelFormatException(file.Name, $"tap '{tap.Name}' of the manifest is missing.") { Tensor = tap.Name };
            }

            return new ExpectedTap(tap.Name, [.. tap.Value["shape"].Items().Select(d => d.Int(0, int.MaxValue))],
                tap.Value["stride"].Int(1, int.MaxValue), tap.Value["norm"].Number(),
                entry.AsSpan<float>().ToArray(), ToleranceOf(tap.Name));
        })];
    }

    /// <summary>Gets the manifest; for metrics and operations, the file of expected values.</summary>
    internal ManifestValue Content => manifest;

    /// <summary>Opens the arrays of a case of metrics.</summary>
    internal SafetensorsFile OpenArrays() => SafetensorsFile.Open(Path.Combine(Folder, ArraysName));

    /// <summary>Gets the images of an array of the manifest.</summary>
    internal IReadOnlyList<ReferencePicture> Pictures(string key) =>
        [.. manifest[key].Items().Select(i => new ReferencePicture(i["image"].FilePath(), i))];

    /// <summary>Gets the tolerance of a tap: that of the longest pattern in the manifest that matches its name.</summary>
    /// <param name="tap">The name of the tap.</param>
    /// <returns>The limit of the relative error; 0 if no pattern matches, which means equality.</returns>
    /// <exception cref="ModelFormatException">The manifest has no tolerances, or one of them is not a number.</exception>
    public double ToleranceOf(string tap) => manifest["tolerance"].Members()
        .Where(p => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(p.Name, tap, ignoreCase: false))
        .OrderByDescending(p => p.Name.Length).Select(p => p.Value.Number())
        .DefaultIfEmpty(0).First();

    /// <summary>Writes the model file of one or more cases: the tensors of all cases and the metadata of the first.</summary>
    /// <param name="path">The path of the file. An existing file is replaced.</param>
    /// <param name="cases">At least one case. Tensors of several cases must be equal, including the seed.</param>
    /// <remarks>
    /// If no case has a text tower, the expected values of <c>text.normal</c> and <c>text.abnormal</c> are stored for the class of their
    /// case, so that the vision part can be used alone.
    /// </remarks>
    /// <exception cref="ArgumentException">There is no case, or a tensor differs between cases.</exception>
    /// <exception cref="ModelFormatException">The expected values of a case cannot be read.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void WriteModel(string path, params IReadOnlyList<ReferenceCase> cases)
    {
        ArgumentOutOfRangeException.ThrowIfZero(cases.Count);
        Dictionary<string, SeededTensor> tensors = [];
        foreach (SeededTensor tensor in cases.SelectMany(c => c.Tensors))
        {
            if (!tensors.TryAdd(tensor.Name, tensor) && !tensor.Equals(tensors[tensor.Name]))
            {
                throw new ArgumentException(
                    $"The cases {string.Join(", ", cases.Select(c => c.Name))} do not belong together: tensor '{tensor.Name}' " +
                    "differs.", nameof(cases));
            }
        }

        Dictionary<string, TensorDeclaration> declarations = tensors.ToDictionary(t => t.Key, t => t.Value.Declare());
        if (!tensors.ContainsKey("text.token_embedding.weight"))
        {
            foreach (ReferenceCase c in cases.Where(c => c.ClassName is not null))
            {
                foreach (ExpectedTap tap in c.ExpectedTaps().Where(t => t.Name is "text.normal" or "text.abnormal"))
                {
                    string name = $"{tap.Name}.{c.ClassName}";
                    declarations[name] = TensorDeclaration.FromValues<float>(name, [tap.Expected.Length], tap.Expected);
                }
            }
        }

        SafetensorsWriter.Write(path, declarations.Values, cases[0].Metadata);
    }

    /// <summary>
    /// Writes the model file of one or more cases to the temporary folder of the system and opens it. Closing it deletes it.
    /// </summary>
    /// <param name="cases">At least one case. Tensors of several cases must be equal, including the seed.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="ArgumentException">There is no case, or a tensor differs between cases.</exception>
    /// <exception cref="ModelFormatException">The expected values of a case cannot be read.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static SafetensorsFile OpenModel(params IReadOnlyList<ReferenceCase> cases)
    {
        string path = Path.Combine(Path.GetTempPath(), $"tinyzsad-{Guid.NewGuid():N}.safetensors");
        try
        {
            WriteModel(path, cases);
            return SafetensorsFile.Open(path, deleteOnClose: true);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Gets the path of the file of an optional key; null if the manifest does not have it.</summary>
    internal string? PathOf(string key) => manifest.TryGet(key, out ManifestValue path) ? path.FilePath() : null;

    private static ImmutableArray<long> ShapeOf(ManifestValue shape)
    {
        ImmutableArray<long> dimensions = [.. shape.Items().Select(d => d.Count())];
        if (dimensions.Length > 64 || dimensions.Aggregate(1.0, (n, d) => n * d) > MaxElements)
            throw shape.Error($"at most 64 dimensions, of at most {MaxElements} numbers");
        return dimensions;
    }
}
