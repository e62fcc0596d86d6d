using System.Collections.Immutable;
using NUnit.Framework;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>
/// An EdgeZSAD file that lacks something, or contradicts itself, gives one error that names it; what does not matter does not
/// matter.
/// </summary>
[TestFixture]
public sealed class EdgeZsadFileTests
{
    private static IEnumerable<string> TensorNames => EdgeModel.Tiny.Case.Tensors.Select(t => t.Name);

    private static IEnumerable<string> Keys => EdgeModel.Tiny.Case.Metadata.Keys;

    private static void IsRefused(CaseModel model, string naming)
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => AnomalySystem.Load(model.Open(), Plans.Cpu()).Dispose())!;
        Assert.That(error.Message, Does.StartWith("tiny.safetensors: ").And.Contain(naming).And.EndsWith("."));
    }

    private static void GivesTheSame(CaseModel model, CaseModel other)
    {
        Dictionary<string, float[]> expected = other.Taps(), taps = model.Taps();
        Assert.That(expected, Does.ContainKey("map.final").And.ContainKey("score.logit").And.ContainKey("local.logits"));
        foreach ((string name, float[] values) in expected) Assert.That(taps[name], Is.EqualTo(values), name);
    }

    [TestCaseSource(nameof(TensorNames))]
    public void AMissingTensorIsNamed(string name)
    {
        EdgeModel model = EdgeModel.Whole();
        model.Tensors.Remove(name);
        IsRefused(model, $"tensor '{name}' is missing");
    }

    [TestCaseSource(nameof(TensorNames))]
    public void ATensorOfAnotherTypeIsNamed(string name)
    {
        EdgeModel model = EdgeModel.Whole();
        model.Redeclare(name, ElementType.I32, model.Tensors[name].Shape);
        IsRefused(model, $"tensor '{name}' holds I32, where F16, BF16 or F32 is needed");
    }

    [TestCaseSource(nameof(TensorNames))]
    public void ATensorOfAnotherRankIsNamed(string name)
    {
        EdgeModel model = EdgeModel.Whole();
        ImmutableArray<long> shape = [.. model.Tensors[name].Shape, 1];
        model.Redeclare(name, ElementType.F16, shape);
        IsRefused(model, $"tensor '{name}' has shape [{string.Join(", ", shape)}]");
    }

    [TestCaseSource(nameof(TensorNames))]
    public void ATensorOfAnotherSizeIsNamed(string name)
    {
        ImmutableArray<long> shape = EdgeModel.Whole().Tensors[name].Shape;
        for (int i = 0; i < shape.Length; i++)
        {
            EdgeModel model = EdgeModel.Whole();
            model.Redeclare(name, ElementType.F16, shape.SetItem(i, shape[i] + 1));
            IsRefused(
                model,
                $"tensor '{name}' has shape [{string.Join(", ", shape.SetItem(i, shape[i] + 1))}], where " +
                $"[{string.Join(", ", shape)}] is needed");
        }
    }

    [TestCase("head.glr.local.hidden.weight")]
    [TestCase("head.glr.global.norm.weights")]
    [TestCase("head.fc.weight")]
    [TestCase("head.fusion.alpha")]
    [TestCase("head.global.norm.weight")]
    public void AReadoutThatIsNotOursIsRefused(string name)
    {
        EdgeModel model = EdgeModel.Whole();
        model.Store(name, new float[128]);
        IsRefused(model, $"tensor '{name}' does not belong to the readout");
    }

    [Test]
    public void ABackboneAloneHasNoTrainedReadout([Values] bool withClassifier)
    {
        EdgeModel model = EdgeModel.Whole();
        foreach (string name in TensorNames.Where(n => n.StartsWith("head.", StringComparison.Ordinal)))
            model.Tensors.Remove(name);
        if (withClassifier) model.Store("vision.head.fc.bias", new float[1000]);
        IsRefused(model, "without a trained readout");
    }

    [TestCaseSource(nameof(Keys))]
    public void AMissingKeyIsNamed(string key)
    {
        EdgeModel model = EdgeModel.Whole();
        model.Metadata.Remove(key);
        IsRefused(model, $"metadata '{key}' is missing");
    }

    [TestCase("format", "onnx", "'format'")]
    [TestCase("format_version", "2", "'format_version'")]
    [TestCase("model", "EdgeZSAD", "the model 'EdgeZSAD'")]
    [TestCase("variant", "tiny_vit_99m", "metadata 'variant' is 'tiny_vit_99m'; known are tiny_vit_5m_224,")]
    [TestCase("variant", "", "'variant'")]
    [TestCase("variant", "Custom", "'variant'")]
    [TestCase("variant", "tiny_vit_21m_512", "metadata 'image_size' is '64', which is not that of its variant")]
    [TestCase("resize", "letterbox", "'resize'")]
    [TestCase("resize", "squash-bilinear", "'resize'")]
    [TestCase("image_size", "31", "'image_size'")]
    [TestCase("image_size", "2049", "'image_size'")]
    [TestCase("image_size", "-64", "'image_size'")]
    [TestCase("image_size", "64.0", "'image_size'")]
    [TestCase("dims", "32,64,96", "'dims'")]
    [TestCase("dims", "32,64,96,128,160", "'dims'")]
    [TestCase("dims", "0,64,96,128", "'dims'")]
    [TestCase("dims", "32,64,96,2049", "'dims'")]
    [TestCase("dims", "33,64,96,128", "metadata 'dims' begins with 33, where an even number is needed")]
    [TestCase("dims", "34,64,96,128", "tensor 'vision.patch_embed.conv1.conv.weight'")]
    [TestCase("dims", "32,66,96,128", "tensor 'vision.stages.1.downsample.conv1.conv.weight'")]
    [TestCase("dims", "32,64,99,128", "tensor 'head.glr.local.norm.weight'")]
    [TestCase("depths", "1,1,2", "'depths'")]
    [TestCase("depths", "1,1,0,1", "'depths'")]
    [TestCase("depths", "1,1,65,1", "'depths'")]
    [TestCase("depths", "2,1,2,1", "tensor 'vision.stages.0.blocks.1.conv1.conv.weight' is missing")]
    [TestCase("depths", "1,1,3,1", "tensor 'vision.stages.2.blocks.2.attn.norm.weight' is missing")]
    [TestCase("depths", "1,1,1,1", "metadata 'depths'")]
    [TestCase("heads", "1,2,3", "'heads'")]
    [TestCase("heads", "1,0,3,4", "'heads'")]
    [TestCase("heads", "1,2,5,4", "stage 2 has 96 channels, which cannot be divided into 5 heads")]
    [TestCase("heads", "1,2,6,4", "tensor 'vision.stages.2.blocks.0.attn.attention_biases'")]
    [TestCase("windows", "4,4,4", "'windows'")]
    [TestCase("windows", "4,4,4,0", "'windows'")]
    [TestCase("windows", "4,4,4,257", "'windows'")]
    [TestCase("windows", "4,5,4,2", "tensor 'vision.stages.1.blocks.0.attn.attention_biases'")]
    [TestCase("mlp_ratio", "0", "'mlp_ratio'")]
    [TestCase("mlp_ratio", "3", "tensor 'vision.stages.1.blocks.0.mlp.fc1.weight'")]
    [TestCase("expand_ratio", "17", "'expand_ratio'")]
    [TestCase("expand_ratio", "3", "tensor 'vision.stages.0.blocks.0.conv1.conv.weight'")]
    [TestCase("layer_norm_eps", "-1e-5", "'layer_norm_eps'")]
    [TestCase("layer_norm_eps", "NaN", "'layer_norm_eps'")]
    [TestCase("batch_norm_eps", "2", "'batch_norm_eps'")]
    [TestCase("batch_norm_eps", "1,5", "'batch_norm_eps'")]
    [TestCase("local_stage", "4", "'local_stage'")]
    [TestCase("local_stage", "1", "tensor 'head.glr.local.norm.weight'")]
    [TestCase("global_stage", "-1", "'global_stage'")]
    [TestCase("global_stage", "2", "tensor 'head.glr.global.norm.weight'")]
    [TestCase("topk", "0", "'topk'")]
    [TestCase("topk", "17", "metadata 'topk' is '17'; it must be a whole number from 1 to 16")]
    [TestCase("mean", "0.5", "'mean'")]
    [TestCase("mean", "0.5,0.5,NaN", "'mean'")]
    [TestCase("std", "0.5,0.5,0", "'std'")]
    [TestCase("std", "0.5,0.5,-0.5", "'std'")]
    public void AWrongValueIsNamed(string key, string value, string naming)
    {
        EdgeModel model = EdgeModel.Whole();
        model.Metadata[key] = value;
        IsRefused(model, naming);
    }

    [TestCase("image_size", "256", "metadata 'image_size' is '256', which is not that of its variant 'tiny_vit_5m_224'")]
    [TestCase("dims", "64,128,160,352", "metadata 'dims' is '64,128,160,352', which is not that of its variant")]
    [TestCase("depths", "2,2,6,3", "metadata 'depths' is '2,2,6,3', which is not that of its variant")]
    [TestCase("heads", "2,4,5,5", "metadata 'heads' is '2,4,5,5', which is not that of its variant")]
    [TestCase("windows", "7,7,7,7", "metadata 'windows' is '7,7,7,7', which is not that of its variant")]
    [TestCase("heads", "99,4,5,10", "tensor '")]
    [TestCase("windows", "99,7,14,7", "tensor '")]
    public void APublishedVariantHasThePublishedSizes(string key, string value, string naming)
    {
        EdgeModel model = EdgeModel.Whole();
        (model.Metadata["variant"], model.Metadata["image_size"], model.Metadata["depths"]) =
            ("tiny_vit_5m_224", "224", "2,2,6,2");
        (model.Metadata["dims"], model.Metadata["heads"], model.Metadata["windows"]) = ("64,128,160,320", "2,4,5,10", "7,7,14,7");
        model.Metadata[key] = value;
        IsRefused(model, naming);
    }

    /// <summary>
    /// A megabyte must not ask for gigabytes: neither by the size of the picture nor by windows that are larger than the map.
    /// </summary>
    [TestCase("2048", "256,64,96,128", "4,4,4,2", "stage 0")]
    [TestCase("64", "32,2048,96,128", "4,256,4,2", "stage 1")]
    public void MapsLargerThanMemoryIsMadeForAreRefused(string imageSize, string dims, string windows, string naming)
    {
        EdgeModel model = EdgeModel.Whole();
        (model.Metadata["image_size"], model.Metadata["dims"], model.Metadata["windows"]) = (imageSize, dims, windows);
        (model.Metadata["expand_ratio"], model.Metadata["mlp_ratio"]) = ("16", "16");
        IsRefused(model, naming);
        IsRefused(model, $"image_size {imageSize}");
    }

    [Test]
    public void AllOfTheGridMayCount()
    {
        EdgeModel model = EdgeModel.Whole();
        model.Metadata["topk"] = "16";
        Dictionary<string, float[]> taps = model.Taps();
        Assert.That(taps["local.topk"][0], Is.EqualTo(taps["local.logits"].Average()).Within(1e-6));
    }

    [Test]
    public void MicrosoftsNamesGiveTheSame() => GivesTheSame(OfMicrosoft(), EdgeModel.Whole());

    [TestCase("vision.patch_embed.seq.0.c.weight")]
    [TestCase("vision.patch_embed.seq.2.bn.running_var")]
    [TestCase("vision.layers.0.downsample.conv2.c.weight")]
    [TestCase("vision.layers.2.blocks.1.local_conv.c.weight")]
    [TestCase("vision.layers.3.blocks.0.attn.attention_biases")]
    public void AMissingTensorIsNamedByMicrosoftsName(string name)
    {
        EdgeModel model = OfMicrosoft();
        Assert.That(model.Tensors.Remove(name));
        IsRefused(model, $"tensor '{name}' is missing");
    }

    [Test]
    public void MoreBlocksThanTheListsSayAreRefusedUnderMicrosoftsNamesToo()
    {
        EdgeModel model = OfMicrosoft();
        model.Metadata["depths"] = "1,1,1,1";
        IsRefused(model, "metadata 'depths'");
    }

    [Test]
    public void WhatIsNotUsedIsIgnored([Values] bool microsoft)
    {
        EdgeModel model = microsoft ? OfMicrosoft() : EdgeModel.Whole();
        foreach (string name in model.Tensors.Keys.Where(n => n.EndsWith(".bn.weight", StringComparison.Ordinal)).ToArray())
        {
            string counter = name.Replace(".bn.weight", ".bn.num_batches_tracked", StringComparison.Ordinal);
            model.Tensors[counter] = TensorDeclaration.FromValues<long>(counter, [], new long[] { 12345 });
        }
        foreach (string name in new[] { "vision.head.norm.weight", "vision.head.fc.weight", "vision.norm_head.bias",
            "vision.head.weight", "anything" })
        {
            model.Store(name, new float[7]);
        }

        model.Metadata["trained_on"] = "generated pictures";
        GivesTheSame(model, EdgeModel.Whole());
    }

    [Test]
    public void FloatsAndHalvesOfTheSameValuesGiveTheSame() =>
        GivesTheSame(EdgeModel.Whole().As(ElementType.F32, v => v), EdgeModel.Whole());

    [Test]
    public void Bfloat16GivesWhatFloatsOfItsValuesGive()
    {
        static float Cut(float v) => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(v) & 0xFFFF0000);
        CaseModel brief = EdgeModel.Whole().As(ElementType.BF16, Cut);
        GivesTheSame(brief, EdgeModel.Whole().As(ElementType.F32, Cut));
        Assert.That(brief.Taps()["map.final"], Is.Not.EqualTo(EdgeModel.Whole().Taps()["map.final"]),
            "bfloat16 keeps fewer bits");
    }

    [Test]
    public void TensorsMayLieAtOddAddresses()
    {
        CaseModel model = EdgeModel.Whole().As(ElementType.F32, v => v);
        model.Tensors["a"] = TensorDeclaration.FromValues<byte>("a", [1], new byte[1]);
        GivesTheSame(model, EdgeModel.Whole());
    }

    /// <summary>The tiny model as Microsoft would have saved it: by the table of SPEC.md, section 3.4, row by row.</summary>
    private static EdgeModel OfMicrosoft()
    {
        EdgeModel model = EdgeModel.Whole();
        foreach (string timm in model.Tensors.Keys.Where(n => n.StartsWith("vision.", StringComparison.Ordinal)).ToArray())
        {
            string[] parts = timm.Split('.');
            if (parts[^2..] is ["conv", "weight"]) parts[^2] = "c";
            if (parts[1] == "patch_embed")
            {
                parts[2] = parts[2] == "conv1" ? "seq.0" : "seq.2";
            }
            else
            {
                (parts[1], parts[2]) = ("layers",
                    parts[3] == "downsample" ? parts[2] switch { "1" => "0", "2" => "1", _ => "2" } : parts[2]);
            }

            model.Rename(timm, string.Join('.', parts));
        }
        return model;
    }
}
