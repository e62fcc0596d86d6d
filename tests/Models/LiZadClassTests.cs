using NUnit.Framework;
using TinyZsad.Tests.Weights;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>Classes by name: stored in the file, embedded by its text tower, saved.</summary>
[TestFixture]
public sealed class LiZadClassTests
{
    [Test]
    public void WithoutATextTowerAnUnknownClassIsNamedInTheError()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.OfStoredClass().Open());
        Assert.That(() => detector.Detect(TinyModel.Picture, "pcb"),
            Throws.InstanceOf<UnknownClassException>().With.Message.Contains("class 'pcb'").And.Message.Contains("no text tower"));
        Assert.That(() => detector.Detect(TinyModel.Picture),
            Throws.InstanceOf<UnknownClassException>().With.Message.Contains("'object'"));
        Assert.That(() => detector.Detect(TinyModel.Picture, TinyModel.ClassName), Throws.Nothing, "it stays usable");
        Assert.That((detector.Model.AnyClass, detector.Model.TakesClassName), Is.EqualTo((false, true)));
    }

    [TestCase("")]
    [TestCase("  \t")]
    public void AClassWithoutANameIsAWrongArgument(string name)
    {
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.OfStoredClass().Open());
        Assert.That(() => detector.Detect(TinyModel.Picture, name), Throws.InstanceOf<ArgumentException>());
    }

    [Test]
    public void AStoredClassIsUsedEvenWhereATextTowerIs()
    {
        TinyModel model = TinyModel.Whole();
        foreach (string name in new[] { "text.normal.metal nut", "text.abnormal.metal nut" })
            model.Store(name, [.. Enumerable.Range(0, 48).Select(i => name.Length % 2 == 0 ? i : 48f - i)]);
        using AnomalyDetector whole = AnomalyDetector.Load(TinyModel.Whole().Open()), stored = AnomalyDetector.Load(model.Open());
        Assert.That(stored.Model.StoredClasses, Is.EqualTo(new[] { "metal nut" }));
        Assert.That(stored.Detect(TinyModel.Picture, "metal nut").Map.Values.ToArray(),
            Is.Not.EqualTo(whole.Detect(TinyModel.Picture, "metal nut").Map.Values.ToArray()));
    }

    /// <summary>Names are text like any other; what they make of the prompts is the tokenizer's business.</summary>
    [Test]
    public void OddNamesAreEmbeddedStoredAndFound()
    {
        string[] names = ["{}", "a.b/c\\d \"e\"", "\u4e2d\u6587 \ud83d\ude00", "<end_of_text>",
            string.Concat(Enumerable.Repeat("very ", 100)) + "long", "caf\u00e9 <b>&amp;"];
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.Whole().Open(), new DetectorOptions { Threads = 2 });
        string path = TestFiles.NewPath();
        detector.SaveWithClasses(path, names, textTower: false);
        using AnomalyDetector saved = AnomalyDetector.Load(SafetensorsFile.Open(path, deleteOnClose: true));
        Assert.That(saved.Model.StoredClasses, Is.EquivalentTo(names));
        Assert.That(saved.Model.AnyClass, Is.False);
        foreach (string name in names)
        {
            AnomalyResult a = detector.Detect(TinyModel.Picture, name), b = saved.Detect(TinyModel.Picture, name);
            Assert.That(b.Map.Values.ToArray(), Is.EqualTo(a.Map.Values.ToArray()), name);
            Assert.That(a.Map.Values.ToArray(), Has.None.NaN);
        }
    }

    [Test]
    public void SavedWithItsTextTowerItKnowsOtherClassesToo()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.Whole().Open(), new DetectorOptions { Threads = 2 });
        string path = TestFiles.NewPath();
        detector.SaveWithClasses(path, ["metal nut"]);
        using AnomalyDetector saved = AnomalyDetector.Load(
            SafetensorsFile.Open(path, deleteOnClose: true), new DetectorOptions { Threads = 2 });
        Assert.That(saved.Model.StoredClasses, Is.EqualTo(new[] { "metal nut" }));
        Assert.That(saved.Model.AnyClass, Is.True);
        Assert.That(saved.Model.Metadata, Is.EqualTo(detector.Model.Metadata));
        Assert.That(saved.Model.Tensors, Is.EqualTo(detector.Model.Tensors + 2));
        foreach (string name in new[] { "metal nut", "cable" })
        {
            Assert.That(saved.Detect(TinyModel.Picture, name).Map.Values.ToArray(),
                Is.EqualTo(detector.Detect(TinyModel.Picture, name).Map.Values.ToArray()));
        }
    }

    [Test]
    public void AFailedSaveLeavesNoFile()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.OfStoredClass().Open());
        string path = TestFiles.NewPath();
        Assert.That(() => detector.SaveWithClasses(path, ["unknown"]), Throws.InstanceOf<UnknownClassException>());
        Assert.That(() => detector.SaveWithClasses(path, [TinyModel.ClassName, " "]), Throws.InstanceOf<ArgumentException>());
        Assert.That(File.Exists(path), Is.False);
        Assert.That(() => detector.SaveWithClasses(detector.Model.Path, []),
            Throws.ArgumentException.With.Message.Contains("itself"));
        using CancellationTokenSource cancelled = new();
        cancelled.Cancel();
        using AnomalyDetector whole = AnomalyDetector.Load(TinyModel.Whole().Open());
        Assert.That(() => whole.SaveWithClasses(path, ["cable"], cancellationToken: cancelled.Token),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(File.Exists(path), Is.False);
    }
}
