using System.Text;
using NUnit.Framework;
using TinyZsad.Conversion;
using TinyZsad.Tests.Cli;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>An error carries as properties what its message says: the tensor, the metadata key, the byte offset.</summary>
public sealed class ErrorFactTests : InFolder
{
    private const string A = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";

    [TestCaseSource(nameof(HeaderCases))]
    public void OfAHeader(byte[] bytes, string? tensor, string? key, long offset)
    {
        ModelFormatException error =
            Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(bytes, "bad.safetensors").Dispose())!;
        Assert.That((error.File, error.Tensor, error.Key, error.Offset), Is.EqualTo(("bad.safetensors", tensor, key, (long?)offset)));
    }

    public static TestCaseData[] HeaderCases() =>
    [
        Case("empty file", [], 0),
        Case("header longer than the file", [100, .. new byte[20]], 0),
        Case("header above 100 MB", [1, 2, 3, 4, 5, 6, 7, 8, .. "{}"u8], 0),
        Case("no object", TestFiles.Raw("[]", 0), 8),
        Case("bad UTF-8", TestFiles.Raw([.. "{\"é"u8, 0xFF, .. "\":1}"u8], 0), 12),
        Case("half an object", TestFiles.Raw("{", 0), 9),
        Case("trailing text", TestFiles.Raw("{} x", 0), 11),
        At("number in place of a tensor", """{"a":§17}""", tensor: "a"),
        At("broken JSON within a tensor", """{"a":{"dtype":§x}}""", tensor: "a"),
        At("type that is a number", """{"a":{"dtype":§33,"shape":[2],"data_offsets":[0,8]}}""", tensor: "a"),
        At("negative dimension", """{"a":{"dtype":"F32","shape":[§-2],"data_offsets":[0,8]}}""", tensor: "a"),
        At("bytes that disagree with the shape", """{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]§}}""", 8, "a"),
        At("tensor twice", "{" + A + "," + A[..^1] + "§}}", 8, "a"),
        At("broken JSON after a tensor", "{" + A + ",§}", 8),
        At("metadata of another kind", """{"__metadata__":{"ok":"1","k":§1}}""", key: "k"),
        At("metadata twice", """{"__metadata__":{"k":"1","k":§"2"}}""", key: "k"),
        At("metadata that is no object", """{"__metadata__":§null}"""),
        At("overlap", """{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}""",
            6, "b", data: 2),
        At("hole", """{"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", 4, "b", data: 2),
        At("bytes of no tensor", "{" + A + "}", 9, data: 8),
    ];

    [TestCaseSource(nameof(CheckpointCases))]
    public void OfACheckpoint(byte[] bytes, string? tensor, long? offset)
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(bytes, "bad.pt").Dispose())!;
        Assert.That((error.File, error.Tensor, error.Key, error.Offset), Is.EqualTo(("bad.pt", tensor, (string?)null, offset)));
    }

    public static TestCaseData[] CheckpointCases()
    {
        const long PickleStart = 40; // behind the local header and the name a/data.pkl
        byte[] plain = Archive(Pickle.Begin().Op('}').Item("w", p => p.Tensor("0", 6, [6], [1])).End());
        TorchFile compressed = TorchFile.Of(Pickle.Begin().Op('}').End());
        compressed.Method = 8;
        return
        [
            Case("legacy pickle", [0x80, 2, 0, 0], null, 0),
            Case("protocol 6", Archive([0x80, 6, (byte)'N', (byte)'.']), null, PickleStart + 2),
            Case("unknown opcode", Archive(Pickle.Begin().Op('N').Op('i').End()), null, PickleStart + 4),
            Case("archive cut short", plain[..^1], null, plain.Length - 1),
            Case("compressed", compressed.ToBytes(), null, 0),
            Case("two tensors of a name", Archive(Pickle.Begin().Op('}').Item("a.b", p => p.Tensor("0", 6, [6], [1]))
                .Item("a", p => p.Op('}').Item("b", q => q.Tensor("0", 6, [6], [1]))).End()), "a.b", null),
        ];

        static byte[] Archive(byte[] pickle) => TorchFile.Of(pickle).ToBytes();
        static TestCaseData Case(string name, byte[] bytes, string? tensor, long? offset) =>
            new TestCaseData(bytes, tensor, offset).SetArgDisplayNames(name);
    }

    [TestCase("{\"weight_map\":\n {\"a\": 1§x}}", null)]
    [TestCase("{\"weight_map\": {\"a\": \"../one.safetensors\"}}", "a")]
    [TestCase("{\"weight_map\": {\"a\": \"one.safetensors\", \"b\": \"one.safetensors\"}}", "b")]
    public void OfAnIndexOfShards(string json, string? tensor)
    {
        SafetensorsWriter.Write(In("one.safetensors"), [TensorDeclaration.FromValues<float>("a", [1], new float[1])]);
        string path = In("index.json");
        File.WriteAllText(path, json.Replace("§", "", StringComparison.Ordinal));
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(path).Dispose())!;
        int mark = json.IndexOf('§', StringComparison.Ordinal);
        Assert.That((error.File, error.Tensor, error.Offset), Is.EqualTo((path, tensor, mark < 0 ? null : (long?)mark)));
    }

    [Test]
    public void OfMetadata()
    {
        using SafetensorsFile file = TestFiles.WithMetadata(("format", "tinyzsad"), ("format_version", "2"), ("k", "x"));
        using SafetensorsFile other = TestFiles.WithMetadata(("format", "pt"));
        ModelMetadata metadata = new(file);
        Assert.Multiple(() =>
        {
            Names("format", () => new ModelMetadata(other).RequireModel());
            Names("format_version", () => metadata.RequireModel());
            Names("missing", () => metadata.Text("missing"));
            Names("missing", () => metadata.Ints("missing"));
            Names("k", () => metadata.Text("k", "a", "b"));
            Names("k", () => metadata.Int("k", 0, 1));
            Names("k", () => metadata.Floats("k", 2));
            Names("k", () => metadata.Floats("k"));
        });

        static void Names(string key, Action read) =>
            Assert.That(Assert.Throws<ModelFormatException>(() => read())!.Key, Is.EqualTo(key));
    }

    [Test]
    public void OfATensorReadAsAnotherType()
    {
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Raw("{" + A + "}", 8), "a.safetensors");
        Assert.That(Assert.Throws<ModelFormatException>(() => file.Tensors[0].AsSpan<int>())!.Tensor, Is.EqualTo("a"));
    }

    [Test]
    public void OfAStateDict()
    {
        byte[] bytes = TestFiles.Written([TensorDeclaration.FromValues<float>("model.a", [1], new float[1]),
            TensorDeclaration.FromValues<int>("model.i", [1], new int[1]),
            TensorDeclaration.FromValues<float>("model.e", [0], Array.Empty<float>())]);
        using Checkpoint checkpoint = Checkpoint.Open(bytes, "a.safetensors");
        StateDict state = StateDict.Find(checkpoint, "a")!;
        Assert.Multiple(() =>
        {
            Names("model.b", () => state.Take("b"));
            Names("model.i", () => state.Take("i"));
            Names("model.a", () => state.Take("a", 2));
            Names("model.e", () => state.Take("e"));
            Names("model.e", () => state.RefuseOthers("a network", "", name => name == "a"));
        });

        static void Names(string tensor, Action take)
        {
            ModelFormatException error = Assert.Throws<ModelFormatException>(() => take())!;
            Assert.That((error.File, error.Tensor), Is.EqualTo(("a.safetensors", tensor)));
        }
    }

    [Test]
    public void OfACheckpointThatIsNoModel()
    {
        SafetensorsWriter.Write(In("a.safetensors"), []);
        using ModelDraft draft = new();
        draft.Open("head", In("a.safetensors"));
        draft.Describe("format", "tinyzsad");
        draft.Describe("format_version", "1");
        draft.Describe("model", "yolo");
        ModelFormatException error = Assert.Throws<ModelFormatException>(
            () => draft.Write(In("model.safetensors"), new ConversionOptions(), [], false, default))!;
        Assert.That((error.File, error.Key), Is.EqualTo((In("a.safetensors"), "model")));
    }

    [TestCase("{\"case\":\n\n [1, 2§x]}", null)]
    [TestCase("{\"a\": 1}", "case")]
    [TestCase("{\"case\": \"c\", \"model\": \"m\", \"metadata\": {\"k\": 1}}", "metadata.k")]
    public void OfAManifest(string json, string? key)
    {
        string path = In("manifest.json");
        File.WriteAllText(path, json.Replace("§", "", StringComparison.Ordinal));
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => ReferenceCase.Open(path))!;
        int mark = json.IndexOf('§', StringComparison.Ordinal);
        Assert.That((error.File, error.Key, error.Offset), Is.EqualTo((path, key, mark < 0 ? null : (long?)mark)));
    }

    private static TestCaseData Case(string name, byte[] bytes, long offset) =>
        new TestCaseData(bytes, null, null, offset).SetArgDisplayNames(name);

    /// <summary>A header whose error is at the mark, which is taken out, or at a byte of the data.</summary>
    private static TestCaseData At(
        string name, string header, int dataLength = 0, string? tensor = null, string? key = null, int? data = null)
    {
        string json = header.Replace("§", "", StringComparison.Ordinal);
        long offset = 8 + (data is { } d ? Encoding.UTF8.GetByteCount(json) + d : header.IndexOf('§', StringComparison.Ordinal));
        return new TestCaseData(TestFiles.Raw(json, dataLength), tensor, key, offset).SetArgDisplayNames(name);
    }
}
