using System.Diagnostics;
using System.IO.Compression;
using System.Reflection;
using System.Xml.Linq;
using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>What is shipped: few public types, one package that holds all rooms, and all that a first program needs.</summary>
[TestFixture, NonParallelizable]
public sealed class PackageTests
{
    private const int MostPublicTypes = 51;

    private static readonly string Root =
        Path.GetFullPath(Path.Combine(typeof(PackageTests).Assembly.Location, "../../../../.."));

    private string folder = null!;

    [OneTimeSetUp]
    public void Pack()
    {
        folder = Directory.CreateTempSubdirectory("tinyzsad-package").FullName;
        foreach (string project in new[] { "packages/TinyZsad", "packages/TinyZsad.Tiff", "src/Models.Nano" })
            Run(Root, "pack", project, "-c", "Release", "--no-build", "-o", folder);
    }

    [OneTimeTearDown]
    public void Delete() => Directory.Delete(folder, recursive: true);

    /// <summary>
    /// The rooms of the package TinyZsad: all but the tool, the kernel cases and the emulated GPU, which are part of the tool, and TIFF,
    /// which has a package of its own.
    /// </summary>
    private static IEnumerable<Assembly> Rooms() => Directory.GetFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories)
        .Select(p => Path.GetFileNameWithoutExtension(p))
        .Where(n => n is not ("TinyZsad.Cli" or "TinyZsad.KernelCases" or "TinyZsad.Ptx" or "TinyZsad.Tiff")).Select(Assembly.Load);

    [Test]
    public void FewTypesArePublicAndAllAreListed()
    {
        Type[] types = [.. Rooms().SelectMany(r => r.GetExportedTypes())];
        TestContext.Out.WriteLine($"{types.Length} public types");
        Assert.That(types, Has.Length.LessThanOrEqualTo(MostPublicTypes), string.Join(", ", types.Select(t => t.Name)));
        foreach (Assembly room in Rooms())
        {
            string name = room.GetName().Name!, project = name == "TinyZsad" ? name : name["TinyZsad.".Length..];
            Assert.That(File.Exists(Path.Combine(Root, "src", project, "PublicAPI.Shipped.txt")),
                Is.EqualTo(room.GetExportedTypes().Length > 0), $"{name}: the files are what makes the analyzer check it");
        }

        string[] namespaces = [.. types.Select(t => t.Namespace!).Distinct().Order()];
        Assert.That(namespaces, Is.EqualTo(new[]
        {
            "TinyZsad", "TinyZsad.Conversion", "TinyZsad.Evaluation", "TinyZsad.Imaging", "TinyZsad.Verification", "TinyZsad.Weights",
        }));
    }

    [Test]
    public void OnePackageHoldsEveryRoomAndItsDocumentation()
    {
        using ZipArchive package = ZipFile.OpenRead(Directory.GetFiles(folder, "TinyZsad.0*.nupkg").Single());
        string[] files = [.. package.Entries.Select(e => e.FullName)];
        foreach (string room in Rooms().Select(r => r.GetName().Name!).Where(n => n != "TinyZsad.Models.Nano"))
        {
            Assert.That(files, Does.Contain($"lib/net10.0/{room}.dll"));
            Assert.That(files, Does.Contain($"lib/net10.0/{room}.xml"));
        }

        Assert.That(files, Does.Contain("README.md").And.Contain("LICENSE").And.None.Contains("Nano"));
        Assert.That(files, Has.None.Contains("KernelCases").And.None.Contains("Ptx"));
        Assert.That(DependenciesOf(package), Is.EqualTo(new[] { "TinyZsad.Models.Nano" }));
    }

    [Test]
    public void ThePackageForTiffHoldsOneAssemblyWithOnePublicType()
    {
        Assert.That(Assembly.Load("TinyZsad.Tiff").GetExportedTypes().Select(t => t.FullName),
            Is.EqualTo(new[] { "TinyZsad.Imaging.TiffImageLoadOptions" }));
        using ZipArchive package = ZipFile.OpenRead(Directory.GetFiles(folder, "TinyZsad.Tiff.0*.nupkg").Single());
        string[] files = [.. package.Entries.Select(e => e.FullName)];
        Assert.That(files.Where(f => f.StartsWith("lib/", StringComparison.Ordinal)),
            Is.EquivalentTo(new[] { "lib/net10.0/TinyZsad.Tiff.dll", "lib/net10.0/TinyZsad.Tiff.xml" }));
        Assert.That(files, Does.Contain("README.md").And.Contain("LICENSE").And.Contain("LibTiff.NET.NOTICE.txt"));
        Assert.That(DependenciesOf(package), Is.EquivalentTo(new[] { "TinyZsad", "BitMiracle.LibTiff.NET" }));
    }

    [Test]
    public void ATiffNeedsThePackageForIt()
    {
        string program = Path.Combine(folder, "tiff");
        WriteProgram(program, ["TinyZsad.Tiff"], """
            using System;
            using TinyZsad;
            using TinyZsad.Imaging;

            try { Image.Load(args[0]); }
            catch (ImageFormatException e) { Console.WriteLine(e.Message.Contains("WithTiff()")); }
            using Image picture = Image.Load(args[0], new ImageLoadOptions().WithTiff());
            Console.WriteLine($"{picture.Width} x {picture.Height}");
            """);

        // LibTiff.NET comes from where the build of this project put it.
        string packages = Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        Run(program, "build", "-c", "Release", "--source", folder, "--source", packages, "-o", Path.Combine(program, "out"));
        string output = Run(program, Path.Combine(program, "out", "tiff.dll"),
            Path.Combine(Root, "tests", "reference", "imaging", "tiff", "rgb-lzw-strips.tif"));
        Assert.That(output.ReplaceLineEndings("\n").Trim(), Is.EqualTo("True\n37 x 21"));
    }

    /// <summary>The program of the README: two usings, one package.</summary>
    [Test]
    public void AFirstProgramNeedsTwoUsings()
    {
        string program = Path.Combine(folder, "first");
        WriteProgram(program, ["TinyZsad"], """
            using System;
            using System.Threading.Tasks;
            using TinyZsad;
            using TinyZsad.Imaging;

            await using AnomalyDetector detector = AnomalyDetector.LoadDefault(new DetectorOptions { Precision = Precision.Float32 });
            using Image picture = await Image.LoadAsync(args[0]);
            AnomalyResult result = await detector.DetectAsync(picture);
            Console.WriteLine($"{detector.Model.SystemName} {result.Score > 0} {result.Regions(0.3f).Count > 0}");
            """);
        Run(program, "build", "-c", "Release", "--source", folder, "-o", Path.Combine(program, "out"));
        string output = Run(program, Path.Combine(program, "out", "first.dll"), Path.Combine(Root, "samples", "brick-stain.png"));
        Assert.That(output.Trim(), Is.EqualTo("EdgeZSAD True True"));
    }

    private static string[] DependenciesOf(ZipArchive package)
    {
        using Stream nuspec = package.Entries.Single(e => e.Name.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        return [.. XDocument.Load(nuspec).Descendants().Where(e => e.Name.LocalName == "dependency").Select(d => d.Attribute("id")!.Value)];
    }

    private static void WriteProgram(string directory, string[] packages, string code)
    {
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, Path.GetFileName(directory) + ".csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <Nullable>enable</Nullable>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
              </PropertyGroup>
              <ItemGroup>
                {string.Concat(packages.Select(p => $"<PackageReference Include=\"{p}\" Version=\"0.1.0\" />"))}
              </ItemGroup>
            </Project>
            """);
        File.WriteAllText(Path.Combine(directory, "Program.cs"), code);
    }

    private string Run(string directory, params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet", arguments)
        {
            WorkingDirectory = directory,
            RedirectStandardOutput = true,
            Environment = { ["NUGET_PACKAGES"] = Path.Combine(folder, "cache"), ["MSBUILDDISABLENODEREUSE"] = "1" },
        };
        if (arguments[0] == "pack") start.Environment.Remove("NUGET_PACKAGES");
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.That(process.ExitCode, Is.Zero, output);
        return output;
    }
}
