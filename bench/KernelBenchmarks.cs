using BenchmarkDotNet.Attributes;
using TinyZsad.Tests.Kernels;

namespace TinyZsad.Benchmarks;

/// <summary>
/// Benchmarks every kernel on the shapes that the models use, with one thread: the typical cases in the tests' list. In the same
/// run, each is compared with the <see cref="Floor"/> for its work, so that <c>Ratio</c> shows how close it comes: 1.10 is 91 %
/// of the peak.
/// </summary>
[MemoryDiagnoser]
public class KernelBenchmarks : IDisposable
{
    private readonly Workspace workspace = new();
    private readonly Floor floor = new();
    private KernelRun run = null!;
    private KernelCase kernel = null!;

    /// <summary>Gets the names of the cases. A smoke run uses one case per kernel.</summary>
    public static IEnumerable<string> Names
    {
        get
        {
            IEnumerable<KernelCase> cases = KernelCases.All.Where(c => c.Typical);
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
        workspace.Reset(new Layout(AtEnd: false, Offset: 0));
        kernel = KernelCases.All.First(c => c.Name == Case);
        run = kernel.Prepare(workspace);
    }

    /// <summary>
    /// Performs as many multiply-adds as the kernel by the register tile, with operands in the L1 cache. For a kernel without
    /// multiply-adds, it copies the same number of bytes.
    /// </summary>
    [Benchmark(Baseline = true)]
    public void Peak() => floor.Run(kernel.Flops, kernel.Bytes);

    /// <summary>Runs the kernel.</summary>
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
