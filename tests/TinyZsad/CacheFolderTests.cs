using NUnit.Framework;
using TinyZsad.Models;
using TinyZsad.Tests.Cli;
using TinyZsad.Tests.Graph;
using TinyZsad.Tests.Models;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>Detectors that share class embeddings by a folder: the same results, and no second computation.</summary>
public sealed class CacheFolderTests : InFolder
{
    private AnomalyDetector Load(SafetensorsFile file, string? folder = null) =>
        AnomalyDetector.Load(file, new DetectorOptions { Threads = 1, CacheFolder = folder ?? In("cache") });

    private AnomalyDetector Load() => Load(TinyModel.Whole().Open());

    /// <summary>Embeds a class and determines whether the text tower has run.</summary>
    private static bool Computes(AnomalyDetector detector, string className)
    {
        int reports = 0;
        detector.Embed(className, _ => reports++, default);
        return reports > 0;
    }

    private static float[] Map(AnomalyDetector detector, string className) =>
        detector.Detect(TinyModel.Picture, className).Map.Values.ToArray();

    private string Entry => Directory.EnumerateFiles(In("cache")).Single();

    [Test]
    public void AnotherDetectorNeedNotComputeAndGivesTheSameBits()
    {
        using AnomalyDetector off = Load(TinyModel.Whole().Open(), ""), first = Load(), second = Load();
        Assert.That(Computes(first, "nut"));
        Assert.That(Computes(second, "nut"), Is.False);
        float[] expected = Map(off, "nut");
        Assert.That(Map(first, "nut"), Is.EqualTo(expected));
        Assert.That(Map(second, "nut"), Is.EqualTo(expected));
        Assert.That(Computes(second, "cable"), "another class");
        Assert.That(Map(second, "cable"), Is.Not.EqualTo(expected));
    }

    [Test]
    public void AModelFromAFileAStreamAndMemoryIsOneModel()
    {
        string path = Seeded();
        DetectorOptions options = new() { CacheFolder = In("cache") };
        using FileStream stream = File.OpenRead(path);
        using AnomalyDetector mapped = AnomalyDetector.Load(path, options), streamed = AnomalyDetector.Load(stream, options),
            inMemory = AnomalyDetector.Load(File.ReadAllBytes(path), options);
        Assert.That(Computes(mapped, "nut"));
        Assert.That((Computes(streamed, "nut"), Computes(inMemory, "nut")), Is.EqualTo((false, false)));
    }

    [Test]
    public void AnotherModelComputesItsOwn()
    {
        TinyModel other = TinyModel.Whole();
        other.Change("text.token_embedding.weight", 0, value => value + 1);
        using AnomalyDetector first = Load(), second = Load(other.Open());
        Assert.That((Computes(first, "nut"), Computes(second, "nut")), Is.EqualTo((true, true)));
    }

    [Test]
    public void ADamagedEntryIsComputedAgainAndReplaced()
    {
        using AnomalyDetector first = Load();
        float[] expected = Map(first, "nut");
        byte[] entry = File.ReadAllBytes(Entry), damaged = [.. entry];
        damaged[^1] ^= 1;
        foreach (byte[] content in new[] { damaged, [], entry[..^1], [.. entry, 0] })
        {
            File.WriteAllBytes(Entry, content);
            using AnomalyDetector second = Load();
            Assert.That(Computes(second, "nut"), $"{content.Length} bytes");
            Assert.That(Map(second, "nut"), Is.EqualTo(expected));
            Assert.That(File.ReadAllBytes(Entry), Is.EqualTo(entry));
        }
    }

    /// <summary>Entries with other values, in every respect like those of the model, would give other maps.</summary>
    [Test]
    public void OnlyAClassThatIsNowhereElseIsLookedUp()
    {
        TinyModel stored = TinyModel.Whole();
        foreach (string name in new[] { "text.normal.metal nut", "text.abnormal.metal nut" })
            stored.Store(name, [.. Enumerable.Range(0, 48).Select(i => (float)i)]);
        using AnomalyDetector off = Load(stored.Open(), ""), detector = Load(stored.Open());
        float[] known = Map(detector, "nut");
        EmbeddingFolder folder = new(In("cache"), () => detector.Model.Sha256, Plans.Cpu(1).Arithmetic);
        foreach (string name in new[] { "metal nut", "nut", "cable" })
            folder.Keep(name, new ClassEmbedding([.. Enumerable.Repeat(0.1f, 48)], [.. Enumerable.Repeat(-0.1f, 48)]));
        Assert.That(Map(detector, "metal nut"), Is.EqualTo(Map(off, "metal nut")), "stored in the model");
        Assert.That(Map(detector, "nut"), Is.EqualTo(known), "in memory");
        Assert.That(Map(detector, "cable"), Is.Not.EqualTo(Map(off, "cable")), "the entries are found indeed");
    }

    [Test]
    public void TheModelIsReadOnceAndOnlyForAClassThatIsNotKnown()
    {
        TinyModel stored = TinyModel.Whole();
        foreach (string name in new[] { "text.normal.metal nut", "text.abnormal.metal nut" })
            stored.Store(name, [.. Enumerable.Range(0, 48).Select(i => (float)i)]);
        int reads = 0;
        using AnomalySystem system = AnomalySystem.Load(stored.Open(), Plans.Cpu(1));
        Lazy<string> sha256 = new(() => $"{++reads}");
        system.EmbeddingFolder = new EmbeddingFolder(In("cache"), () => sha256.Value, "cpu");
        system.Prepare("metal nut", default);
        Assert.That(reads, Is.Zero);
        system.Prepare("nut", default);
        system.Prepare("nut", default);
        Assert.That(reads, Is.EqualTo(1));
    }

    [Test]
    public void OffKeepsNothing()
    {
        using AnomalyDetector first = Load(TinyModel.Whole().Open(), ""), second = Load(TinyModel.Whole().Open(), "");
        Assert.That((Computes(first, "nut"), Computes(second, "nut")), Is.EqualTo((true, true)));
        Assert.That(Directory.EnumerateFileSystemEntries(Folder), Is.Empty);
    }

    [Test]
    public void AFolderThatCannotBeWrittenIsNoError()
    {
        File.WriteAllText(In("file"), "");
        using AnomalyDetector off = Load(TinyModel.Whole().Open(), ""), detector = Load(TinyModel.Whole().Open(), In("file", "cache"));
        Assert.That(Map(detector, "nut"), Is.EqualTo(Map(off, "nut")));
        Assert.That(() => Load(TinyModel.Whole().Open(), "a\0b"), Throws.InstanceOf<ArgumentException>().With.Message.Contains("NUL"));
    }

    [Test]
    public void TheUsersFolderIsTheDefault()
    {
        string? before = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        try
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", Folder);
            using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.Whole().Open());
            Computes(detector, "nut");
        }
        finally
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", before);
        }
        Assert.That(Directory.EnumerateFiles(In("tinyzsad")).Count(), Is.EqualTo(1));
    }

    [Test]
    public void TheReferenceDeviceAlwaysComputes()
    {
        using AnomalyDetector first = Load();
        Computes(first, "nut");
        using AnomalyDetector reference = AnomalyDetector.Load(
            TinyModel.Whole().Open(), new DetectorOptions { Device = "reference", CacheFolder = In("cache") });
        using CancellationTokenSource source = new();
        Assert.That(() => reference.Embed("nut", _ => source.Cancel(), source.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void ProgressIsReportedAndCancellationKeepsNothing()
    {
        List<double> shares = [];
        using AnomalyDetector detector = Load();
        using CancellationTokenSource source = new();
        Assert.That(() => detector.Embed("nut", share =>
        {
            if (share > 0.2) source.Cancel();
        }, source.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.Exists(In("cache")), Is.False);
        detector.Embed("nut", shares.Add, default);
        Assert.That(shares, Has.Count.EqualTo(13).And.Ordered.Ascending);
        Assert.That((shares[0], shares[1], shares[^1]), Is.EqualTo((0, 35 / 420.0, 1)));
    }

    [Test]
    public void ADetectorThatIsDisposedMeanwhileEndsItsCall()
    {
        AnomalyDetector detector = Load();
        detector.Embed("nut", _ => detector.Dispose(), default);
        using AnomalyDetector second = Load();
        Assert.That(Computes(second, "nut"), Is.False, "the entry is written after the detector is disposed");
    }

    [Test]
    public void SavedClassesComeFromTheFolder()
    {
        using AnomalyDetector first = Load(), second = Load();
        Computes(first, "nut");
        List<double> shares = [];
        second.SaveWithClasses(In("nut.safetensors"), ["nut"], textTower: false, shares.Add, default);
        Assert.That(shares, Is.EqualTo(new[] { 1.0 }), "nothing is computed");
        using AnomalyDetector saved = Load(SafetensorsFile.Read(In("nut.safetensors")));
        Assert.That(Map(saved, "nut"), Is.EqualTo(Map(first, "nut")));
    }
}
