using System.Collections.Immutable;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>What a case says of one intermediate value.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its whole shape.</param>
/// <param name="Stride">Every Stride-th value of its row-major order is kept.</param>
/// <param name="Norm">L2 norm of the whole; null where it is not known.</param>
/// <param name="Expected">The kept values.</param>
/// <param name="Tolerance">Limit on (largest absolute error / largest absolute expected value); 0 means exact.</param>
public sealed record ExpectedTap(
    string Name, IReadOnlyList<int> Shape, int Stride, double? Norm, float[] Expected, double Tolerance);

/// <summary>What a reference case compares.</summary>
public enum ReferenceCaseKind
{
    /// <summary>A network, tap by tap.</summary>
    Network,

    /// <summary>Pictures after the resize, and normalised.</summary>
    Preprocessing,

    /// <summary>A small test set: maps, masks, scores, metrics.</summary>
    Evaluation,

    /// <summary>The metrics alone, on given scores and maps.</summary>
    Metrics,

    /// <summary>Single operations of the networks.</summary>
    Operations,
}

/// <summary>A picture of a case that examines several.</summary>
/// <param name="Path">The picture.</param>
/// <param name="Content">What the manifest says of it.</param>
internal sealed record ReferencePicture(string Path, ManifestValue Content);

/// <summary>
/// A folder of numbers to be equal to: a manifest with weights by rule, an input, and activations that the authors' own code
/// computed in double precision. The format is described in <c>tests/reference/README.md</c>, the rule of the weights in
/// <see cref="SeededTensor"/>.
/// </summary>
public sealed class ReferenceCase
{
    private const string ManifestName = "manifest.json", ArraysName = "arrays.safetensors",
        ExpectedName = "expected.json", OperationsName = "cases.json";

    /// <summary>The most numbers that all tensors of a case may have, 2^32: they are made by rule, of a few bytes each.</summary>
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
        // Strings come with their ids and a class to embed; what is missing of these is refused here, not in the middle of a run.
        if (manifest.Has("strings")) _ = (manifest["tokens"], manifest["class_name"]);
        Metadata = Kind == ReferenceCaseKind.Preprocessing ? new Dictionary<string, string>()
            : manifest["metadata"].Members().ToDictionary(p => p.Name, p => p.Value.Text());
        ulong seed = manifest["seed"].UInt64();
        Tensors = [.. manifest["tensors"].Items().Select(t => new SeededTensor(
            t["name"].Text(), ShapeOf(t["shape"]), t["scale"].Number(), t["offset"].Number(), seed))];
        if (Tensors.Sum(t => (double)t.ElementCount) > MaxElements)
            throw manifest["tensors"].Error($"{MaxElements} numbers at most");
    }

    /// <summary>Metrics and operations have no manifest and no weights: only the values they must have.</summary>
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

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>What it compares.</summary>
    public ReferenceCaseKind Kind { get; }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Which system it is for.</summary>
    public string Model { get; }

    /// <summary>The class whose text embeddings it works with, if any.</summary>
    public string? ClassName { get; }

    /// <summary>What a model file of this case carries as metadata.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The weights, by rule.</summary>
    internal IReadOnlyList<SeededTensor> Tensors { get; }

    /// <summary>The input picture, if the case has one.</summary>
    public string? Image => PathOf("image");

    /// <summary>The picture after the 8-bit resize, if the case has one.</summary>
    public string? Resized => PathOf("resized");

    /// <summary>
    /// Strings for the text side, if the case has them: then it has their token ids and a class name, too.
    /// </summary>
    public string? Strings => PathOf("strings");

    /// <summary>Token ids of all texts, [n, 77] each, if the case has them.</summary>
    public string? Tokens => PathOf("tokens");

    /// <summary>Reads a case.</summary>
    /// <param name="folder">The folder, or its manifest.json.</param>
    /// <exception cref="FileNotFoundException">
    /// The folder holds neither manifest.json, nor cases.json, nor arrays.safetensors and expected.json.
    /// </exception>
    /// <exception cref="ModelFormatException">It is no reference case.</exception>
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

    /// <summary>The expected values, in the order in which a network computes them.</summary>
    /// <exception cref="ModelFormatException">The manifest says something wrong of them, or the file does not hold them.</exception>
    public IReadOnlyList<ExpectedTap> ExpectedTaps()
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

    /// <summary>The manifest, or of a case of metrics the values they must have.</summary>
    internal ManifestValue Content => manifest;

    /// <summary>The arrays of a case of metrics.</summary>
    internal SafetensorsFile OpenArrays() => SafetensorsFile.Open(Path.Combine(Folder, ArraysName));

    /// <summary>The pictures that a list of the manifest names.</summary>
    internal IReadOnlyList<ReferencePicture> Pictures(string key) =>
        [.. manifest[key].Items().Select(i => new ReferencePicture(i["image"].FilePath(), i))];

    /// <summary>The limit that the manifest sets for a tap: that of the longest pattern that matches its name.</summary>
    /// <exception cref="ModelFormatException">It sets none, or one that is no number.</exception>
    public double ToleranceOf(string tap) => manifest["tolerance"].Members()
        .Where(p => System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(p.Name, tap, ignoreCase: false))
        .OrderByDescending(p => p.Name.Length).Select(p => p.Value.Number())
        .DefaultIfEmpty(0).First();

    /// <summary>Writes the model file that some cases describe together: their tensors, and the metadata of the first.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cases">At least one. Tensors that several hold must agree, seed included.</param>
    /// <remarks>
    /// Where no case holds a text tower but one expects <c>text.normal</c> and <c>text.abnormal</c>, these are stored for its
    /// class, so that the vision side can be used alone.
    /// </remarks>
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
    /// Makes the model file of some cases in the system's folder for temporary files and opens it; closing it deletes it.
    /// </summary>
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

    /// <summary>The file that a key names, if the manifest has the key.</summary>
    internal string? PathOf(string key) => manifest.TryGet(key, out ManifestValue path) ? path.FilePath() : null;

    private static ImmutableArray<long> ShapeOf(ManifestValue shape)
    {
        ImmutableArray<long> dimensions = [.. shape.Items().Select(d => d.Count())];
        if (dimensions.Length > 64 || dimensions.Aggregate(1.0, (n, d) => n * d) > MaxElements)
            throw shape.Error($"at most 64 dimensions, of at most {MaxElements} numbers");
        return dimensions;
    }
}
