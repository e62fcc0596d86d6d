using NUnit.Framework;
using TinyZsad.Tests.Cli;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Weights;

/// <summary>Hugging Face's index of shards.</summary>
public sealed class ShardTests : InFolder
{
    [SetUp]
    public void Write()
    {
        SafetensorsWriter.Write(In("one.safetensors"), [TensorDeclaration.FromValues<float>("a", [2], new float[] { 1, 2 })]);
        SafetensorsWriter.Write(In("two.safetensors"),
            [TensorDeclaration.FromValues<double>("b", [1], new double[] { 3 }),
                TensorDeclaration.FromValues<long>("n", [1], new long[1])]);
    }

    [Test]
    public void Tensors_come_from_the_files_that_it_names()
    {
        using Checkpoint checkpoint = Checkpoint.Open(
            Index("""{"weight_map": {"b": "two.safetensors", "a": "one.safetensors"}}"""));
        Assert.That(checkpoint.Tensors.Select(t => t.ToString()), Is.EquivalentTo(new[] { "a: F32 [2]", "b: F64 [1]" }));
        Assert.That(checkpoint.Files.Select(f => f.Name), Is.EqualTo(new[] { "index.json", "one.safetensors",
            "two.safetensors" }));
        using SafetensorsFile two = SafetensorsFile.Open(In("two.safetensors"));
        Assert.That(checkpoint.Files[2].Sha256, Is.EqualTo(two.ComputeSha256()));
        Assert.That(checkpoint.Format, Is.EqualTo("safetensors in 2 files"));
    }

    [TestCase("""{"weight_map": {"a": "../one.safetensors"}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": "/etc/passwd"}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": "..\\one.safetensors"}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": "C:one.safetensors"}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": "one.safetensors\u0000.txt"}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": "\\\\host\\share\\one.safetensors"}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": "\ud800"}}""", "no valid JSON")]
    [TestCase("""{"weight_map": {"a": ".."}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": ""}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": 1}}""", "a file's name alone is right")]
    [TestCase("""{"weight_map": {"a": "three.safetensors"}}""", "which is not beside it")]
    [TestCase("""{"weight_map": {"c": "one.safetensors"}}""", "which it does not")]
    [TestCase("""{"weight_map": {"a": "one.safetensors", "a": "one.safetensors"}}""", "names 'a' twice")]
    [TestCase("""{"weight_map": ["a"]}""", "no object 'weight_map'")]
    [TestCase("""{"weight_map": {"a": "one.safetensors"}""", "no valid JSON")]
    [TestCase("""{"x": [[[[[[[[[[[[]]]]]]]]]]]]}""", "no valid JSON")]
    public void What_is_wrong_with_it_is_said(string json, string says)
    {
        string path = Index(json);
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(path).Dispose())!;
        Assert.That(error.Message, Does.StartWith($"{path}: ").And.Contain(says));
    }

    private string Index(string json)
    {
        string path = In("index.json");
        File.WriteAllText(path, json);
        return path;
    }
}
