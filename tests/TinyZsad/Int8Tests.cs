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
        Assert.That(Score(Precision.Int8), Is.EqualTo(exact).Within(0.1).And.Not.EqualTo(exact).Within(1e-5));
    }

    [Test]
    public void AnUnknownPrecisionIsRefused() => Assert.That(
        () => AnomalyDetector.Load(TinyModel.Whole().Open(), new DetectorOptions { Precision = (Precision)7 }),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
}
