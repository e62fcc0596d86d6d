using BenchmarkDotNet.Attributes;
using TinyZsad.KernelCases;

namespace TinyZsad.Benchmarks;

/// <summary>
/// Benchmarks every kernel on the shapes that the models use, with one thread: the typical cases of <see cref="KernelCase.All"/>. In
/// the same run, each is compared with the <see cref="Peak"/> that bounds it, so that <c>Ratio</c> shows how close
/// it comes: 1.10 is 91 % of the peak.
/// </summary>
[MemoryDiagnoser]
public class KernelBenchmarks : IDisposable
{
    private readonly Workspace workspace = new() { Timed = true };
    private readonly Peak peak = new();
    private Action run = null!, bound = null!;

    /// <summary>Gets the names of the cases. A smoke run uses one case per kernel.</summary>
    public static IEnumerable<string> Names
    {
        get
        {
            IEnumerable<KernelCase> cases = KernelCase.All.Where(c => c.Typical);
            return (Smoke.Runs ? cases.DistinctBy(c => c.Kernel) : cases).Select(c => c.Name);
        }
    }

    /// <summary>Gets or sets the name of the case.</summary>
    [ParamsSource(nameof(Names))]
    public string Case { get; set; } = "";

    /// <summary>Prepares the arguments.</summary>
    [GlobalSetup]
    public void Prepare()
    {
        KernelCase kernel = KernelCase.All.First(c => c.Name == Case);
        run = kernel.Prepare(workspace).Simd;
        bound = peak.For(kernel);
    }

    /// <summary>Performs as many multiply-adds in registers as the kernel, or copies as many bytes, whichever takes longer.</summary>
    [Benchmark(Baseline = true)]
    public void Bound() => bound();

    /// <summary>Runs the kernel.</summary>
    [Benchmark]
    public void Simd() => run();

    /// <summary>Frees the arguments.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        workspace.Dispose();
        peak.Dispose();
        GC.SuppressFinalize(this);
    }
}
