using System.Diagnostics;
using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>JPEG against libjpeg-turbo's djpeg, and Pillow where there are inks or orientations, byte by byte.</summary>
public class JpegCorpusTests
{
    private JpegCorpus corpus = null!;

    [OneTimeSetUp]
    public void Make() => corpus = JpegCorpus.Make();

    [OneTimeTearDown]
    public void Delete() => corpus?.Dispose();

    [Test]
    public void EveryPictureIsLibjpegs()
    {
        using StringWriter output = new();
        (int pictures, int different) = JpegCorpus.Check(corpus.Folder, turned: false, output);
        TestContext.Out.WriteLine(output);
        Assert.That(pictures, Is.GreaterThan(1800));
        Assert.That(different, Is.Zero, output.ToString());
    }

    [TestCase("AVX2")]
    [TestCase("HWIntrinsic")]
    public void EveryPictureIsLibjpegsWithout(string instructionSet)
    {
        ProcessStartInfo start = new("dotnet", [typeof(JpegCorpusTests).Assembly.Location, "jpeg", corpus.Folder])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[$"DOTNET_Enable{instructionSet}"] = "0";
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.That(child.ExitCode, Is.Zero, $"{output}\n{errors.Result}");
        Assert.That(output, Does.StartWith("256 bits: False").And.Match(@"\d{4} pictures, 0 different"));
    }

    [Test]
    public void OrientationIsPillowsIfAskedFor()
    {
        using StringWriter output = new();
        (int pictures, int different) = JpegCorpus.Check(corpus.Folder, turned: true, output);
        Assert.That(pictures, Is.GreaterThanOrEqualTo(40));
        Assert.That(different, Is.Zero, output.ToString());
    }

    [TestCase("arithmetic.refused", "SOF9")]
    [TestCase("arithmetic-progressive.refused", "SOF10")]
    public void RefusesArithmeticCodingByName(string name, string marker) =>
        Assert.That(() => Image.Load(corpus.Read(name)), Throws.TypeOf<ImageFormatException>()
            .With.Message.Contains(marker).And.Message.Contains("arithmetic coding, which is not supported"));
}
