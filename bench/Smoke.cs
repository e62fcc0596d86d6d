using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;

namespace TinyZsad.Benchmarks;

/// <summary>
/// Runs every benchmark once, in this process, on small cases, to check that it runs. The times mean nothing. JPEG is omitted if
/// the programs of libjpeg-turbo are not installed.
/// </summary>
internal static class Smoke
{
    /// <summary>Gets whether this is a smoke run.</summary>
    public static bool Runs { get; private set; }

    /// <summary>Starts a smoke run. Returns the arguments and the extended configuration.</summary>
    public static (string[] Arguments, IConfig Config) Begin(IConfig config)
    {
        Runs = true;
        ModelBenchmarks.CheckWhole();
        string[] filters = ["*KernelBenchmarks*", "*ModelBenchmarks*", "*Competitors*"];
        if (IsInstalled("cjpeg") && IsInstalled("djpeg")) filters = [.. filters, "*JpegBenchmarks*"];
        return (["--filter", .. filters], config
            .AddJob(Job.Dry.WithToolchain(InProcessNoEmitToolchain.Instance))
            .WithOptions(ConfigOptions.DisableOptimizationsValidator)
            .WithArtifactsPath(Path.Combine(Path.GetTempPath(), $"tinyzsad-smoke-{Environment.ProcessId}")));
    }

    private static bool IsInstalled(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));
}
