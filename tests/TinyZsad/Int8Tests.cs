using System.Text.RegularExpressions;
using NUnit.Framework;
using TinyZsad.Graph;
using TinyZsad.Tests.Models;
using TinyZsad.Verification;

namespace TinyZsad.Tests;

/// <summary>What 8-bit integers cost a whole model.</summary>
[TestFixture]
public sealed class Int8Tests
{
    /// <summary>
    /// A layer's error is about 1 % of its values (numbers with a normal distribution, of which the largest of some hundred is 3
    /// deviations, have errors of 3 / (127 sqrt 12) of their size, inputs and weights alike), and those of the layers behind one
    /// another add as squares: 1.5 % of the features, measured. In one direction among d that is 0.015 / sqrt d of a cosine,
    /// which LiZAD multiplies by 100; the map is the mean of four softmaxes of two such, whose slope is at most 1/4. That is a
    /// deviation of 1.7 % for d = 256 and 5.4 % for d = 24, and the worst of a thousand patches lies 3.5 deviations out.
    /// </summary>
    [TestCase("lizad/tiny", 3.5 * 0.054)]
    [TestCase("lizad/vision-full", 3.5 * 0.017, Category = "Full")]
    public void TheMapIsOffByLittle(string name, double limit)
    {
        Dictionary<string, TapComparison> rows = Verifier.Run(ReferenceCase.Open(TestData.Path(name.Split('/'))),
            precision: Precision.Int8).ToDictionary(r => r.Name);
        TestContext.Out.WriteLine($"{name}: {rows["head.map"].MaxError:E2} of {limit:E2}");
        Assert.That(rows["head.map"].MaxError, Is.InRange(1e-4, limit));
        Assert.That(rows["vision.block0.mlp"].RelativeL2, Is.InRange(1e-3, 0.04), "it is computed over integers, unfused too");
        Assert.That(rows["vision.patch_embed"].MaxError, Is.LessThan(1e-5), "the trunk is computed in floats");
        Assert.That(rows.Values.Where(r => r.Name.StartsWith("text.", StringComparison.Ordinal)).Select(r => r.MaxError),
            Has.All.LessThan(1e-5), "and so is text");
        Assert.That(rows.Values.Select(r => r.Passed), Has.All.True, "no limit is set");
    }

    /// <summary>
    /// Layers' errors add as above, to 2.5 % of the features. A logit is the product of normalised features and a weight: in
    /// that one direction their error is 2.5 % of what logits deviate by, which is about 1. The worst of a thousand lies 3.5
    /// deviations out, and the largest logit at least 2. The sigmoid's slope is at most 1/4: neither the map nor the score may be
    /// off by more than a quarter of their logits, as they are computed in floats.
    /// </summary>
    [TestCase("edgezsad/tiny", "stages.1.downsample", "stages.1.blocks.0")]
    [TestCase("edgezsad/5m-224", "patch_embed", "stages.0.blocks.0")]
    [TestCase("edgezsad/full", "patch_embed", "stages.0.blocks.0", Category = "Full")]
    public void EdgeZsadsLogitsAreOffByLittle(string name, string lastInFloats, string first)
    {
        ReferenceCase reference = ReferenceCase.Open(TestData.Path(name.Split('/')));
        Dictionary<string, TapComparison> rows = Compared(reference, lastInFloats, first);
        Dictionary<string, float[]> expected = reference.ExpectedTaps().ToDictionary(t => t.Name, t => t.Expected);
        Assert.That(rows["local.logits"].MaxError, Is.InRange(1e-3, 3.5 / 2 * 0.025));
        Assert.That(rows["score.logit"].MaxError, Is.InRange(1e-4, 3.5 * 0.025));
        Assert.That(Error("map.final"), Is.InRange(1e-4, Error("local.logits") / 4 + 1e-6));
        Assert.That(rows["score"].MaxError, Is.InRange(1e-5, rows["score.logit"].MaxError / 4 + 1e-6));

        double Error(string tap) => rows[tap].MaxError * expected[tap].Max(Math.Abs);
    }

    /// <summary>
    /// Four blocks give errors of 2 % of the patches' features and of the tokens'. A patch's score is the product of its unit
    /// features with the difference of two unit tokens, of length sqrt 2: numbers of deviation sqrt(2 / d), of which the largest
    /// is at least 2 deviations. The errors of the features add 0.02 sqrt(2 / d) to it, those of two tokens as much again:
    /// 0.04 / sqrt d together, of which the worst is at most 3.5 deviations. The map is a smoothed sum of such.
    /// </summary>
    [Test]
    public void VisualAdsMapIsOffByLittle()
    {
        const double Limit = 3.5 / 2 * 0.04 / 1.414;
        Dictionary<string, TapComparison> rows = Compared(
            ReferenceCase.Open(TestData.Path("visualad", "tiny")), "ln_pre", "block.1");
        for (int i = 1; i <= 4; i++) Assert.That(rows[$"score.{i}"].MaxError, Is.InRange(1e-3, Limit));
        Assert.That(rows["map.final"].MaxError, Is.InRange(1e-3, Limit));
        Assert.That(rows["score"].MaxError, Is.InRange(1e-5, Limit));
    }

    /// <summary>
    /// Over integers are computed the large layers in branches, all of them and nothing else: neither a patch embedding, nor a
    /// downsampling, nor a head, though there are some of their size. (A profile's line may stand for several layers that run at
    /// once: LiZAD's text adapters, of one row, share that of the first queries.)
    /// </summary>
    [TestCase("lizad/tiny", @"vision\.layer\.\d+\.(attention\.[qkvo]_proj|mlp\.(up|down)_proj)\.weight" +
        @"|head\.(positive|negative)_text_adapter\.adapter\.0\.weight")]
    [TestCase("edgezsad/tiny", @"vision\.stages\.[12]\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc[12])\.weight")]
    [TestCase("edgezsad/5m-224",
        @"vision\.stages\.(0\.blocks\.\d+\.conv[13]\.conv|[123]\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc[12]))\.weight")]
    [TestCase("visualad/tiny",
        @"vision\.transformer\.resblocks\.\d+\.(attn\.(in_proj_weight|out_proj\.weight)|mlp\.c_(fc|proj)\.weight)")]
    public void OnlyTheBranchesAreIntegers(string name, string branches)
    {
        ReferenceCase reference = ReferenceCase.Open(TestData.Path(name.Split('/')));
        using AnomalyDetector detector = AnomalyDetector.Load(ReferenceCase.OpenModel(reference),
            new DetectorOptions { Precision = Precision.ForcedInt8, Threads = 1 });
        string[] integers = [.. detector.Profile(1).Where(e => e.Kind.Contains("Int8Linear", StringComparison.Ordinal))
            .SelectMany(e => e.Label.Split(" + "))];
        string[] meant = [.. reference.Tensors.Select(t => t.Name).Where(n => Regex.IsMatch(n, $"^({branches})$"))];
        Assert.That(meant, Has.Length.GreaterThan(10));
        Assert.That(integers, Is.EquivalentTo(meant));
    }

    /// <summary>
    /// A case's rows at int8, by name: exact to rounding up to one tap, and from the next on as coarse as integers are.
    /// </summary>
    private static Dictionary<string, TapComparison> Compared(ReferenceCase reference, string lastInFloats, string first)
    {
        TapComparison[] rows = [.. Verifier.Run(reference, precision: Precision.Int8)];
        int last = Array.FindIndex(rows, r => r.Name == lastInFloats);
        Assert.That(last, Is.GreaterThan(1));
        Assert.That(rows[..(last + 1)].Select(r => r.MaxError), Has.All.LessThan(1e-5), "what comes first is computed in floats");
        Assert.That(rows.Single(r => r.Name == first).RelativeL2, Is.InRange(1e-3, 0.04), "it is computed over integers");
        Assert.That(rows.Select(r => r.Passed), Has.All.True, "no limit is set");
        return rows.ToDictionary(r => r.Name);
    }

    [Test]
    public void AToleranceCountsAndTheThreadsDoNot()
    {
        IReadOnlyList<TapComparison> Run(double? tolerance, int threads) =>
            Verifier.Run(TinyModel.Case, TinyModel.Whole().Open(), tolerance, threads, Precision.Int8);
        IReadOnlyList<TapComparison> one = Run(1e-3, 1);
        Assert.That(one.Single(r => r.Name == "head.map") is { Passed: false, Tolerance: 1e-3 });
        Assert.That(Run(null, 3).Select(r => r.MaxError), Is.EqualTo(one.Select(r => r.MaxError)));
    }

    [Test]
    public void ADetectorComputesSo()
    {
        float Score(Precision precision)
        {
            using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.OfStoredClass().Open(),
                new DetectorOptions { Precision = precision, Threads = 1 });
            return detector.Detect(TinyModel.Picture, TinyModel.ClassName).Score;
        }
        float exact = Score(Precision.Float32);
        Assert.That(Score(Precision.ForcedInt8), Is.EqualTo(exact).Within(0.1).And.Not.EqualTo(exact).Within(1e-5));
    }

    [Test]
    public void AnUnknownPrecisionIsRefused() => Assert.That(
        () => AnomalyDetector.Load(TinyModel.Whole().Open(), new DetectorOptions { Precision = (Precision)7 }),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
}
