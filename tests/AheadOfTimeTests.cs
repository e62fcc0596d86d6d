using System.Globalization;
using System.Runtime.Intrinsics;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;

namespace TinyZsad.Tests;

/// <summary>
/// Compiles the tool, and a program that uses the package, ahead of time to native code, and compares it with the same code compiled
/// by the JIT compiler.
/// </summary>
[TestFixture, NonParallelizable]
public sealed class AheadOfTimeTests
{
    private string folder = null!;
    private NativeTool tool = null!;

    [OneTimeSetUp]
    public void PublishTheTool()
    {
        folder = Directory.CreateTempSubdirectory("tinyzsad-native-").FullName;
        tool = NativeTool.Publish("linux-x64", In("tool"), [("ld.lld", "lld"), ("/usr/include/zlib.h", "zlib1g-dev")]);
    }

    [OneTimeTearDown]
    public void DeleteFolder()
    {
        if (folder is not null) Directory.Delete(folder, recursive: true);
    }

    [Test]
    public void TheToolIsOneFileWithoutWarnings()
    {
        Assert.That(tool.Log, Does.Contain("TinyZsad: compiling for x86-64-v3 (AVX2)"));
        tool.IsOneFileWithoutWarnings(machine: 62);
    }

    [Test]
    public void ItNamesTheWidthAndWhatLimitsIt()
    {
        JsonElement root = JsonDocument.Parse(Native("bench", "--json", "--runs", "1").Success()).RootElement;
        Assert.That(root.GetProperty("simd_lanes").GetInt32(), Is.EqualTo(8));
        Assert.That(root.GetProperty("instruction_set").GetString(), Is.EqualTo("AVX2"));
        string? limit = root.GetProperty("instruction_set_limit").GetString();
        Assert.That(limit, Vector512.IsHardwareAccelerated ? Does.Contain("AVX-512").And.Contain("ahead of time for AVX2") : Is.Null);
        Assert.That(Native("bench", "--runs", "1").Success(), Does.Match(@"SIMD +AVX2, 8 lanes of float32").And
            .Match(Vector512.IsHardwareAccelerated ? "IlcInstructionSet" : ""));
    }

    /// <summary>The scores of the same kernels with the same width have the same bits.</summary>
    [TestCase("float32")]
    [TestCase("forced-int8")]
    public void ItDetectsWhatTheJitCompiledToolDetects(string precision)
    {
        string[] line = ["detect", "--format", "json", "--precision", precision, "--threshold", "0.4", "samples"];
        string[] expected = Detections(Jitted(line)), actual = Detections(Native(line));
        Assert.That(expected, Has.Length.GreaterThanOrEqualTo(10));
        Assert.That(expected, Has.All.Contains("score"));
        Assert.That(actual, Is.EqualTo(expected));
    }

    [Test]
    public void ItSavesPicturesAndVerifiesEverySystem()
    {
        string[] cases = ["lizad", "edgezsad", "visualad"];
        Native(["verify", .. cases.Select(c => TestData.Path(c, "tiny"))]).Success();
        Native("detect", "--out", In("out"), "--save", "overlay,map,mask,raw", "--threshold", "0.4",
            Path.Combine(TestData.RepositoryRoot, "samples")).Success();
        Assert.That(Native("detect", TestData.Path("imaging", "tiff", "rgb-lzw-strips.tif"), TestData.Path("imaging", "jpeg-420.jpg"))
            .Success(), Does.Contain("37 x 21"));
    }

    [Test]
    public void UsageAndErrorsAreThoseOfTheJitCompiledTool()
    {
        string[][] lines = [["--help"], ["detect", "--help"], ["inspect"], ["inspect", "README.md"], ["detect", "-x"]];
        foreach (string[] line in lines)
        {
            Programs.Result expected = Jitted(line), actual = Native(line);
            // The name of the program is its own file's.
            Assert.That((actual.Code, actual.Output.Replace("TinyZsad.Cli", Tool.Name), actual.Error),
                Is.EqualTo((expected.Code, expected.Output.Replace("TinyZsad.Cli", Tool.Name), expected.Error)), string.Join(' ', line));
        }
    }

    /// <summary>The runtime itself refuses, before any code of the program.</summary>
    [Test]
    public void AProcessorWithoutAvxIsRefused()
    {
        Programs.Require(("qemu-x86_64-static", "qemu-user-static"));
        Programs.Result refused = Programs.Run("qemu-x86_64-static", "-cpu", "Nehalem", tool.File, "--help");
        Assert.That(refused.Code, Is.Not.Zero);
        Assert.That(refused.Output, Is.Empty);
        Assert.That(refused.Error, Does.Contain("The required instruction sets are not supported by the current CPU."));
        Programs.Run("qemu-x86_64-static", "-cpu", "max", tool.File, "--help").Success();
    }

    /// <summary>A program that sets PublishAot and nothing else. It gets the instruction set from the package.</summary>
    [Test]
    public void AProgramThatUsesThePackageComputesWithEightLanes()
    {
        string packages = In("packages"), program = In("first");
        foreach (string project in new[] { "packages/TinyZsad", "src/Models.Nano" })
            Programs.Run("dotnet", "pack", project, "-c", "Release", "--no-build", "-o", packages).Success();
        Directory.CreateDirectory(program);
        File.WriteAllText(Path.Combine(program, "first.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <PublishAot>true</PublishAot>
                <RestoreAdditionalProjectSources>{packages}</RestoreAdditionalProjectSources>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="TinyZsad" Version="0.1.0" />
              </ItemGroup>
            </Project>
            """);
        File.WriteAllText(Path.Combine(program, "Program.cs"), """
            using System;
            using TinyZsad;
            using TinyZsad.Imaging;

            using AnomalyDetector detector = AnomalyDetector.LoadDefault();
            using Image picture = Image.Load(args[0]);
            Console.WriteLine($"{detector.VectorWidth} {detector.VectorLimit is null} {detector.Detect(picture).Score:r}");
            """);
        // The compiler is in the user's cache. The packages under test must not be left there, so they get a cache of their own.
        string cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        string build = Programs.Run("dotnet", ["publish", "-c", "Release", "-o", Path.Combine(program, "out")],
            [("NUGET_PACKAGES", In("cache")), ("RestoreFallbackFolders", cache)], program).Success();
        Assert.That(build, Does.Contain("TinyZsad: compiling for x86-64-v3 (AVX2)"));
        Assert.That(build, Does.Not.Match(@"\bIL\d{4}\b").And.Not.Contain("warning"));

        string sample = Path.Combine(TestData.RepositoryRoot, "samples", "brick-stain.png");
        string score = Jitted("detect", "--format", "json", sample).Success();
        double expected = JsonDocument.Parse(score).RootElement.GetProperty("score").GetDouble();
        string[] words = Programs.Run(Path.Combine(program, "out", "first"), sample).Success().Trim().Split(' ');
        Assert.That((words[0], words[1]), Is.EqualTo(("256", $"{!Vector512.IsHardwareAccelerated}")));
        Assert.That(float.Parse(words[2], CultureInfo.InvariantCulture), Is.EqualTo((float)expected));
    }

    private string In(params string[] parts) => Path.Combine([folder, .. parts]);

    private Programs.Result Native(params string[] line) => Programs.Run(tool.File, line);

    /// <summary>Runs the tool that the JIT compiler compiles, with the vectors of the native one.</summary>
    private static Programs.Result Jitted(params string[] line) =>
        Programs.Run("dotnet", [typeof(Tool).Assembly.Location, .. line], [("DOTNET_EnableAVX512", "0")]);

    /// <summary>The lines of JSON without the times.</summary>
    private static string[] Detections(Programs.Result run) =>
        [.. run.Success().Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line =>
            string.Join(", ", JsonDocument.Parse(line).RootElement.EnumerateObject()
                .Where(p => p.Name != "milliseconds").Select(p => p.ToString())))];
}
