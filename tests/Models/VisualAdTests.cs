using NUnit.Framework;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>VisualAD: every intermediate of the authors' code, every shape of backbone, and what it refuses.</summary>
public sealed class VisualAdTests
{
    private static readonly string Picture = TestData.Path("images", "visualad-small-96x72.png");

    [TestCase("tiny")]
    [TestCase("tiny-native")]
    [TestCase("tiny-nosca")]
    [TestCase("dinov2-tiny")]
    [TestCase("dinov2-tiny-resized")]
    [TestCase("full", Category = "Full")]
    public void Every_tap_is_that_of_the_authors_code(string name)
    {
        IReadOnlyList<TapComparison> rows = Verifier.Run(ReferenceCase.Open(TestData.Path("visualad", name)));
        Assert.That(rows, Has.Count.GreaterThan(20));
        Assert.That(rows.Where(r => !r.Passed), Is.Empty);
    }

    [Test]
    public void A_wrong_weight_is_seen()
    {
        ReferenceCase reference = ReferenceCase.Open(TestData.Path("visualad", "tiny"));
        using MemoryStream stream = new();
        SafetensorsWriter.Write(stream, reference.Tensors.Select(t =>
            (t.Name == "head.normal_token" ? new SeededTensor(t.Name, t.Shape, 0.3, 0, 99) : t).Declare()), reference.Metadata);
        IReadOnlyList<TapComparison> rows = Verifier.Run(reference, SafetensorsFile.Open(stream.ToArray(), "wrong"));
        Assert.That(rows.Where(r => !r.Passed).Select(r => r.Name),
            Does.Contain("embed").And.Contain("map.final").And.Not.Contain("input"));
    }

    /// <summary>
    /// CLIP at the patch sizes of ViT-B/32 and B/16, whose cases nobody made, and DINOv2 with registers: against loops in double
    /// precision.
    /// </summary>
    [TestCase(false, 32, 96, 3, 0)]
    [TestCase(false, 16, 64, 4, 0)]
    [TestCase(false, 14, 28, 2, 0)]
    [TestCase(true, 14, 42, 3, 0)]
    [TestCase(true, 14, 42, 3, 4)]
    public void Other_shapes_compute_what_plain_loops_compute(bool dino, int patch, int size, int side, int registers)
    {
        SeededVisualAd model = new() { Dino = dino, Patch = patch, ImageSize = size, PositionSide = side, Registers = registers };
        Dictionary<string, float[]> taps = Taps(model.Open(), null);
        PlainVisualAd plain = new(model.Values(), model.Width, model.Heads, patch, size, [1, 2], dino);
        double[] scores = plain.Scores([.. taps["input"].Select(v => (double)v)]);
        // The limits of the reference cases, whose sizes these are.
        Assert.That(Error(taps["block.2"], [.. plain.Stream.SelectMany(r => r)]), Is.LessThan(2e-5));
        Assert.That(Error([.. taps["score.1"].Zip(taps["score.2"], (a, b) => a + b)], scores), Is.LessThan(1e-4));
    }

    [Test]
    public void Another_image_size_is_the_model_that_states_it()
    {
        SeededVisualAd model = new() { ImageSize = 42 };
        float[] asked = Taps((model with { ImageSize = 56 }).Open(), 42)["map.final"],
            stated = Taps(model.Open(), null)["map.final"];
        Assert.That(asked, Is.EqualTo(stated));
        using AnomalyDetector detector = AnomalyDetector.Load(
            (model with { ImageSize = 56 }).Open(), new DetectorOptions { ImageSize = 42 });
        AnomalyResult result = detector.Detect(Image.Load(Picture));
        Assert.That((detector.Model.ImageSize, result.Map.Width, result.Map.Height), Is.EqualTo((42, 42, 42)));
        Assert.That(result.Map.Values.ToArray(), Is.EqualTo(stated));
    }

    [TestCase(57, "multiple of the patch, 14")]
    [TestCase(0, "multiple of the patch, 14")]
    [TestCase(14 * 257, "up to 3584")]
    [TestCase(70, "25 patches, and the spatial cross-attention of layer 1 has positions for 20")]
    public void Sizes_that_do_not_fit_are_refused(int size, string why)
    {
        SeededVisualAd model = new();
        Assert.That(() => AnomalyDetector.Load(model.Open(), new DetectorOptions { ImageSize = size }),
            Throws.ArgumentException.With.Message.Contains(why));
        if (size > 0)
        {
            Assert.That(() => AnomalyDetector.Load((model with { ImageSize = size }).Open()),
                Throws.InstanceOf<ModelFormatException>().With.Message.Contains(why));
        }
    }

    [Test]
    public void A_system_of_one_size_refuses_others()
    {
        ReferenceCase lizad = ReferenceCase.Open(TestData.Path("lizad", "tiny"));
        Assert.That(() => AnomalyDetector.Load(ReferenceCase.OpenModel(lizad), new DetectorOptions { ImageSize = 64 }),
            Throws.ArgumentException.With.Message.Contains("LiZAD works at 70"));
        using AnomalyDetector own = AnomalyDetector.Load(ReferenceCase.OpenModel(lizad), new DetectorOptions { ImageSize = 70 });
        Assert.That(own.Model.ImageSize, Is.EqualTo(70));
    }

    [Test]
    public void Scores_come_from_the_map()
    {
        Image image = Image.Load(Picture);
        using AnomalyDetector top = AnomalyDetector.Load(new SeededVisualAd().Open()),
            largest = AnomalyDetector.Load(new SeededVisualAd().Open(), new DetectorOptions { Score = ImageScore.Maximum });
        AnomalyResult result = top.Detect(image, "ignored");
        float[] sorted = [.. result.Map.Values.ToArray().OrderDescending()];
        // 1 % of 56 x 56 = 31.36 values: 32.
        Assert.That(result.Score, Is.EqualTo(sorted.Take(32).Average()).Within(1e-6f));
        Assert.That(result.RawScore, Is.EqualTo(result.Score));
        Assert.That(result.ClassName, Is.Null);
        Assert.That(largest.Detect(image).Score, Is.EqualTo(sorted[0]));
        Assert.That(
            () => AnomalyDetector.Load(new SeededVisualAd().Open(), new DetectorOptions { Score = ImageScore.GlobalLogit }),
            Throws.InstanceOf<NotSupportedException>().With.Message.Contains("no global logit"));
    }

    [Test]
    public void Threads_change_nothing()
    {
        Image image = Image.Load(Picture);
        float[][] maps = [.. new[] { 1, 2, 3 }.Select(threads =>
        {
            using AnomalyDetector detector = AnomalyDetector.Load(
                new SeededVisualAd().Open(), new DetectorOptions { Threads = threads });
            return detector.Detect(image).Map.Values.ToArray();
        })];
        Assert.That(maps[1], Is.EqualTo(maps[0]));
        Assert.That(maps[2], Is.EqualTo(maps[0]));
    }

    [TestCase("1,3", "'features_list' is '1,3'")]
    [TestCase("0,1", "'features_list' is '0,1'")]
    [TestCase("2,2", "names a block twice")]
    public void A_wrong_list_of_layers_is_refused(string list, string message) =>
        Assert.That(() => AnomalySystem.Load(new SeededVisualAd { FeaturesList = list }.Open(), Plans.Cpu()),
            Throws.InstanceOf<ModelFormatException>().With.Message.Contains(message));

    [Test]
    public void An_unknown_backbone_is_refused_by_name() =>
        Assert.That(() => AnomalySystem.Load(new SeededVisualAd { Backbone = "swin-b" }.Open(), Plans.Cpu()),
            Throws.InstanceOf<ModelFormatException>().With.Message.Contains("'swin-b'"));

    [Test]
    public void A_width_without_heads_is_refused() =>
        Assert.That(() => AnomalySystem.Load(new SeededVisualAd { Heads = 3 }.Open(), Plans.Cpu()),
            Throws.InstanceOf<ModelFormatException>().With.Message.Contains("64 cannot be divided into 3"));

    /// <summary>Whatever is missing or of another shape is named; only a layer's SAF may be missing as a whole.</summary>
    [Test]
    public void Every_tensor_is_needed([Values] bool dino)
    {
        SeededVisualAd model = new() { Dino = dino };
        foreach (SeededTensor tensor in model.Tensors())
        {
            // One block fewer is a shallower model, whose features_list then names too many.
            bool countsBlocks = tensor.Name.EndsWith(dino ? "norm1.weight" : "ln_1.weight", StringComparison.Ordinal);
            Assert.That(() => AnomalySystem.Load(model.Open(t => t.Name == tensor.Name ? null : t), Plans.Cpu()),
                Throws.InstanceOf<ModelFormatException>().With.Message.Contains(countsBlocks ? "" : tensor.Name), tensor.Name);
            Assert.That(() => AnomalySystem.Load(
                model.Open(t => t.Name == tensor.Name ? new SeededTensor(t.Name, [.. t.Shape, 1], 0.1, 0, 5) : t), Plans.Cpu()),
                Throws.InstanceOf<ModelFormatException>().With.Message.Contains(tensor.Name), $"{tensor.Name} of another shape");
        }
    }

    [Test]
    public void Positions_that_make_no_square_are_refused() =>
        Assert.That(
            () => AnomalySystem.Load(new SeededVisualAd().Open(
                t => t.Name == "vision.positional_embedding" ? new SeededTensor(t.Name, [16, 64], 0.1, 0, 5) : t), Plans.Cpu()),
            Throws.InstanceOf<ModelFormatException>().With.Message.Contains("16 rows"));

    /// <summary>The antialiased bicubic of DINOv2 with registers is Pillow's, which the resampler has to the byte.</summary>
    [TestCase(12, 5)]
    [TestCase(5, 12)]
    [TestCase(7, 6)]
    public unsafe void Antialiased_positions_are_resized_as_pictures_are(int side, int size)
    {
        byte[] gray = [.. Enumerable.Range(0, side * side).Select(i => (byte)(128 + 60 * Math.Sin(0.7 * i)))];
        byte[] expected = new byte[3 * size * size];
        Resampler.Resize(new ImageView(gray, side, side, PixelFormat.Gray8), expected, size, size);
        using WeightStore store = new(new SeededVisualAd().Open());
        Parameter grid = store.Floats("grid", [.. gray.Select(b => (float)b)], side * side, 1);
        float[] actual = new PositionGrid(grid, grid, side, PositionFilter.BicubicAntialias).Resize(store, size).ToFloats();
        // Two roundings to bytes: one at the end, and one between the passes, whose weights' magnitudes sum to less than 1.5.
        for (int i = 0; i < actual.Length; i++)
            Assert.That(actual[i], Is.EqualTo((double)expected[3 * i]).Within(0.5 + 0.5 * 1.5));
    }

    private static Dictionary<string, float[]> Taps(SafetensorsFile file, int? imageSize)
    {
        using AnomalySystem system = AnomalySystem.Load(file, Plans.Cpu(), imageSize);
        using Plan plan = Plans.Compile(system.DetectionGraph(ImageScore.Default), surviving: true);
        Dictionary<string, float[]> taps = [];
        using Run run = plan.Rent();
        Resampler.Resize(Image.Load(Picture).View, run.Bytes(AnomalySystem.Pixels), system.ImageSize, system.ImageSize);
        run.Execute((tap, values) => taps[tap.Name] = values);
        return taps;
    }

    private static double Error(float[] actual, double[] expected)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        return actual.Zip(expected, (a, e) => Math.Abs(a - e)).Max() / expected.Max(Math.Abs);
    }
}
