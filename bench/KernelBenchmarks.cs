using BenchmarkDotNet.Attributes;
using TinyZsad.Tests.Kernels;

namespace TinyZsad.Benchmarks;

/// <summary>Every kernel on the shapes that the models use, one thread: the typical ones of the tests' list of cases.</summary>
[MemoryDiagnoser]
public class KernelBenchmarks : IDisposable
{
    private readonly Workspace workspace = new();
    private KernelRun run = null!;

    /// <summary>The cases, by name.</summary>
    public static IEnumerable<string> Names => KernelCases.All.Where(c => c.Typical).Select(c => c.Name);

    /// <summary>Which case.</summary>
    [ParamsSource(nameof(Names))]
    public string Case { get; set; } = "";

    /// <summary>Makes the arguments.</summary>
    [GlobalSetup]
    public void Prepare()
    {
        workspace.Reset(new Layout(AtEnd: false, Offset: 0));
        run = KernelCases.All.First(c => c.Name == Case).Prepare(workspace);
    }

    /// <summary>The kernel.</summary>
    [Benchmark]
    public void Simd() => run.Simd();

    /// <summary>Frees the arguments.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        workspace.Dispose();
        GC.SuppressFinalize(this);
    }
}
