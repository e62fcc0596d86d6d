using System.Text;
using NUnit.Framework;
using TinyZsad.Tests.Models;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>Tensors of types that are not computed with stand in a file without spoiling the others.</summary>
[TestFixture]
public sealed class OtherTypeTests
{
    /// <summary>Sizes of 64 elements in bytes, as the format's own reader counts them; of an unknown type, any of a bit each.</summary>
    private static readonly (string Type, int Bytes)[] Types =
    [
        ("F4", 32), ("F6_E2M3", 48), ("F6_E3M2", 48), ("F8_E4M3", 64), ("F8_E5M2", 64), ("F8_E8M0", 64), ("F8_E4M3FNUZ", 64),
        ("F8_E5M2FNUZ", 64), ("C64", 512), ("F5_E9M9", 41), ("f32", 256), ("Other", 8), ("", 9), ("q\"\u001b", 11),
    ];

    [Test]
    public void Fail_when_they_are_asked_for_and_not_before()
    {
        byte[] bytes = File();
        using SafetensorsFile file = SafetensorsFile.Open(bytes, "a.safetensors");
        Assert.That(Get(file, "w").AsSpan<float>().Length, Is.EqualTo(1));
        foreach ((string type, int length) in Types)
        {
            TensorEntry tensor = Get(file, $"of {type}");
            Assert.That((tensor.Type, tensor.TypeName, tensor.ElementCount, tensor.ByteLength),
                Is.EqualTo((ElementType.Other, type, 64L, (long)length)));
            Assert.That(tensor.AsBytes().ToArray(), Is.EqualTo(bytes.AsSpan((int)tensor.Offset, length).ToArray()));
            ModelFormatException error = Assert.Throws<ModelFormatException>(() => tensor.AsSpan<float>())!;
            Assert.That(error.Tensor, Is.EqualTo($"of {type}"));
            Assert.That(error.Message, Does.Contain($"its elements are {Shown.Clip(type)}, which cannot be read as Single"));
        }
    }

    [Test]
    public void Fail_in_a_checkpoint_when_they_are_asked_for_and_not_before()
    {
        using Checkpoint checkpoint = Checkpoint.Open(File(), "a.safetensors");
        Assert.That(checkpoint.Tensors, Has.Count.EqualTo(Types.Length + 1));
        Assert.That(checkpoint.TryGet("of F8_E4M3", out CheckpointTensor? tensor));
        Assert.That((tensor!.IsFloat, tensor.ToString()), Is.EqualTo((false, "of F8_E4M3: F8_E4M3 [8, 8]")));
        Assert.That(tensor.Problem, Does.Contain("F8_E4M3").And.Contain("F64, F32, F16 and BF16"));
        Assert.That(checkpoint.TryGet("w", out CheckpointTensor? good));
        Assert.That(good!.Problem, Is.Null);
    }

    [Test]
    public void Are_copied_as_they_are()
    {
        byte[] bytes = File();
        using SafetensorsFile file = SafetensorsFile.Open(bytes, "a.safetensors");
        byte[] copy = TestFiles.Written(file.Tensors.Select(t => new TensorDeclaration(t)));
        using SafetensorsFile read = SafetensorsFile.Open(copy, "copy");
        foreach (TensorEntry tensor in file.Tensors)
        {
            TensorEntry other = Get(read, tensor.Name);
            Assert.That((other.TypeName, other.Shape.AsSpan().SequenceEqual(tensor.Shape.AsSpan())), Is.EqualTo((tensor.TypeName, true)));
            Assert.That(other.AsBytes().SequenceEqual(tensor.AsBytes()), tensor.Name);
        }
    }

    /// <summary>One more tensor changes nothing about a model, also not that it can be saved. A weight of such a type is refused.</summary>
    [Test]
    public void Do_not_spoil_a_model()
    {
        using SafetensorsFile other = SafetensorsFile.Open(File(), "a.safetensors");
        TinyModel model = TinyModel.OfStoredClass();
        model.Tensors["spare"] = Renamed(other, "of F8_E4M3", "spare");
        string path = TestFiles.NewPath();
        using (AnomalyDetector detector = AnomalyDetector.Load(model.Open()))
            detector.SaveWithClasses(path, [TinyModel.ClassName]);
        using (SafetensorsFile saved = SafetensorsFile.Open(path, deleteOnClose: true))
            Assert.That(Get(saved, "spare").TypeName, Is.EqualTo("F8_E4M3"));

        const string Weight = "vision.embeddings.cls_token";
        model.Tensors[Weight] = Renamed(other, "of F8_E4M3", Weight, [1, 1, 64]);
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => AnomalyDetector.Load(model.Open()).Dispose())!;
        Assert.That(error.Tensor, Is.EqualTo(Weight));
        Assert.That(error.Message, Does.Contain(Weight).And.Contain("holds F8_E4M3, where F16, BF16 or F32 is needed"));
    }

    /// <summary>Each entry takes memory, however few bytes it has: a header of many is refused before they are all there.</summary>
    [TestCase(true, 1 << 16, "__metadata__ has more than 65536 keys")]
    [TestCase(false, 1 << 18, "the header has more than 262144 tensors")]
    public void Entries_are_as_many_as_models_need_and_no_more(bool metadata, int most, string says)
    {
        using (SafetensorsFile full = SafetensorsFile.Open(Header(most), "full"))
            Assert.That(metadata ? full.Metadata.Count : full.Tensors.Count, Is.EqualTo(most));

        byte[] bytes = Header(4 * most);
        long before = GC.GetAllocatedBytesForCurrentThread();
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => SafetensorsFile.Open(bytes, "large").Dispose())!;
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.That(error.Message, Does.Contain(says));
        Assert.That(allocated / most, Is.LessThan(500), "bytes for each entry that is read");

        byte[] Header(int count)
        {
            IEnumerable<string> entries = Enumerable.Range(0, count)
                .Select(i => metadata ? $"\"{i}\":\"\"" : $$"""
                    "{{i}}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}
                    """);
            string json = string.Join(',', entries);
            return TestFiles.Raw(metadata ? $"{{\"__metadata__\":{{{json}}}}}" : $"{{{json}}}", 0);
        }
    }

    /// <summary>White space of JSON around the header, as the format's own reader accepts it.</summary>
    [Test]
    public void White_space_may_surround_a_header([Values("", " ", "\n", "\t", "\r", " \r\n\t")] string before,
        [Values("", " ", "\n", "\t", "\r", "\t\n\r ")] string behind)
    {
        string header = before + """{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""" + behind;
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Raw(header, 8), "a");
        using Checkpoint checkpoint = Checkpoint.Open(TestFiles.Raw(header, 8), "a");
        Assert.That((file.Tensors[0].ToString(), checkpoint.Tensors[0].ToString()), Is.EqualTo(("w: F32 [2]", "w: F32 [2]")));
    }

    /// <summary>A tensor of floats, and one of each other type, one behind the other.</summary>
    private static byte[] File()
    {
        StringBuilder header = new("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}""");
        int at = 4;
        foreach ((string type, int length) in Types)
        {
            string name = System.Text.Json.JsonSerializer.Serialize($"of {type}"), dtype = System.Text.Json.JsonSerializer.Serialize(type);
            header.Append($",{name}:{{\"dtype\":{dtype},\"shape\":[8,8],\"data_offsets\":[{at},{at + length}]}}");
            at += length;
        }
        return TestFiles.Raw(header.Append('}').ToString(), at);
    }

    private static TensorDeclaration Renamed(SafetensorsFile file, string name, string other, long[]? shape = null)
    {
        TensorEntry entry = Get(file, name);
        byte[] bytes = entry.AsBytes().ToArray();
        string dimensions = string.Join(',', shape ?? [.. entry.Shape]);
        byte[] renamed = TestFiles.Raw(
            $"{{\"{other}\":{{\"dtype\":\"{entry.TypeName}\",\"shape\":[{dimensions}],\"data_offsets\":[0,{bytes.Length}]}}}}",
            bytes.Length);
        return new TensorDeclaration(Get(SafetensorsFile.Open(renamed, other), other));
    }

    private static TensorEntry Get(SafetensorsFile file, string name) =>
        file.TryGet(name, out TensorEntry? tensor) ? tensor : throw new KeyNotFoundException(name);
}
