using System.Globalization;
using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Tests.Models;
using TinyZsad.Tests.Weights;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>
/// The engine against the reference cases, and the comparison itself: that it sees what is wrong. Limits are three times what
/// PyTorch's own arithmetic in float32 differs from float64, case by case (SPEC.md, section 9).
/// </summary>
[TestFixture]
public sealed class VerificationTests
{
    private const double TinyLimit = 3 * 7.2e-7;

    private static IReadOnlyList<TapComparison> Full(string name) =>
        Verifier.Run(ReferenceCase.Open(TestData.Path("lizad", name)));

    private static void AllWithin(IReadOnlyList<TapComparison> rows, double limit)
    {
        Assert.That(rows, Is.Not.Empty);
        foreach (TapComparison row in rows)
        {
            Assert.That(row.Problem, Is.Null, row.Name);
            Assert.That(row.Passed, row.ToString());
            // Tokens and resized pixels are exact.
            Assert.That(row.MaxError, Is.LessThanOrEqualTo(row.Tolerance == 0 ? 0 : limit), row.Name);
        }
        TapComparison worst = rows.MaxBy(r => r.MaxError)!;
        TestContext.Out.WriteLine(
            $"{rows.Count} taps, worst {worst.Name} {worst.MaxError.ToString("E2", CultureInfo.InvariantCulture)} of {limit}");
    }

    [Test]
    public void TinyAgrees()
    {
        IReadOnlyList<TapComparison> rows = Verifier.Run(TinyModel.Case, TinyModel.Whole().Open());
        AllWithin(rows, TinyLimit);
        // Every expected tap, and the two exact rows before them.
        Assert.That(rows.Select(r => r.Name),
            Is.EqualTo((string[])["text.tokens", "resized", .. TinyModel.Case.ExpectedTaps().Select(t => t.Name)]));
    }

    [Test]
    public void TinyAgreesAsFloatsToo() =>
        AllWithin(Verifier.Run(TinyModel.Case, TinyModel.Whole().As(ElementType.F32, v => v).Open()), TinyLimit);

    [Test, Category("Full")]
    public void VisionFullAgrees() => AllWithin(Full("vision-full"), 3 * 1.8e-6);

    [Test, Category("Full")]
    public void VisionGrayAgrees() => AllWithin(Full("vision-gray"), 3 * 1.2e-6);

    [Test, Category("Full")]
    public void TextAgrees() => AllWithin(Full("text"), 3 * 7.6e-7);

    /// <summary>The plain definitions alone: what they compute in double precision is rounded once an operation.</summary>
    [TestCase("lizad", "tiny"), TestCase("edgezsad", "tiny"), TestCase("edgezsad", "padded"), TestCase("edgezsad", "kernels"),
     TestCase("visualad", "tiny"), TestCase("visualad", "tiny-native"), TestCase("visualad", "tiny-nosca"),
     TestCase("visualad", "dinov2-tiny"), TestCase("visualad", "dinov2-tiny-resized"), TestCase("visualad", "preprocess")]
    public void TheReferenceDeviceAgrees(string model, string name)
    {
        IReadOnlyList<TapComparison> rows = Verifier.Run(ReferenceCase.Open(TestData.Path(model, name)), device: "reference");
        Assert.That(rows, Is.Not.Empty);
        Assert.That(rows.Where(r => !r.Passed).Select(r => r.Name), Is.Empty);
        Assert.That(rows.Max(r => r.MaxError), Is.LessThan(1e-6));
    }

    [Test]
    public void TheThreadsDoNotMatter()
    {
        double[] one = [.. Verifier.Run(TinyModel.Case, TinyModel.Whole().Open(), threads: 1).Select(r => r.MaxError)];
        Assert.That(Verifier.Run(TinyModel.Case, TinyModel.Whole().Open(), threads: 3).Select(r => r.MaxError),
            Is.EqualTo(one));
    }

    [Test]
    public void ATapThatSurvivesFusionAndOneThatDoesNotAreBothCompared()
    {
        Dictionary<string, float[]> surviving = TinyModel.Whole().Taps();
        Assert.That(surviving.Keys, Does.Contain("vision.hidden1").And.Not.Contain("vision.block0.mlp"));
        IReadOnlyList<TapComparison> rows = Verifier.Run(TinyModel.Case, TinyModel.Whole().Open());
        Assert.That(rows.Where(r => r.Name is "vision.hidden1" or "vision.block0.mlp").Select(r => r.Passed),
            Is.EqualTo(new[] { true, true }));
    }

    [TestCase("vision.layer.2.mlp.down_proj.weight", "vision.hidden3", "vision.hidden2")]
    [TestCase("vision.embeddings.patch_embeddings.bias", "vision.patch_embed", "input")]
    [TestCase("text.transformer.resblocks.1.attn.in_proj_weight", "text.block1", "text.block0")]
    [TestCase("head.patch_adapter.2.adapter.0.weight", "head.logits.2", "head.logits.1")]
    [TestCase("head.cls_adapter.3.adapter.0.bias", "head.global", "head.map")]
    public void OneWeightThatDiffersIsSeenFromThereOn(string tensor, string seen, string before)
    {
        TinyModel model = TinyModel.Whole();
        model.Change(tensor, 5, v => v + 0.25f);
        Dictionary<string, TapComparison> rows = Verifier.Run(TinyModel.Case, model.Open()).ToDictionary(r => r.Name);
        Assert.That(rows[seen].Passed, Is.False);
        Assert.That(rows[before].Passed, Is.True);
    }

    [TestCase("vision_ln_eps", "1e-6", "vision.block0.norm1")]
    [TestCase("text_ln_eps", "1e-6", "text.block0")]
    [TestCase("rope_theta", "101", "rope.cos")]
    [TestCase("leaky_slope", "0.0101", "head.patch_adapter.0")]
    [TestCase("logit_scale", "100.01", "head.logits.0")]
    [TestCase("mean", "0.485,0.456,0.4061", "input")]
    public void AConstantThatDiffersIsSeen(string key, string value, string seen)
    {
        TinyModel model = TinyModel.Whole();
        model.Metadata[key] = value;
        Assert.That(Verifier.Run(TinyModel.Case, model.Open()).Single(r => r.Name == seen).Passed, Is.False);
    }

    [Test]
    public void NothingComputedInFloatsIsExact()
    {
        IReadOnlyList<TapComparison> rows = Verifier.Run(TinyModel.Case, TinyModel.Whole().Open(), tolerance: 0);
        Assert.That(rows.Single(r => r.Name == "head.map").Passed, Is.False);
        Assert.That(rows.Single(r => r.Name == "text.tokens").Passed, Is.True);
    }

    [Test]
    public void DumpedActivationsAreCompared()
    {
        Dictionary<string, float[]> taps = TinyModel.Whole().Taps();
        float[] map = taps["head.map"], hidden = taps["vision.hidden1"];
        int largest = Array.IndexOf(map, map.Max());
        TensorDeclaration[] dump =
        [
            Tensor("head.map", map),
            Tensor("head.logits.0", Changed(taps["head.logits.0"], 7, float.NaN)),
            Tensor("head.logits.1", Changed(taps["head.logits.1"], 0, float.PositiveInfinity)),
            Tensor("vision.hidden1", Changed(hidden, 9, hidden[9] + hidden.Max(v => Math.Abs(v)) / 100)),
            Tensor("vision.hidden2", taps["vision.hidden2"][1..]),
            Tensor("vision.hidden99", [1, 2, 3]),
        ];
        Dictionary<string, TapComparison> rows = Run(dump, tolerance: 1e-3).ToDictionary(r => r.Name);
        Assert.That(rows["head.map"] is { Passed: true, MaxError: 0, RelativeL2: 0, NormError: null },
            rows["head.map"].ToString());
        Assert.That(rows["head.logits.0"] is { Passed: false, WorstIndex: 7, Problem: null }, "NaN agrees with nothing");
        Assert.That(rows["head.logits.1"].Passed, Is.False);
        Assert.That(rows["vision.hidden1"] is { Passed: false, WorstIndex: 9 } and { MaxError: > 0.0098 and < 0.0102 },
            rows["vision.hidden1"].ToString());
        Assert.That(rows["vision.hidden1"].WorstActual, Is.EqualTo(hidden[9]));
        Assert.That(rows["vision.hidden2"] is { Passed: false } and { Problem: not null }, "one value too few");
        Assert.That(rows["vision.hidden2"].Problem,
            Does.Contain($"{hidden.Length} values").And.Contain($"{hidden.Length - 1} are expected"));
        Assert.That(rows["vision.hidden99"].Problem, Does.Contain("no tap of this name"));
        Assert.That(Run([Tensor("vision.hidden1", Changed(hidden, 9, hidden[9] + hidden.Max(v => Math.Abs(v)) / 100))], 0.02)
            .Single().Passed, Is.True, "the tolerance counts");
        // The largest value expected to be twice as large: it is off by half of that, and by more than any other.
        Assert.That(Run([Tensor("head.map", Changed(map, largest, 2 * map[largest]))], 0.4).Single()
            is { Passed: false, MaxError: 0.5 } worst && worst.WorstIndex == largest && worst.WorstActual == map[largest]);
    }

    [Test]
    public void ADumpOfAnotherTypeIsRefused() => Assert.That(
        () => Run([TensorDeclaration.FromValues<double>("head.map", [1], new double[1])], null),
        Throws.InstanceOf<ModelFormatException>().With.Message.Contains("head.map"));

    private static IReadOnlyList<TapComparison> Run(TensorDeclaration[] dump, double? tolerance)
    {
        string path = TestFiles.NewPath();
        try
        {
            SafetensorsWriter.Write(path, dump);
            return Verifier.Run(TinyModel.Whole().Open(), TinyModel.Picture, path, TinyModel.ClassName, tolerance,
                threads: 1);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static TensorDeclaration Tensor(string name, float[] values) =>
        TensorDeclaration.FromValues<float>(name, [values.Length], values);

    private static float[] Changed(float[] values, int index, float value)
    {
        float[] changed = [.. values];
        changed[index] = value;
        return changed;
    }
}
