using BenchmarkDotNet.Attributes;
using TinyZsad.Tests.Kernels;

namespace TinyZsad.Benchmarks;

/// <summary>
/// Every kernel on the shapes that the models use, one thread: the typical ones of the tests' list of cases. Beside each, in the
/// same run, the <see cref="Floor"/> under its time, so that <c>Ratio</c> tells how near it comes: 1.10 is 91 % of the peak.
/// </summary>
[MemoryDiagnoser]
public class KernelBenchmarks : IDisposable
{
    private readonly Workspace workspace = new();
    private readonly Floor floor = new();
    private KernelRun run = null!;
    private KernelCase kernel = null!;

    /// <summary>The cases, by name; in a smoke run one of each kernel.</summary>
    public static IEnumerable<string> Names
    {
        get
        {
            IEnumerable<KernelCase> cases = KernelCases.All.Where(c => c.Typical);
            return (Smoke.Runs ? cases.DistinctBy(c => c.Kernel) : cases).Select(c => c.Name);
        }
    }

    /// <summary>Which case.</summary>
    [ParamsSource(nameof(Names))]
    public string Case { get; set; } = "";

    /// <summary>Makes the arguments.</summary>
    [GlobalSetup]
    public void Prepare()
    {
        workspace.Reset(new Layout(AtEnd: false, Offset: 0));
        kernel = KernelCases.All.First(c => c.Name == Case);
        run = kernel.Prepare(workspace);
    }

    /// <summary>
    /// As many multiply-adds as the kernel has, by the register tile over operands in the first-level cache; where it has none, a
    /// copy of as many bytes.
    /// </summary>
    [Benchmark(Baseline = true)]
    public void Peak() => floor.Run(kernel.Flops, kernel.Bytes);

    /// <summary>The kernel.</summary>
    [Benchmark]
    public void Simd() => run.Simd();

    /// <summary>Frees the arguments.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        workspace.Dispose();
        floor.Dispose();
        GC.SuppressFinalize(this);
    }
}
