using System.Collections.Immutable;
using NUnit.Framework;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Tests.Weights;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>A model file that lacks something, or holds it in another form, gives one error that names it.</summary>
[TestFixture]
public sealed class LiZadFileTests
{
    private const string Vocabulary = "text.token_embedding.weight";

    private static IEnumerable<string> TensorNames => TinyModel.Case.Tensors.Select(t => t.Name);

    private static void IsRefused(CaseModel model, string naming)
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => AnomalySystem.Load(model.Open(), Plans.Cpu()).Dispose())!;
        Assert.That(error.Message, Does.StartWith("tiny.safetensors: ").And.Contain(naming).And.EndsWith("."));
    }

    [TestCaseSource(nameof(TensorNames))]
    public void AMissingTensorIsNamed(string name)
    {
        TinyModel model = TinyModel.Whole();
        model.Tensors.Remove(name);
        IsRefused(model, $"tensor '{name}' is missing");
    }

    [TestCaseSource(nameof(TensorNames))]
    public void ATensorOfAnotherTypeIsNamed(string name)
    {
        TinyModel model = TinyModel.Whole();
        model.Redeclare(name, ElementType.I32, model.Tensors[name].Shape);
        IsRefused(model, $"tensor '{name}' holds I32, where F16, BF16 or F32 is needed");
    }

    [TestCaseSource(nameof(TensorNames))]
    public void ATensorOfAnotherRankIsNamed(string name)
    {
        TinyModel model = TinyModel.Whole();
        ImmutableArray<long> shape = [.. model.Tensors[name].Shape, 1];
        model.Redeclare(name, ElementType.F16, shape);
        IsRefused(model, $"tensor '{name}' has shape [{string.Join(", ", shape)}]");
    }

    private static IEnumerable<string> NamesButTheVocabularys => TensorNames.Where(n => n != Vocabulary);

    [Test]
    public void ALargerVocabularyGivesTheSame()
    {
        TinyModel model = TinyModel.Whole();
        ImmutableArray<long> shape = model.Tensors[Vocabulary].Shape;
        model.Redeclare(Vocabulary, ElementType.F16, shape.SetItem(0, shape[0] + 1));
        Assert.That(model.Taps()["head.map"], Is.EqualTo(TinyModel.Whole().Taps()["head.map"]));
    }

    /// <summary>A matrix's rows may be what tells how wide a layer is: then its neighbour is the one that does not fit.</summary>
    [TestCaseSource(nameof(NamesButTheVocabularys))]
    public void ATensorWithARowTooManyIsNamedOrItsNeighbour(string name)
    {
        TinyModel model = TinyModel.Whole();
        ImmutableArray<long> shape = model.Tensors[name].Shape;
        model.Redeclare(name, ElementType.F16, shape.SetItem(0, shape[0] + 1));
        IsRefused(model, $"tensor '{name[..(name.LastIndexOf('.') + 1)]}");
    }

    [Test]
    public void ATensorWithoutElementsIsNamed(
        [Values("vision.embeddings.cls_token", "vision.layer.0.mlp.up_proj.weight", "text.token_embedding.weight")] string name)
    {
        TinyModel model = TinyModel.Whole();
        ImmutableArray<long> shape = model.Tensors[name].Shape;
        model.Redeclare(name, ElementType.F16, shape.SetItem(shape.Length - 1, 0));
        IsRefused(model, $"tensor '{name}'");
    }

    [Test]
    public void AVocabularyTooSmallIsNamed()
    {
        TinyModel model = TinyModel.Whole();
        model.Redeclare("text.token_embedding.weight", ElementType.F16, [49407, 32]);
        IsRefused(model, "tensor 'text.token_embedding.weight' has 49407 rows");
    }

    private static IEnumerable<string> Keys => TinyModel.Case.Metadata.Keys;

    [TestCaseSource(nameof(Keys))]
    public void AMissingKeyIsNamed(string key)
    {
        TinyModel model = TinyModel.Whole();
        model.Metadata.Remove(key);
        IsRefused(model, $"metadata '{key}' is missing");
    }

    [TestCase("format", "onnx", "'format'")]
    [TestCase("format_version", "2", "'format_version'")]
    [TestCase("model", "yolo", "the model 'yolo'")]
    [TestCase("model", "LiZAD", "the model 'LiZAD'")]
    [TestCase("image_size", "15", "'image_size'")]
    [TestCase("image_size", "4097", "'image_size'")]
    [TestCase("image_size", "-70", "'image_size'")]
    [TestCase("image_size", "70.0", "'image_size'")]
    [TestCase("image_size", "99999999999", "'image_size'")]
    [TestCase("image_size", "", "'image_size'")]
    [TestCase("patch_size", "0", "'patch_size'")]
    [TestCase("patch_size", "65", "'patch_size'")]
    [TestCase("patch_size", "14", "vision.embeddings.patch_embeddings.weight")]
    [TestCase("vision_layers", "", "'vision_layers'")]
    [TestCase("vision_layers", "0,1,2,3", "'vision_layers'")]
    [TestCase("vision_layers", "1,2,3,257", "'vision_layers'")]
    [TestCase("vision_layers", "1,2,3,5", "vision.layer.4.")]
    [TestCase("vision_layers", "1,2,3,4,4", "head.patch_adapter.4.")]
    [TestCase("vision_layers", "1;2", "'vision_layers'")]
    [TestCase("vision_heads", "0", "'vision_heads'")]
    [TestCase("vision_heads", "3", "3 heads")]
    [TestCase("vision_heads", "32", "32 heads")]
    [TestCase("vision_heads", "65", "'vision_heads'")]
    [TestCase("vision_ln_eps", "-1", "'vision_ln_eps'")]
    [TestCase("vision_ln_eps", "NaN", "'vision_ln_eps'")]
    [TestCase("vision_ln_eps", "1,5", "'vision_ln_eps'")]
    [TestCase("rope_theta", "0", "'rope_theta'")]
    [TestCase("rope_theta", "1e10", "'rope_theta'")]
    [TestCase("rope_theta", "Infinity", "'rope_theta'")]
    [TestCase("text_heads", "0", "'text_heads'")]
    [TestCase("text_heads", "5", "5 heads")]
    [TestCase("text_context", "76", "'text_context'")]
    [TestCase("text_context", "78", "'text_context'")]
    [TestCase("text_ln_eps", "2", "'text_ln_eps'")]
    [TestCase("text_causal", "true", "text_causal")]
    [TestCase("text_causal", "no", "'text_causal'")]
    [TestCase("leaky_slope", "1.5", "'leaky_slope'")]
    [TestCase("logit_scale", "-1", "'logit_scale'")]
    [TestCase("logit_scale", "1e39", "'logit_scale'")]
    [TestCase("mean", "0.5", "'mean'")]
    [TestCase("mean", "0.5,0.5,NaN", "'mean'")]
    [TestCase("mean", "0.5,0.5,0.5,0.5", "'mean'")]
    [TestCase("std", "0.5,0.5,0", "'std'")]
    [TestCase("std", "0.5,0.5,-0.5", "'std'")]
    public void AWrongValueIsNamed(string key, string value, string naming)
    {
        TinyModel model = TinyModel.Whole();
        model.Metadata[key] = value;
        IsRefused(model, naming);
    }

    /// <summary>A few kilobytes must not ask for gigabytes.</summary>
    [Test]
    public void MorePatchesThanMemoryIsMadeForAreRefused()
    {
        TinyModel model = TinyModel.OfStoredClass();
        model.Redeclare("vision.embeddings.patch_embeddings.weight", ElementType.F16, [64, 3, 1, 1]);
        model.Metadata["patch_size"] = "1";
        model.Metadata["image_size"] = "4096";
        IsRefused(model, "image_size 4096 holds 4096 patches of 1 a side; at most 256");
    }

    [Test]
    public void APictureSmallerThanAPatchIsRefused()
    {
        TinyModel model = TinyModel.OfStoredClass();
        model.Redeclare("vision.embeddings.patch_embeddings.weight", ElementType.F16, [64, 3, 32, 32]);
        model.Metadata["patch_size"] = "32";
        model.Metadata["image_size"] = "31";
        IsRefused(model, "image_size 31");
    }

    [Test]
    public void ATextTowerOfAnotherWidthThanTheHeadIsRefused()
    {
        TinyModel model = TinyModel.Whole();
        model.Redeclare("text.text_projection", ElementType.F16, [32, 40]);
        IsRefused(model, "40");
    }

    [TestCase("text.normal.metal nut", "text.abnormal.metal nut")]
    [TestCase("text.abnormal.metal nut", "text.normal.metal nut")]
    public void HalfAStoredClassIsRefused(string kept, string missing)
    {
        TinyModel model = TinyModel.OfStoredClass();
        model.Tensors.Remove(missing);
        IsRefused(model, $"tensor '{missing}' is missing");
        model.Store(missing, new float[47]);
        IsRefused(model, $"tensor '{missing}' has shape [47]");
        Assert.That(model.Tensors, Does.ContainKey(kept));
    }

    [Test]
    public void WhatTheModelDoesNotKnowIsIgnored()
    {
        TinyModel model = TinyModel.OfStoredClass();
        float[] map = model.Taps()["head.map"];
        model.Store("vision.norm.weight", new float[3]);
        model.Store("head.temperature", new float[1]);
        model.Store("text.logit_scale", new float[1]);
        model.Store("anything \u00e9\u4e2d\ud83d\ude00", new float[5]);
        model.Tensors["numbers"] = TensorDeclaration.FromValues<long>("numbers", [2], new long[] { 1, 2 });
        model.Metadata["trained_on"] = "visa";
        Assert.That(model.Taps()["head.map"], Is.EqualTo(map));
    }

    [Test]
    public void FloatsAndHalvesOfTheSameValuesGiveTheSame()
    {
        Dictionary<string, float[]> halves = TinyModel.Whole().Taps(),
            floats = TinyModel.Whole().As(ElementType.F32, v => v).Taps();
        foreach ((string name, float[] values) in halves) Assert.That(floats[name], Is.EqualTo(values), name);
    }

    [Test]
    public void Bfloat16GivesWhatFloatsOfItsValuesGive()
    {
        static float Rounded(float v)
        {
            uint bits = BitConverter.SingleToUInt32Bits(v);
            return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
        }
        Dictionary<string, float[]> brief = TinyModel.Whole().As(ElementType.BF16, Rounded).Taps(),
            floats = TinyModel.Whole().As(ElementType.F32, Rounded).Taps();
        foreach ((string name, float[] values) in floats) Assert.That(brief[name], Is.EqualTo(values), name);
        Assert.That(brief["head.map"], Is.Not.EqualTo(TinyModel.Whole().Taps()["head.map"]), "bfloat16 keeps fewer bits");
    }

    /// <summary>
    /// Vectors of floats that a file happens to hold at an odd address are copied to where kernels may read them.
    /// </summary>
    [Test]
    public void TensorsMayLieAtOddAddresses()
    {
        CaseModel model = TinyModel.OfStoredClass().As(ElementType.F32, v => v);
        float[] map = model.Taps()["head.map"];
        model.Tensors["a"] = TensorDeclaration.FromValues<byte>("a", [1], new byte[1]);
        Assert.That(model.Taps()["head.map"], Is.EqualTo(map));
    }

    [Test]
    public void WithoutClassAdaptersThereIsTheSameMapButNoGlobalScore()
    {
        TinyModel model = TinyModel.OfStoredClass();
        using AnomalyDetector whole = AnomalyDetector.Load(model.Open());
        AnomalyResult expected = whole.Detect(TinyModel.Picture, TinyModel.ClassName);
        foreach (string name in TensorNames.Where(n => n.StartsWith("head.cls_adapter.", StringComparison.Ordinal)))
            model.Tensors.Remove(name);
        using AnomalyDetector detector = AnomalyDetector.Load(model.Open());
        AnomalyResult result = detector.Detect(TinyModel.Picture, TinyModel.ClassName);
        Assert.That(result.Score, Is.EqualTo(expected.Score));
        Assert.That(result.Map.Values.ToArray(), Is.EqualTo(expected.Map.Values.ToArray()));
        Assert.That(() => AnomalyDetector.Load(model.Open(), new DetectorOptions { Score = ImageScore.GlobalLogit }),
            Throws.InstanceOf<NotSupportedException>().With.Message.Contains("head.cls_adapter"));
    }

    [Test]
    public void AFileThatIsRefusedIsClosed()
    {
        TinyModel model = TinyModel.OfStoredClass();
        model.Tensors.Remove("vision.layer.3.norm2.bias");
        string path = TestFiles.NewPath();
        SafetensorsWriter.Write(path, model.Tensors.Values, model.Metadata);
        SafetensorsFile file = SafetensorsFile.Open(path, deleteOnClose: true);
        Assert.Throws<ModelFormatException>(() => AnomalySystem.Load(file, Plans.Cpu()));
        Assert.That(File.Exists(path), Is.False, "closing deletes it");
    }
}
