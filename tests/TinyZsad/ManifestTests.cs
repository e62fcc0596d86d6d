using NUnit.Framework;
using TinyZsad.Models;
using TinyZsad.Tests.Cli;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>What is wrong with a case's manifest is one ModelFormatException that names the place.</summary>
public sealed class ManifestTests : InFolder
{
    private const string Network = """
        {"case": "c", "model": "m", "seed": 7, "metadata": {"a": "b"}, "tolerance": {"*": 1e-5},
         "tensors": [{"name": "w", "shape": [2, 3], "scale": 0.5, "offset": 0}],
         "taps": {"x": {"shape": [2, 3], "stride": 1, "norm": 1.5}}}
        """;

    private const string Preprocessing = """
        {"case": "c", "model": "m", "seed": 7, "mean": [0, 0, 0], "std": [1, 1, 1], "tensors": [], "tolerance": {"*": 1},
         "inputs": [{"image": "p.ppm", "size": 2, "taps": ["x", "y"], "byte_sum": 12}], "taps": {}}
        """;

    private const string Metrics = """
        {"image": {"r": {"auroc": 0.5, "ap": 0.5, "f1_max": 0.5}}, "pixel": {}}
        """;

    private const string Operations = """
        {"tensors": "tensors.safetensors", "cases": [{"name": "s", "op": "sigmoid", "params": {}, "expected": ["y"],
         "tolerance": 1e-6}]}
        """;

    [SetUp]
    public void Write()
    {
        float[] six = [1, 2, 3, 4, 5, 6];
        File.WriteAllBytes(In("p.ppm"), [.. "P6 1 1 255\n"u8, 1, 1, 1]);
        SafetensorsWriter.Write(In("expected.safetensors"), [TensorDeclaration.FromValues<float>("x", [2, 3], six)]);
        SafetensorsWriter.Write(In("tensors.safetensors"),
            [TensorDeclaration.FromValues<float>("s.x", [2, 3], six), TensorDeclaration.FromValues<float>("s.y", [2, 3], six)]);
        SafetensorsWriter.Write(In("arrays.safetensors"), [TensorDeclaration.FromValues<float>("image.r.scores", [6], six),
            TensorDeclaration.FromValues<int>("image.r.labels", [6], new int[] { 0, 1, 0, 1, 1, 0 })]);
    }

    [Test]
    public void Good_ones_are_read()
    {
        Assert.That(Taps(Network).Single().Shape, Is.EqualTo(new[] { 2, 3 }));
        Assert.That(Verify("manifest.json", Preprocessing).Single().Passed);
        Assert.That(Verify("expected.json", Metrics), Has.Count.EqualTo(3));
        Assert.That(Verify("cases.json", Operations), Has.Count.EqualTo(1));
    }

    [TestCase("", "", "not valid JSON")]
    [TestCase("{\"case\"", "[{\"case\"", "not valid JSON")]
    [TestCase("\"case\": \"c\"", "\"case\": 1", "'case' is the number 1; it must be a text")]
    [TestCase("\"case\": \"c\"", "\"case\": \"\\ud800\"", "'case' is a text; it must be a text of whole characters")]
    [TestCase("\"model\": \"m\", ", "", "'model' is missing")]
    [TestCase("\"seed\": 7", "\"seed\": -7", "'seed' is the number -7")]
    [TestCase("{\"a\": \"b\"}", "{\"a\": null}", "'metadata.a' is null; it must be a text")]
    [TestCase("{\"a\": \"b\"}", "{\"a\": \"b\", \"a\": \"c\"}", "'metadata.a' is a text; it must be given once")]
    [TestCase("{\"a\": \"b\"}", "[]", "'metadata' is a list; it must be an object")]
    [TestCase("\"shape\": [2, 3], \"scale\"", "\"shape\": [-2], \"scale\"", "'tensors[0].shape[0]' is the number -2")]
    [TestCase("\"shape\": [2, 3], \"scale\"", "\"shape\": [65536, 65537], \"scale\"", "at most 4294967296 numbers")]
    [TestCase("\"scale\": 0.5", "\"scale\": 1e999", "'tensors[0].scale'")]
    [TestCase("\"stride\": 1", "\"stride\": 0", "'taps.x.stride' is the number 0; it must be a whole number from 1")]
    [TestCase("\"norm\": 1.5", "\"norm\": true", "'taps.x.norm' is a truth value; it must be a finite number")]
    [TestCase("\"taps\": {\"x\"", "\"taps\": {\"z\"", "tap 'z' of the manifest is missing")]
    [TestCase("{\"*\": 1e-5}", "{\"*\": \"1e-5\"}", "'tolerance.*' is a text")]
    [TestCase("\"seed\": 7", "\"image\": \"none.png\", \"seed\": 7", "'image' is a text; it must be the path of a file; there is no")]
    [TestCase("\"seed\": 7", "\"image\": \"\\u0000\", \"seed\": 7", "'image' is a text; it must be the path of a file")]
    public void Wrong_ones_are_refused(string part, string instead, string says) =>
        Refuses(() => Taps(part.Length == 0 ? "" : Network.Replace(part, instead)), says);

    [TestCase("\"size\": 2", "\"size\": 0", "'inputs[0].size' is the number 0; it must be a whole number from 1 to 4096")]
    [TestCase("\"size\": 2", "\"size\": 1000000", "'inputs[0].size'")]
    [TestCase("\"mean\": [0, 0, 0]", "\"mean\": [0]", "'mean' is a list; it must be three numbers")]
    [TestCase("[\"x\", \"y\"]", "[\"x\"]", "'inputs[0].taps' is a list; it must be two names")]
    [TestCase("\"byte_sum\": 12", "\"bytesum\": 12", "'inputs[0].byte_sum' is missing")]
    [TestCase("\"inputs\": [{", "\"inputs\": [1, {", "'inputs[0]' is the number 1; it must be an object")]
    public void Wrong_pictures_are_refused(string part, string instead, string says) =>
        Refuses(() => Verify("manifest.json", Preprocessing.Replace(part, instead)), says);

    [TestCase(", \"tokens\": \"tokens.safetensors\"", "", "'tokens' is missing; it must be there")]
    [TestCase(", \"class_name\": \"nut\"", "", "'class_name' is missing; it must be there")]
    [TestCase("strings.json", "manifest.json", "it is an object; it must be a list")]
    [TestCase("strings.json", "two.json", "it is a list; it must be one of 1 strings, as there are rows of ids")]
    [TestCase("strings.json", "other.json", "'[0].needs' is missing")]
    [TestCase("tokens.safetensors", "expected.safetensors", "tensor 'strings' is missing")]
    [TestCase("tokens.safetensors", "narrow.safetensors", "[1, 76]; it must have a row of 77 ids")]
    [TestCase("tokens.safetensors", "beyond.safetensors", "has the id 49408 at [0, 3]; ids are 0 to 49407")]
    [TestCase("tokens.safetensors", "endless.safetensors", "has no id 49407 in row 0")]
    public void Wrong_strings_are_refused(string part, string instead, string says)
    {
        int[] good = ClipTokenizer.Shared.Encode("a nut"), beyond = [.. good], endless = new int[77];
        beyond[3] = 49408;
        (string, int[])[] rows = [("tokens", good), ("narrow", good[..76]), ("beyond", beyond), ("endless", endless)];
        foreach ((string name, int[] ids) in rows)
        {
            SafetensorsWriter.Write(In($"{name}.safetensors"),
                [TensorDeclaration.FromValues<int>("strings", [1, ids.Length], ids)]);
        }

        File.WriteAllText(In("strings.json"), """[{"text": "a nut", "needs": "core"}]""");
        File.WriteAllText(In("two.json"), """[{"text": "a nut", "needs": "core"}, {}]""");
        File.WriteAllText(In("other.json"), """[{"text": "a nut"}]""");
        Refuses(() => Verify("manifest.json", Network.Replace("\"seed\": 7", ("\"seed\": 7, \"strings\": \"strings.json\""
            + ", \"tokens\": \"tokens.safetensors\", \"class_name\": \"nut\"").Replace(part, instead))), says);
    }

    [TestCase("\"ap\": 0.5", "\"ape\": 0.5", "'image.r.ap' is missing")]
    [TestCase("\"r\": {", "\"q\": {", "tensor 'image.q.")]
    [TestCase("\"pixel\": {}", "\"pixel\": []", "'pixel' is a list; it must be an object")]
    public void Wrong_metrics_are_refused(string part, string instead, string says) =>
        Refuses(() => Verify("expected.json", Metrics.Replace(part, instead)), says);

    [TestCase("\"sigmoid\"", "\"bilinear\"", "'cases[0].params.align_corners' is missing")]
    [TestCase("\"sigmoid\"", "\"format\"", "which is not known")]
    [TestCase("[\"y\"]", "[\"y\", \"y\"]", "'cases[0].expected' is a list; it must be 1 names at most")]
    [TestCase("tensors.safetensors", "../none", "'tensors' is a text; it must be the path of a file")]
    public void Wrong_operations_are_refused(string part, string instead, string says) =>
        Refuses(() => Verify("cases.json", Operations.Replace(part, instead)), says);

    private IReadOnlyList<ExpectedTap> Taps(string manifest)
    {
        File.WriteAllText(In("manifest.json"), manifest);
        ReferenceCase reference = ReferenceCase.Open(Folder);
        GC.KeepAlive(reference.Image);
        return reference.ExpectedTaps();
    }

    private IReadOnlyList<TapComparison> Verify(string name, string json)
    {
        foreach (string other in new[] { "manifest.json", "expected.json", "cases.json" }) File.Delete(In(other));
        File.WriteAllText(In(name), json);
        return Verifier.Run(ReferenceCase.Open(Folder), threads: 1);
    }

    private void Refuses(Action read, string says) =>
        Assert.That(Assert.Throws<ModelFormatException>(read)!.Message, Does.StartWith(Folder).And.Contain(says));
}
