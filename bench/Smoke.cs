using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;

namespace TinyZsad.Benchmarks;

/// <summary>
/// A smoke run: every benchmark once, in this process, on small cases, to see that it runs; its times mean nothing. JPEG is left
/// out where libjpeg-turbo's programs are not installed.
/// </summary>
internal static class Smoke
{
    /// <summary>Whether this is one.</summary>
    public static bool Runs { get; private set; }

    /// <summary>Makes this one; gives the arguments and what to add to the configuration.</summary>
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
