using System.Collections.Immutable;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Tests.Weights;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>Weights by rule, bit for bit as Python makes them (<c>seeded.py</c>).</summary>
[TestFixture]
internal sealed class SeededTensorTests
{
    private static IEnumerable<TestCaseData> Cases()
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(TestData.Path("..", "TinyZsad", "seeded.json")));
        foreach (JsonElement c in document.RootElement.Clone().EnumerateArray())
        {
            ImmutableArray<long> shape = [.. c.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
            string name = c.GetProperty("name").GetString()!;
            SeededTensor tensor = new(name, shape, c.GetProperty("scale").GetDouble(), c.GetProperty("offset").GetDouble(),
                ulong.Parse(c.GetProperty("seed").GetString()!));
            yield return new TestCaseData(tensor, c.GetProperty("at").Deserialize<int[]>(),
                c.GetProperty("bits").Deserialize<ushort[]>()).SetArgDisplayNames($"'{name}'");
        }
    }

    [TestCaseSource(nameof(Cases))]
    public void EqualsPython(SeededTensor tensor, int[] at, ushort[] bits)
    {
        Assert.That(at.Select(i => BitConverter.HalfToUInt16Bits(tensor[i])), Is.EqualTo(bits));
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Written([tensor.Declare()]), "seeded");
        ushort[] written = file.Tensors[0].AsSpan<ushort>().ToArray();
        Assert.That(file.Tensors[0].Shape, Is.EqualTo(tensor.Shape));
        Assert.That(at.Select(i => written[i]), Is.EqualTo(bits), "as a file holds it");
    }

    [Test]
    public void IsEqualWhereEverythingIs()
    {
        SeededTensor a = new("a", [2, 3], 1, 0, 7);
        Assert.That(a, Is.EqualTo(new SeededTensor("a", [2, 3], 1, 0, 7)));
        foreach (SeededTensor other in new SeededTensor[] { new("b", [2, 3], 1, 0, 7), new("a", [3, 2], 1, 0, 7),
            new("a", [2, 3], 2, 0, 7), new("a", [2, 3], 1, 1, 7), new("a", [2, 3], 1, 0, 8) })
        {
            Assert.That(a, Is.Not.EqualTo(other));
        }
    }

    [Test]
    public void CasesThatDisagreeMakeNoModel()
    {
        ReferenceCase tiny = ReferenceCase.Open(TestData.Path("lizad", "tiny")),
            text = ReferenceCase.Open(TestData.Path("lizad", "text"));
        Assert.That(() => ReferenceCase.WriteModel(TestFiles.NewPath(), tiny, text),
            Throws.ArgumentException.With.Message.Contains("do not belong together"));
        Assert.That(() => ReferenceCase.WriteModel(TestFiles.NewPath()), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }
}
