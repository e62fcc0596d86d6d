using NUnit.Framework;
using TinyZsad.Models;
using TinyZsad.Tests.Cli;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Models;

/// <summary>The entries of one folder: what is kept, what is found, and what is not believed.</summary>
public sealed class EmbeddingFolderTests : InFolder
{
    private const int Width = 3;

    private static readonly ClassEmbedding Nut = new([1, -2.5f, 1e-40f], [float.MaxValue, -0f, 0.1f]);

    private EmbeddingFolder Open(string model = "a1", string arithmetic = "cpu", string folder = "") =>
        new(In("cache", folder), () => model, arithmetic);

    private string Entry => Directory.EnumerateFiles(In("cache")).Single();

    private static void AssertSame(ClassEmbedding? found, ClassEmbedding expected, string because = "")
    {
        Assert.That(found, Is.Not.Null, because);
        Assert.That(found!.Normal.Select(BitConverter.SingleToInt32Bits),
            Is.EqualTo(expected.Normal.Select(BitConverter.SingleToInt32Bits)), because);
        Assert.That(found.Abnormal.Select(BitConverter.SingleToInt32Bits),
            Is.EqualTo(expected.Abnormal.Select(BitConverter.SingleToInt32Bits)), because);
    }

    [Test]
    public void WhatIsKeptIsFoundToTheBit()
    {
        Assert.That(Open().Find("nut", Width), Is.Null, "there is no folder");
        Open().Keep("nut", Nut);
        AssertSame(Open().Find("nut", Width), Nut);
        if (!OperatingSystem.IsWindows())
        {
            Assert.That(File.GetUnixFileMode(In("cache")),
                Is.EqualTo(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute), "others cannot change results");
        }

        using SafetensorsFile file = SafetensorsFile.Read(Entry);
        Assert.That(file.Metadata["class"], Is.EqualTo("nut"), "an entry tells what it is");
    }

    [Test]
    public void AnEntryHoldsForOneModelProcessorClassAndWidth()
    {
        Open().Keep("nut", Nut);
        Assert.That(Open(model: "b2").Find("nut", Width), Is.Null);
        Assert.That(Open(arithmetic: "cpu 4").Find("nut", Width), Is.Null);
        Assert.That(Open().Find("Nut", Width), Is.Null);
        Assert.That(Open().Find("nut", Width + 1), Is.Null);
        Assert.That(Open().Find("nut", Width - 1), Is.Null);
    }

    /// <summary>Files that are complete but have the name of another entry, as if two names had one hash.</summary>
    [Test]
    public void AnEntryUnderTheNameOfAnotherIsNotUsed()
    {
        Open().Keep("nut", Nut);
        byte[] entry = File.ReadAllBytes(Entry);
        foreach ((EmbeddingFolder folder, string name) in new[]
            { (Open(), "not"), (Open(model: "a2"), "nut"), (Open(arithmetic: "cqu"), "nut") })
        {
            File.WriteAllBytes(folder.PathOf(name), entry);
            Assert.That(folder.Find(name, Width), Is.Null, name);
        }
        AssertSame(Open().Find("nut", Width), Nut);
    }

    [Test]
    public void EveryDamagedByteIsNoticedAndReplaced()
    {
        EmbeddingFolder folder = Open();
        folder.Keep("nut", Nut);
        string path = Entry;
        byte[] entry = File.ReadAllBytes(path);
        for (int i = 0; i < entry.Length; i++)
        {
            foreach (int mask in new[] { 0x01, 0x80, 0xFF })
            {
                byte[] damaged = [.. entry];
                damaged[i] ^= (byte)mask;
                File.WriteAllBytes(path, damaged);
                Assert.That(folder.Find("nut", Width), Is.Null, $"byte {i} ^ {mask}");
            }

            File.WriteAllBytes(path, entry[..i]);
            Assert.That(folder.Find("nut", Width), Is.Null, $"{i} bytes");
        }

        foreach (byte[] other in new[] { [.. entry, 0], [.. entry, .. entry], new byte[entry.Length] })
        {
            File.WriteAllBytes(path, other);
            Assert.That(folder.Find("nut", Width), Is.Null, $"{other.Length} bytes");
        }
        folder.Keep("nut", Nut);
        AssertSame(folder.Find("nut", Width), Nut, "replaced");
    }

    /// <summary>The checksum of such an entry is right.</summary>
    [TestCase(float.NaN)]
    [TestCase(float.NegativeInfinity)]
    public void ValuesThatAreNotFiniteAreNeitherKeptNorUsed(float value)
    {
        EmbeddingFolder folder = Open();
        foreach (ClassEmbedding bad in new ClassEmbedding[] { new([1, value, 3], [4, 5, 6]), new([1, 2, 3], [4, 5, value]) })
        {
            folder.Keep("nut", bad);
            Assert.That(Directory.Exists(In("cache")), Is.False);
            Directory.CreateDirectory(In("cache"));
            File.WriteAllBytes(folder.PathOf("nut"), folder.Encode("nut", bad));
            Assert.That(folder.Find("nut", Width), Is.Null);
            Directory.Delete(In("cache"), recursive: true);
        }
    }

    [Test]
    public void AnyNameIsSafe()
    {
        string[] names =
        [
            "../../nut", "/etc/passwd", "C:\\nut", "a\nb", "nul", " ", "\0", "class \ud83d\ude00", "{}", "\"", "caf\u00e9", "cafe\u0301",
            new string('x', 10_000), new string('\u4e2d', EmbeddingFolder.LongestName),
        ];
        for (int i = 0; i < names.Length; i++) Open().Keep(names[i], new ClassEmbedding([i, i, i], [-i, -i, -i]));
        Assert.That(Directory.EnumerateFileSystemEntries(Folder), Is.EqualTo(new[] { In("cache") }));
        Assert.That(Directory.EnumerateFiles(In("cache")).Select(Path.GetFileName),
            Has.Exactly(names.Length).Items.And.All.Match("^class-[0-9a-f]{64}\\.safetensors$"));
        for (int i = 0; i < names.Length; i++)
            AssertSame(Open().Find(names[i], Width), new ClassEmbedding([i, i, i], [-i, -i, -i]), $"name {i}");
    }

    [Test]
    public void NamesThatAnEntryCannotHoldAreNotKept()
    {
        EmbeddingFolder folder = new(In("cache"), () => throw new AssertionException("the model is read"), "cpu");
        foreach (string name in new[] { "half \ud83d", new string('x', EmbeddingFolder.LongestName + 1) })
        {
            folder.Keep(name, Nut);
            Assert.That(folder.Find(name, Width), Is.Null);
        }
        Assert.That(Directory.Exists(In("cache")), Is.False);
    }

    [Test]
    public void AFolderThatCannotBeUsedIsNoError()
    {
        File.WriteAllText(In("file"), "");
        EmbeddingFolder below = new(In("file", "cache"), () => "a1", "cpu"), taken = Open();
        below.Keep("nut", Nut);
        Assert.That(below.Find("nut", Width), Is.Null);
        Directory.CreateDirectory(taken.PathOf("nut"));
        taken.Keep("nut", Nut);
        Assert.That(taken.Find("nut", Width), Is.Null);
        Assert.That(Directory.EnumerateFileSystemEntries(In("cache")).Count(), Is.EqualTo(1), "no temporary file is left");
        EmbeddingFolder unread = new(In("cache"), () => throw new ModelFormatException("model", "shortened."), "cpu");
        unread.Keep("nut", Nut);
        Assert.That(unread.Find("nut", Width), Is.Null, "the model file cannot be read");
    }

    /// <summary>A pipe would let its reader wait, and the end of a file of terabytes is far.</summary>
    [Test]
    public void OtherFilesAreNotOpened()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("It needs mkfifo.");
        EmbeddingFolder folder = Open();
        Directory.CreateDirectory(In("cache"));
        Shell($"mkfifo '{folder.PathOf("pipe")}'; ln -s /dev/zero '{folder.PathOf("zeros")}'; truncate -s 64G '{folder.PathOf("large")}'");
        foreach (string name in new[] { "pipe", "zeros", "large" })
        {
            Assert.That(Ends.Eventually(() => folder.Find(name, Width)), Is.Null, name);
            folder.Keep(name, Nut);
            AssertSame(Ends.Eventually(() => folder.Find(name, Width)), Nut, name);
        }
    }

    [Test]
    public void TheEntriesUsedLongestAgoMakeRoom()
    {
        EmbeddingFolder folder = Open();
        folder.Keep("used", Nut);
        folder.Keep("unused", Nut);
        string unused = folder.PathOf("unused");
        foreach (string name in new[] { "used", "unused" }) File.SetLastWriteTimeUtc(folder.PathOf(name), new DateTime(2020, 1, 1));
        File.WriteAllText(In("cache", "class-of-mine.safetensors"), "");
        for (int i = 2; i < EmbeddingFolder.Capacity; i++)
            File.WriteAllText(In("cache", $"class-{i:x64}.safetensors"), "");
        AssertSame(folder.Find("used", Width), Nut);
        folder.Keep("one more", Nut);
        Assert.That(Directory.EnumerateFiles(In("cache")).Count(), Is.EqualTo(EmbeddingFolder.Capacity + 1));
        Assert.That(File.Exists(unused), Is.False);
        Assert.That(File.Exists(In("cache", "class-of-mine.safetensors")), "a file of the user");
        AssertSame(folder.Find("used", Width), Nut);
    }

    [Test]
    public void ManyWhoReadAndWriteAtOnceAgree()
    {
        Parallel.For(0, 400, i =>
        {
            EmbeddingFolder folder = Open();
            string name = $"class {i % 3}";
            ClassEmbedding own = new([i % 3, 0, 0], [0, 0, i % 3]);
            if (i % 2 == 0) folder.Keep(name, own);
            else if (folder.Find(name, Width) is { } found) AssertSame(found, own);
        });
        Assert.That(Directory.EnumerateFiles(In("cache")).Count(), Is.EqualTo(3), "no temporary file is left");
    }

    /// <summary>Where the user's folder is, by the variables of the environment.</summary>
    [Test]
    public void TheUsersFolderFollowsTheSystem()
    {
        if (OperatingSystem.IsWindows()) Assert.Ignore("The system tells, not the environment.");
        string? xdg = Environment.GetEnvironmentVariable("XDG_CACHE_HOME"), home = Environment.GetEnvironmentVariable("HOME");
        string caches = OperatingSystem.IsMacOS() ? "Library/Caches" : ".cache";
        try
        {
            Assert.That((With("/var/c", "/home/u"), With("", "/home/u"), With("relative", "/home/u"), With(null, ""), With(null, null)),
                Is.EqualTo(("/var/c/tinyzsad", $"/home/u/{caches}/tinyzsad", $"/home/u/{caches}/tinyzsad", (string?)null, (string?)null)));
        }
        finally
        {
            With(xdg, home);
        }

        static string? With(string? xdg, string? home)
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", xdg);
            Environment.SetEnvironmentVariable("HOME", home);
            return EmbeddingFolder.OfUser;
        }
    }
}
