using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Kernels;
using TinyZsad.Tests.Models;

namespace TinyZsad.Tests.Kernels;

/// <summary>Tests where 8-bit integers are computed, and where floats are computed instead.</summary>
public sealed class Int8BenefitTests
{
    private const string OnePipe = "is not known to multiply two vectors of integers a cycle, as it does of floats";
    private const string NoFaster = "is not known to multiply integers faster than floats";

    [TestCase(16, "GenuineIntel", 6, 0x55, "is not known to multiply 16-bit integers faster than 512-bit floats",
        Description = "Skylake-X")]
    [TestCase(16, "AuthenticAMD", 0x19, 0x61, null, Description = "Zen 4 without machine code")]
    [TestCase(8, "GenuineIntel", 6, 0x3C, OnePipe, Description = "Haswell")]
    [TestCase(8, "GenuineIntel", 6, 0x4F, OnePipe, Description = "Broadwell-E")]
    [TestCase(8, "GenuineIntel", 6, 0x5E, null, Description = "Skylake")]
    [TestCase(8, "GenuineIntel", 6, 0xA5, null, Description = "Comet Lake")]
    [TestCase(8, "AuthenticAMD", 0x15, 0x60, OnePipe, Description = "Excavator")]
    [TestCase(8, "AuthenticAMD", 0x17, 0x31, OnePipe, Description = "Zen 2")]
    [TestCase(8, "HygonGenuine", 0x18, 0x01, OnePipe, Description = "Dhyana")]
    [TestCase(8, "AuthenticAMD", 0x19, 0x21, null, Description = "Zen 3")]
    [TestCase(8, "CentaurHauls", 7, 0x3B, OnePipe, Description = "not known")]
    [TestCase(4, "GenuineIntel", 6, 0x2A, null, Description = "Sandy Bridge")]
    [TestCase(4, "GenuineIntel", 6, 0x3C, null, Description = "Haswell with AVX2 disabled")]
    [TestCase(4, "AuthenticAMD", 0x10, 0x0A, null, Description = "K10")]
    [TestCase(4, "AuthenticAMD", 0x17, 0x31, NoFaster, Description = "Zen 2 with AVX2 disabled")]
    [TestCase(4, "VirtualApple", 6, 0x2C, NoFaster, Description = "an emulated processor")]
    [TestCase(1, "", 0, 0, "computes without vectors here")]
    public void PairsAreComputedWhereTheyWin(int lanes, string vendor, int family, int model, string? reason)
    {
        string? objection = Int8Benefit.Explain(false, lanes, Architecture.X64, new(vendor, family, model));
        Assert.That(objection, Is.EqualTo(
            reason is null ? null : $"int8 brings nothing on this processor, which {reason}; computing in float32."));
    }

    [TestCase(16, Architecture.X64)]
    [TestCase(8, Architecture.X64)]
    [TestCase(4, Architecture.Arm64)]
    public void DotProductsOfBytesAlwaysWin(int lanes, Architecture architecture) =>
        Assert.That(Int8Benefit.Explain(true, lanes, architecture, new("", 0, 0)), Is.Null);

    [Test]
    public void Arm64NeedsDotProducts() => Assert.That(
        Int8Benefit.Explain(false, 4, Architecture.Arm64, new("", 0, 0)), Does.Contain("which has no dot products of bytes;"));

    [TestCase("GenuineIntel", 0x000906EC, 6, 0x9E, Description = "Coffee Lake")]
    [TestCase("AuthenticAMD", 0x00830F10, 0x17, 0x31, Description = "Zen 2")]
    [TestCase("AuthenticAMD", 0x00A20F10, 0x19, 0x21, Description = "Zen 3")]
    [TestCase("GenuineIntel", 0x000306C3, 6, 0x3C, Description = "Haswell")]
    public void TheProcessorIsDecoded(string vendor, int signature, int family, int model)
    {
        int[] letters = MemoryMarshal.Cast<byte, int>(Encoding.ASCII.GetBytes(vendor)).ToArray();
        Assert.That(Int8Benefit.Processor.Of(letters[0], letters[1], letters[2], signature),
            Is.EqualTo(new Int8Benefit.Processor(vendor, family, model)));
    }

    /// <summary>Without vectors, the tool computes in floats and says so once, unless it is forced.</summary>
    [Test]
    public void FloatsAreComputedWhereIntegersAreSlower()
    {
        const string off = "HWIntrinsic", said = "int8 brings nothing on this processor, which computes without vectors here; "
            + "computing in float32. --precision forced-int8 forces int8.";
        (double floats, string silence) = Detect("float32", off);
        (double asked, string note) = Detect("int8", off);
        (double forced, string nothing) = Detect("forced-int8", off);
        Assert.That(asked, Is.EqualTo(floats));
        Assert.That(note.Split(said), Has.Length.EqualTo(2), note);
        Assert.That(forced, Is.Not.EqualTo(floats));
        Assert.That(silence + nothing, Does.Not.Contain("int8"));
    }

    /// <summary>
    /// Bytes and pairs give the same integers, and with vectors of the same width the floats around them are the same as well.
    /// </summary>
    [Test]
    public void TheBitsOfResultsDoNotDependOnTheInstructions()
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64) Assert.Ignore("The switches are those of x64.");
        double bytes = Detect("forced-int8", "AVX512").Score, pairs = Detect("forced-int8", "AVX512", "AVXVNNI").Score;
        Assert.That(pairs, Is.EqualTo(bytes).And.Not.EqualTo(Detect("float32", "AVX512").Score));
        (double asked, string note) = Detect("int8", "AVX512", "AVXVNNI");
        string? objection = Int8Benefit.Explain(
            false, Math.Min(Simd.Lanes, 8), Architecture.X64, Int8Benefit.Processor.Identify());
        Assert.That(note, objection is null ? Does.Not.Contain("int8") : Does.Contain(objection));
        Assert.That(asked, objection is null ? Is.EqualTo(pairs) : Is.Not.EqualTo(pairs));
    }

    [Test]
    public void TheDetectorNamesThePrecision()
    {
        Assert.That(Precisions(Precision.Float32), Is.EqualTo((Precision.Float32, (string?)null)));
        Assert.That(Precisions(Precision.ForcedInt8), Is.EqualTo((Precision.Int8, (string?)null)));
        Precision expected = Int8Benefit.Objection is null ? Precision.Int8 : Precision.Float32;
        Assert.That(Precisions(Precision.Int8), Is.EqualTo((expected, Int8Benefit.Objection)));

        static (Precision, string?) Precisions(Precision precision)
        {
            using AnomalyDetector detector = AnomalyDetector.Load(
                TinyModel.OfStoredClass().Open(), new DetectorOptions { Precision = precision });
            return (detector.Precision, detector.PrecisionNote);
        }
    }

    /// <summary>Detects in a process of its own with instruction sets disabled.</summary>
    private static (double Score, string Error) Detect(string precision, params string[] switchedOff)
    {
        string[] line = [typeof(Int8BenefitTests).Assembly.Location, "tool", "detect", "--format", "json", "--precision", precision,
            Path.Combine(TestData.RepositoryRoot, "samples", "brick.png")];
        Programs.Result run = Programs.Run("dotnet", line, [.. switchedOff.Select(set => ($"DOTNET_Enable{set}", "0"))]);
        return (JsonDocument.Parse(run.Success()).RootElement.GetProperty("score").GetDouble(), run.Error);
    }
}
