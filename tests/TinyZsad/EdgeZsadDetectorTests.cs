using NUnit.Framework;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Tests.Models;
using TinyZsad.Tests.Weights;
using TinyZsad.Verification;

namespace TinyZsad.Tests;

/// <summary>What a user sees of a detector with EdgeZSAD, where it differs from LiZAD.</summary>
[TestFixture]
public sealed class EdgeZsadDetectorTests
{
    private static AnomalyDetector Load(DetectorOptions? options = null) =>
        AnomalyDetector.Load(EdgeModel.Whole().Open(), options);

    private static float[] Map(AnomalyResult result) => result.Map.Values.ToArray();

    [Test]
    public void TheModelSaysWhatItIs()
    {
        using AnomalyDetector detector = Load();
        ModelInfo info = detector.Model;
        Assert.That((info.SystemName, info.ImageSize, info.TakesClassName, info.AnyClass, info.Tensors),
            Is.EqualTo(("EdgeZSAD", 64, false, false, EdgeModel.Tiny.Case.Tensors.Count)));
        Assert.That(info.StoredClasses, Is.Empty);
        Assert.That(info.Parameters, Is.EqualTo(EdgeModel.Tiny.Values.Values.Sum(v => v.Length)));
        Assert.That(() => detector.SaveWithClasses(TestFiles.NewPath(), ["nut"]),
            Throws.InstanceOf<NotSupportedException>().With.Message.Contains("EdgeZSAD"));
        using AnomalySystem system = AnomalySystem.Load(EdgeModel.Whole().Open(), Plans.Cpu());
        Assert.That((system as EdgeZsad)?.Variant, Is.EqualTo("custom"));
    }

    [Test]
    public void AClassNameIsIgnored()
    {
        using AnomalyDetector detector = Load();
        AnomalyResult without = detector.Detect(EdgeModel.Picture), with = detector.Detect(EdgeModel.Picture, "metal nut");
        Assert.That((without.ClassName, with.ClassName), Is.EqualTo(((string?)null, (string?)null)));
        Assert.That(Map(with), Is.EqualTo(Map(without)));
        Assert.That((with.Score, with.RawScore), Is.EqualTo((without.Score, without.RawScore)));
    }

    [Test]
    public void TheDefaultScoreIsTheFusedLogit()
    {
        foreach (ImageScore score in new[] { ImageScore.Default, ImageScore.GlobalLogit })
        {
            using AnomalyDetector detector = Load(new DetectorOptions { Score = score });
            AnomalyResult result = detector.Detect(EdgeModel.Picture);
            Assert.That(result.RawScore, Is.EqualTo(EdgeModel.Expected("score.logit")[0]).Within(3 * 5.2e-7));
            Assert.That(result.Score, Is.EqualTo(EdgeModel.Expected("score")[0]).Within(3 * 5.2e-7));
            Assert.That(result.Score, Is.EqualTo(1 / (1 + Math.Exp(-result.RawScore))).Within(2e-7));
        }
    }

    [Test]
    public void TheScoreMayBeReadOffTheMap()
    {
        using AnomalyDetector ofMaximum = Load(new DetectorOptions { Score = ImageScore.Maximum }),
            ofTop = Load(new DetectorOptions { Score = ImageScore.TopPercentMean });
        AnomalyResult maximum = ofMaximum.Detect(EdgeModel.Picture), top = ofTop.Detect(EdgeModel.Picture);
        float[] sorted = [.. Map(maximum).OrderDescending()];
        Assert.That(maximum.Score, Is.EqualTo(sorted[0]).And.EqualTo(maximum.RawScore));
        // 1 % of 4096 values; a sum of 40 floats in (0, 1).
        Assert.That(top.Score, Is.EqualTo(sorted.Take(40).Average()).Within(40 * 6e-8).And.EqualTo(top.RawScore));
        Assert.That(Map(top), Is.EqualTo(Map(maximum)));
    }

    /// <summary>The map at the picture's size is made from the logits; squashing comes last.</summary>
    [Test]
    public void ThePictureMapComesFromTheLogits()
    {
        using AnomalyDetector detector = Load();
        AnomalyResult result = detector.Detect(EdgeModel.Picture);
        float[] map = EdgeModel.Expected("map.original"), fitted = EdgeModel.Expected("map.final");
        Assert.That((result.PictureMap.Width, result.PictureMap.Height),
            Is.EqualTo((EdgeModel.Picture.Width, EdgeModel.Picture.Height)));
        Assert.That(result.PictureMap.Values.ToArray(), Is.EqualTo(map).Within(3 * 1.3e-6 * map.Max()));
        Assert.That(Map(result), Is.EqualTo(fitted).Within(3 * 1.3e-6 * fitted.Max()));
        float[] resized = result.Map.Resize(EdgeModel.Picture.Width, EdgeModel.Picture.Height).Values.ToArray();
        Assert.That(resized.Zip(map, (a, b) => Math.Abs(a - b)).Max(), Is.GreaterThan(1e-3),
            "resizing the map is something else");
    }

    [TestCase("tiny")]
    [TestCase("padded")]
    [TestCase("5m-224")]
    public void TheThreadsDoNotMatter(string name)
    {
        ReferenceCase reference = ReferenceCase.Open(TestData.Path("edgezsad", name));
        (float Score, float Raw, float[] Map, float[] PictureMap)[] results = [.. new[] { 1, 2, 3, 5 }.Select(threads =>
        {
            using AnomalyDetector detector = AnomalyDetector.Load(
                ReferenceCase.OpenModel(reference), new DetectorOptions { Threads = threads });
            AnomalyResult result = detector.Detect(Image.Load(reference.Image!));
            return (result.Score, result.RawScore, Map(result), result.PictureMap.Values.ToArray());
        })];
        foreach ((float score, float raw, float[] map, float[] pictureMap) in results)
        {
            Assert.That((score, raw), Is.EqualTo((results[0].Score, results[0].Raw)));
            Assert.That(map, Is.EqualTo(results[0].Map));
            Assert.That(pictureMap, Is.EqualTo(results[0].PictureMap));
        }
    }

    [Test]
    public void ManyThreadsGetWhatOneGets()
    {
        using AnomalyDetector detector = Load(new DetectorOptions { Threads = 2 });
        float[] right = Map(detector.Detect(EdgeModel.Picture));
        int wrong = 0;
        Parallel.For(0, 100, new ParallelOptions { MaxDegreeOfParallelism = 8 }, _ =>
        {
            if (!Map(detector.Detect(EdgeModel.Picture)).SequenceEqual(right)) Interlocked.Increment(ref wrong);
        });
        Assert.That(wrong, Is.Zero);
    }

    /// <summary>
    /// All multiply-adds of TinyViT-5M at 224 (SPEC.md, section 3.1) are accounted for; the readout's are no thousandth of them.
    /// </summary>
    [Test]
    public void AProfileNamesEveryPartAndCountsItsWork()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(
            ReferenceCase.OpenModel(ReferenceCase.Open(TestData.Path("edgezsad", "5m-224"))));
        detector.Warmup();
        IReadOnlyList<ProfileEntry> entries = detector.Profile(1);
        string labels = string.Join('\n', entries.Select(e => e.Label));
        foreach (string part in new[] { "patch_embed.conv1", "stages.0.blocks.1", "stages.1.downsample", "stages.2.blocks.5",
            "stages.3.blocks.1.mlp.fc2.weight", "head.glr.global", "head.glr.local" })
        {
            Assert.That(labels, Does.Contain(part));
        }

        Assert.That(entries.Sum(e => e.Flops), Is.EqualTo(2 * 1.2549e9).Within(0.1).Percent);
    }
}
