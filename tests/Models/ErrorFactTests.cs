using NUnit.Framework;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>The error of a model names the tensor or the metadata key that is wrong, as a property.</summary>
[TestFixture]
public sealed class ErrorFactTests
{
    private const string Norm = "vision.layer.0.norm1.weight", Vocabulary = "text.token_embedding.weight";

    [Test]
    public void AWrongTensor([Values("missing", "type", "shape", "rank")] string damage)
    {
        TinyModel model = TinyModel.Whole();
        if (damage == "missing") model.Tensors.Remove(Norm);
        else if (damage == "type") model.Redeclare(Norm, ElementType.I32, model.Tensors[Norm].Shape);
        else if (damage == "shape") model.Redeclare(Norm, ElementType.F16, model.Tensors[Norm].Shape.SetItem(0, 1));
        else model.Redeclare(Norm, ElementType.F16, [.. model.Tensors[Norm].Shape, 1]);
        Names(model.Open(), Norm, null);
    }

    [Test]
    public void AVocabularyTooSmall()
    {
        TinyModel model = TinyModel.Whole();
        model.Redeclare(Vocabulary, ElementType.F16, [49407, 32]);
        Names(model.Open(), Vocabulary, null);
    }

    [TestCase("model", "yolo")]
    [TestCase("format", "onnx")]
    [TestCase("image_size", "x")]
    [TestCase("patch_size", "64", "image_size", "32")]
    [TestCase("vision_heads", "3")]
    [TestCase("text_heads", "5")]
    [TestCase("text_causal", "true")]
    public void AWrongKeyOfLiZad(string key, string value, string? wrong = null, string? size = null)
    {
        TinyModel model = TinyModel.Whole();
        model.Metadata[key] = value;
        if (size is not null) model.Metadata["image_size"] = size;
        Names(model.Open(), null, wrong ?? key);
    }

    [TestCase("variant", "tiny_vit_99m", "variant")]
    [TestCase("variant", "tiny_vit_21m_512", "image_size")]
    [TestCase("dims", "33,64,96,128", "dims")]
    [TestCase("depths", "1,1,1,1", "depths")]
    [TestCase("heads", "1,2,5,4", "heads")]
    [TestCase("mlp_ratio", null, "mlp_ratio")]
    public void AWrongKeyOfEdgeZsad(string key, string? value, string wrong)
    {
        EdgeModel model = EdgeModel.Whole();
        if (value is null) model.Metadata.Remove(key);
        else model.Metadata[key] = value;
        Names(model.Open(), null, wrong);
    }

    [Test]
    public void ATensorThatDoesNotBelongToTheReadout()
    {
        EdgeModel model = EdgeModel.Whole();
        model.Store("head.fc.weight", new float[8]);
        Names(model.Open(), "head.fc.weight", null);
    }

    [Test]
    public void AWrongKeyOrTensorOfVisualAd()
    {
        Names(new SeededVisualAd { Backbone = "resnet" }.Open(), null, "backbone");
        Names(new SeededVisualAd { FeaturesList = "1,1" }.Open(), null, "features_list");
        Names(new SeededVisualAd { ImageSize = 57 }.Open(), null, "image_size");
        Names(new SeededVisualAd { Heads = 3 }.Open(), null, "heads");
        Names(new SeededVisualAd().Open(t => t.Name == "vision.ln_pre.bias" ? null : t), "vision.ln_pre.bias", null);
    }

    private static void Names(SafetensorsFile file, string? tensor, string? key)
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => AnomalySystem.Load(file, Plans.Cpu()).Dispose())!;
        Assert.That((error.File, error.Tensor, error.Key), Is.EqualTo((file.Name, tensor, key)));
    }
}
