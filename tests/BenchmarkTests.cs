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
        ProcessStartInfo start = new("dotnet", [program, "smoke"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync(), output = process.StandardOutput.ReadToEndAsync();
        bool ended = process.WaitForExit(TimeSpan.FromMinutes(10));
        if (!ended) process.Kill(entireProcessTree: true);
        Assert.That(ended, "it hangs");
        Assert.That(process.ExitCode, Is.Zero, output.Result + error.Result);
        Assert.That(output.Result.Split('\n'), Has.Some.StartsWith("Ran: ").And.Contains("KernelBenchmarks.Peak")
            .And.Contains("KernelBenchmarks.Simd").And.Contains("ModelBenchmarks.Detect")
            .And.Contains("GeluCompetitors.Gelu1PowerOfTwo").And.Contains("GeluCompetitors.Gelu3Table")
            .And.Contains("ExponentialCompetitors.Exponential4OfTwoInRange"));
    }
}
