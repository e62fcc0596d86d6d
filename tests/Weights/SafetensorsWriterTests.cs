using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using NUnit.Framework;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

[TestFixture]
public sealed class SafetensorsWriterTests
{
    // The header and data that Python wrote:
    //   refgen.write_safetensors("g.safetensors", {
    //     "b": np.array([1, 2, 3], np.int32), "a.half": np.array([[1.5, -2.0]], np.float16),
    //     "\u00e9\U0001F600": np.array(0.1, np.float32), "\U0001F600": np.array([7], np.int32),
    //     "\uffee": np.zeros((0, 4), np.float32), 'q"\\\n\x7f/': np.array([-1], np.int64)},
    //     {"z": "last first", "model": "t\u00e9st\t\x01", "n": 3})
    // U+1F600 follows U+FFEE, though its UTF-16 surrogates (U+D83D ...) do not.
    private static readonly string PythonHeader = """
        {"__metadata__":{"z":"last first","model":"t\u00e9st\t\u0001","n":"3"},
        "a.half":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},
        "b":{"dtype":"I32","shape":[3],"data_offsets":[4,16]},
        "q\"\\\n\u007f/":{"dtype":"I64","shape":[1],"data_offsets":[16,24]},
        "\u00e9\ud83d\ude00":{"dtype":"F32","shape":[1],"data_offsets":[24,28]},
        "\uffee":{"dtype":"F32","shape":[0,4],"data_offsets":[28,28]},
        "\ud83d\ude00":{"dtype":"I32","shape":[1],"data_offsets":[28,32]}}
        """.ReplaceLineEndings("");

    private const string PythonData =
        "003e00c0" + "010000000200000003000000" + "ffffffffffffffff" + "cdcccc3d" + "07000000";

    [Test]
    public void BytesAreThoseOfThePythonWriter()
    {
        byte[] written = TestFiles.Written(
            [
                TensorDeclaration.FromValues<int>("b", [3], new[] { 1, 2, 3 }),
                TensorDeclaration.FromValues<Half>("a.half", [1, 2], new[] { (Half)1.5f, (Half)(-2) }),
                TensorDeclaration.FromValues<float>("\u00e9\U0001F600", [1], new[] { 0.1f }),
                TensorDeclaration.FromValues<int>("\U0001F600", [1], new[] { 7 }),
                TensorDeclaration.FromValues<float>("\uffee", [0, 4], Array.Empty<float>()),
                TensorDeclaration.FromValues<long>("q\"\\\n\x7f/", [1], new[] { -1L }),
            ],
            [new("z", "last first"), new("model", "t\u00e9st\t\x01"), new("n", "3")]);
        string header = PythonHeader.PadRight(456);
        byte[] expected = [.. TestFiles.Raw(header, 0), .. Convert.FromHexString(PythonData)];
        Assert.That(written, Is.EqualTo(expected));
    }

    [TestCaseSource(typeof(TestData), nameof(TestData.Safetensors))]
    public void RewritingAPythonFileGivesItsBytes(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        byte[] written = TestFiles.Written(
            file.Tensors.Reverse().Select(t => new TensorDeclaration(t.Name, t.Type, t.Shape, t.CopyTo)), file.Metadata);
        Assert.That(written.AsSpan().SequenceEqual(File.ReadAllBytes(path)), Is.True);
    }

    [Test]
    public void NoTensorsAndNoMetadataIsAnEmptyObject() =>
        Assert.That(TestFiles.Written([], []), Is.EqualTo(TestFiles.Raw("{}      ", 0)));

    [Test]
    public void WhatIsWrittenIsReadBack()
    {
        // Any names, types, shapes and bytes: read back the same, in the writer's order, tiling the file.
        Gen<Sample> tensor =
            from name in ArbMap.Default.GeneratorFor<string>().Where(s => s is not null && IsUnicode(s) && s != "__metadata__")
            from type in Gen.Elements(Enum.GetValues<ElementType>().Where(t => t != ElementType.Other).ToArray())
            from shape in Gen.Choose(0, 4).Select(d => (long)d).ListOf(4)
            from rank in Gen.Choose(0, 4)
            from seed in Gen.Choose(0, int.MaxValue)
            select Random(name, type, [.. shape.Take(rank)], seed);
        Gen<Sample[]> tensors = tensor.ListOf().Select(list => list.DistinctBy(t => t.Name).ToArray());
        Gen<Dictionary<string, string>> metadata = ArbMap.Default.GeneratorFor<string>().Where(s => s is not null && IsUnicode(s))
            .ListOf().Select(list => list.Distinct().ToDictionary(s => s, s => s + "\u2028é"));
        Prop.ForAll(Arb.From(tensors), Arb.From(metadata), ReadsBack).QuickCheckThrowOnFailure();
    }

    [Test]
    public void TensorsAreStreamed()
    {
        // 256 MB of content through an 8 KB buffer: the writer keeps none of it.
        const long Length = 256 << 20;
        TensorDeclaration tensor = new TensorDeclaration("big", ElementType.U8, [Length], stream =>
        {
            byte[] chunk = new byte[8192];
            for (long at = 0; at < Length; at += chunk.Length)
                stream.Write(chunk);
        });
        long before = GC.GetAllocatedBytesForCurrentThread();
        SafetensorsWriter.Write(Stream.Null, [tensor]);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(100_000));
    }

    [Test]
    public void AFileIsReplacedWhole()
    {
        string path = TestFiles.NewPath();
        File.WriteAllText(path, "what was there before");
        SafetensorsWriter.Write(path, [TensorDeclaration.FromValues<byte>("x", [3], new byte[] { 1, 2, 3 })]);
        using (SafetensorsFile file = SafetensorsFile.Open(path, deleteOnClose: true))
            Assert.That(file.Tensors[0].AsSpan<byte>().ToArray(), Is.EqualTo(new byte[] { 1, 2, 3 }));
    }

    [TestCase(2), TestCase(4)]
    public void AFailureLeavesNothingBehind(int written)
    {
        string folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        string path = Path.Combine(folder, "model.safetensors");
        File.WriteAllText(path, "what was there before");
        TensorDeclaration tensor = new TensorDeclaration("x", ElementType.U8, [3], stream => stream.Write(new byte[written]));
        Assert.That(() => SafetensorsWriter.Write(path, [tensor]),
            Throws.ArgumentException.With.Message.Contains("'x' of shape [3] and type U8 has 3 bytes")
                .And.Message.Contains($" {written}."));
        Assert.That(Directory.GetFiles(folder), Is.EqualTo(new[] { path }));
        Assert.That(File.ReadAllText(path), Is.EqualTo("what was there before"));
        Directory.Delete(folder, recursive: true);
    }

    [Test]
    public void AnErrorOfTheContentLeavesNothingBehind()
    {
        string folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        TensorDeclaration tensor = new TensorDeclaration("x", ElementType.U8, [3], _ => throw new TimeoutException());
        string path = Path.Combine(folder, "model.safetensors");
        Assert.That(() => SafetensorsWriter.Write(path, [tensor]), Throws.TypeOf<TimeoutException>());
        Assert.That(Directory.GetFiles(folder), Is.Empty);
        Directory.Delete(folder);
    }

    [Test]
    public void WrongDeclarationsAreRefused()
    {
        Assert.Multiple(() =>
        {
            Refused("__metadata__", () => Declare("__metadata__", [1]));
            Refused("half a surrogate pair", () => Declare("\ud83d", [1]));
            Refused("half a surrogate pair", () => Declare("\ude00\ud83d", [1]));
            Refused("has no shape", () => Declare("x", default));
            Refused("[2, -1]", () => Declare("x", [2, -1]));
            Refused("2^63", () => Declare("x", [1L << 32, 1L << 31]));
            Refused("2^63", () => Declare("x", [1L << 61]));
            Refused("65 dimensions", () => Declare("x", [.. Enumerable.Repeat(1L, 65)]));
            Refused("6 elements, not 5", () => TensorDeclaration.FromValues<int>("x", [2, 3], new int[5]));
            Refused("Char", () => TensorDeclaration.FromValues<char>("x", [1], new char[1]));
            Refused("'x' is given twice", () => TestFiles.Written([Declare("x", [0]), Declare("x", [0])]));
            Refused("2^63", () => TestFiles.Written([Declare("x", [1L << 60]), Declare("y", [1L << 60])]));
            Refused("'k' is given twice", () => TestFiles.Written([], [new("k", "a"), new("k", "b")]));
            Refused("'k' is null", () => TestFiles.Written([], [new("k", null!)]));
            Refused("'k' holds half", () => TestFiles.Written([], [new("k", "\ud83d")]));
            Refused("the format allows 100000000", () => TestFiles.Written([], [new("k", new string('a', 100_000_000))]));
        });

        static TensorDeclaration Declare(string name, ImmutableArray<long> shape) => new(name, ElementType.F32, shape, _ => { });

        static void Refused(string message, Action action) =>
            Assert.That(action, Throws.InstanceOf<ArgumentException>().With.Message.Contains(message));
    }

    private static bool IsUnicode(string text) => text == string.Concat(text.EnumerateRunes());

    private static Sample Random(string name, ElementType type, ImmutableArray<long> shape, int seed)
    {
        byte[] bytes = new byte[shape.Aggregate(1L, (a, b) => a * b) * type.ByteSize()];
        new Random(seed).NextBytes(bytes);
        return new(name, type, shape, bytes);
    }

    private static bool ReadsBack(Sample[] tensors, Dictionary<string, string> metadata)
    {
        IEnumerable<TensorDeclaration> declared =
            tensors.Select(t => new TensorDeclaration(t.Name, t.Type, t.Shape, stream => stream.Write(t.Bytes)));
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Written(declared, metadata), "property");
        Assert.That(file.Metadata, Is.EquivalentTo(metadata));
        Assert.That(file.Tensors, Has.Count.EqualTo(tensors.Length));
        foreach (Sample sample in tensors)
        {
            Assert.That(file.TryGet(sample.Name, out TensorEntry? read), Is.True);
            Assert.That(read!.Type, Is.EqualTo(sample.Type));
            Assert.That(read.Shape, Is.EqualTo(sample.Shape));
            Assert.That(read.AsBytes().ToArray(), Is.EqualTo(sample.Bytes));
        }
        return true;
    }

    private sealed record Sample(string Name, ElementType Type, ImmutableArray<long> Shape, byte[] Bytes);
}
