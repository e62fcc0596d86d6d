using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Tests.Cli;
using TinyZsad.Tests.Imaging;
using TinyZsad.Tests.Kernels;

namespace TinyZsad.Tests;

/// <summary>
/// Publishes the tests with the tool for linux-arm64, with the runtime, and runs them under QEMU. That is slow, so these are samples.
/// </summary>
[TestFixture, NonParallelizable]
public sealed class Arm64Tests
{
    private static readonly string[] TinyCases =
        [TestData.Path("lizad", "tiny"), TestData.Path("edgezsad", "tiny"), TestData.Path("visualad", "tiny")];

    /// <summary>Processors that QEMU emulates.</summary>
    private const string Newest = "max", WithoutDotProducts = "cortex-a72";

    /// <summary>Below the repository, where the tests look for their files.</summary>
    private static readonly string Artifacts = Programs.Artifacts("linux-arm64"), Folder = Path.Combine(Artifacts, "tests");

    [OneTimeSetUp]
    public void Publish()
    {
        if (!OperatingSystem.IsLinux()) Assert.Ignore("QEMU's emulation of a process is for Linux.");
        Programs.Require([.. Arm64.Needed, .. Arm64.NeededByTheRuntime]);
        Programs.Publish("tests", "linux-arm64", Artifacts, Folder, "SelfContained=true",
            "ValidateExecutableReferencesMatchSelfContained=false");
    }

    [TestCase(Newest, "", 4, "bytes", 12)]
    [TestCase(WithoutDotProducts, "", 4, "16-bit integers", 40)]
    [TestCase(Newest, "DOTNET_EnableHWIntrinsic", 1, "16-bit integers", 40)]
    public void KernelsAgreeWithTheirDefinitions(string processor, string switchedOff, int lanes, string products, int oneOf)
    {
        Programs.Result run = EmulateOn(processor, switchedOff, "kernels-sample", $"{oneOf}");
        Assert.That(run.Success(), Does.StartWith($"{lanes} lanes, products of {products}"));
        Assert.That(run.Output, Does.Match(@"\n\d{3,} passed, 0 failed"));
    }

    // Two steps of k: two vectors of B, and a scalar load and two products by it for each of 12 rows. Two groups of four likewise.
    [TestCase("Tile12[", "fmla", 48)]
    [TestCase("SignedQuads(", "sdot", 48)]
    public void ATileHasNoMovesAndNoSpills(string method, string kind, int count)
    {
        string file = Path.GetTempFileName();
        try
        {
            EmulateOn(Newest, [(InnerLoop.Methods, "Tile12 SignedQuads"), (InnerLoop.File, file)], "kernels", "Tile [").Success();
            InnerLoop loop = InnerLoop.Of(File.ReadAllText(file), method, kind);
            Assert.That((loop.Count(kind), loop.Count("dup"), loop.Count("st")), Is.EqualTo((count, 0, 0)), $"{loop}");
            Assert.That(loop.Moves, Is.Empty, $"{loop}");
            Assert.That(loop.Spills, Is.Empty, $"{loop}");
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>
    /// All pictures decode and resize to the same bytes. The emulated processor has no library of hashes, so it writes the bytes.
    /// </summary>
    [Test]
    public void PicturesAreTheSame()
    {
        string here = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        string there = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        try
        {
            PixelDump.Write(here);
            Emulate("", "pixels", there).Success();
            string[] names = [.. Directory.GetFiles(here).Select(f => Path.GetFileName(f)!)];
            Assert.That(names, Has.Length.GreaterThan(500));
            Assert.That(Directory.GetFiles(there).Select(Path.GetFileName), Is.EquivalentTo(names));
            Assert.That(names.Where(n => !Bytes(here, n).SequenceEqual(Bytes(there, n))), Is.Empty);
        }
        finally
        {
            Directory.Delete(here, recursive: true);
            Directory.Delete(there, recursive: true);
        }

        static byte[] Bytes(string folder, string name) => File.ReadAllBytes(Path.Combine(folder, name));
    }

    [Test]
    public void EverySystemIsVerified() => EmulateTool(["verify", .. TinyCases]).Success();

    /// <summary>
    /// The integers are those of x64, except where floats that differ in their last bit are rounded to different integers. That changes
    /// an error by a small part of the largest one.
    /// </summary>
    [TestCase(Newest)]
    [TestCase(WithoutDotProducts)]
    public void EverySystemHasTheErrorsOfX64WithIntegers(string processor)
    {
        string[] line = ["verify", "--json", "--precision", "int8", .. TinyCases];
        double[] expected = Errors(ToolRun.Of(line).Output);
        double[] actual = Errors(EmulateOn(processor, "", ["tool", .. line]).Success());
        Assert.That(expected.Max(), Is.GreaterThan(1e-2), "nothing was rounded to integers");
        Assert.That(actual, Is.EqualTo(expected).Within(0.1 * expected.Max()));
    }

    [Test]
    public void ScoresAreThoseOfX64ToFourDigits() => Arm64.ScoresAreThoseOfX64(EmulateTool);

    [Test]
    public void TheWidthIsNamed() => Arm64.TheWidthIsNamed(EmulateTool);

    /// <summary>Without dot products of bytes, integers are slower than floats.</summary>
    [TestCase(Newest, "int8")]
    [TestCase(WithoutDotProducts, "float32")]
    public void IntegersAreComputedWhereTheyAreFaster(string processor, string computed)
    {
        Programs.Result run = EmulateOn(processor, "", "tool", "bench", "--json", "--runs", "1", "--warmup", "1", "--precision", "int8");
        JsonElement root = JsonDocument.Parse(run.Success()).RootElement;
        Assert.That(root.GetProperty("precision_computed").GetString(), Is.EqualTo(computed));
        Assert.That(run.Error, computed == "int8" ? Does.Not.Contain("int8 brings nothing")
            : Does.Contain("int8 brings nothing on this processor, which has no dot products of bytes; computing in float32."));
    }

    private static Programs.Result EmulateTool(string[] line) => Emulate("", ["tool", .. line]);

    private static Programs.Result Emulate(string switchedOff, params string[] line) => EmulateOn(Newest, switchedOff, line);

    private static Programs.Result EmulateOn(string processor, string switchedOff, params string[] line) =>
        EmulateOn(processor, switchedOff.Length > 0 ? [(switchedOff, "0")] : [], line);

    private static Programs.Result EmulateOn(string processor, (string, string)[] variables, params string[] line) =>
        Arm64.Run(Path.Combine(Folder, "TinyZsad.Tests"), line, [("QEMU_CPU", processor), .. variables]);

    private static double[] Errors(string json) => [.. JsonDocument.Parse(json).RootElement.GetProperty("cases").EnumerateArray()
        .SelectMany(c => c.GetProperty("taps").EnumerateArray()).Select(t => t.GetProperty("relative_l2").GetDouble())];
}
