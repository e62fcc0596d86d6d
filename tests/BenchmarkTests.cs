using System.Diagnostics;
using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>That the benchmarks still run: each once, in a process of its own.</summary>
[TestFixture]
public sealed class BenchmarkTests
{
    [Test]
    public void EveryBenchmarkRuns()
    {
        // Beside the tests, of the same configuration.
        DirectoryInfo here = new(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        string program = Path.Combine(here.Parent!.Parent!.FullName, "TinyZsad.Benchmarks", here.Name, "TinyZsad.Benchmarks.dll");
        string output = Run(program, "smoke");
        Assert.That(output.Split('\n'), Has.Some.StartsWith("Ran: ").And.Contains("KernelBenchmarks.Bound")
            .And.Contains("KernelBenchmarks.Simd").And.Contains("ModelBenchmarks.Detect")
            .And.Contains("GeluCompetitors.Gelu1PowerOfTwo").And.Contains("GeluCompetitors.Gelu3Table")
            .And.Contains("ExponentialCompetitors.Exponential4OfTwoInRange"));
    }

    /// <summary>
    /// The solution does not contain the program that runs ONNX Runtime. Without its native library, only 2 MB are downloaded.
    /// </summary>
    [Test]
    public void ThePeerCompiles()
    {
        string folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        try
        {
            Run("build", Path.Combine(TestData.RepositoryRoot, "bench", "compare_onnxruntime", "peer"), "-c", "Release",
                "-p:NativeLibrary=false", "--artifacts-path", folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Run(params string[] arguments)
    {
        ProcessStartInfo start = new("dotnet", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
            // A compiler that stays would keep the output open.
            Environment = { ["MSBUILDDISABLENODEREUSE"] = "1", ["UseSharedCompilation"] = "false" },
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync(), output = process.StandardOutput.ReadToEndAsync();
        bool ended = process.WaitForExit(TimeSpan.FromMinutes(10));
        if (!ended) process.Kill(entireProcessTree: true);
        Assert.That(ended, "it hangs");
        Assert.That(process.ExitCode, Is.Zero, output.Result + error.Result);
        return output.Result;
    }
}
