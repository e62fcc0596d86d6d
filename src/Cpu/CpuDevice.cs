using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>
/// Represents the CPU: kernels for its vector width, and a team of threads that the device owns. The whole team computes one
/// execution at a time. Further concurrent executions run on their callers' threads alone. If the device is disposed during an
/// execution, the team ends after that execution.
/// </summary>
internal sealed class CpuDevice : Device
{
    private readonly ThreadTeam team;

    /// <summary>Initializes the device and starts the threads.</summary>
    /// <param name="threads">The number of threads of an execution, including the calling thread; at least 1.</param>
    public CpuDevice(int threads) => team = new ThreadTeam(threads);

    /// <inheritdoc/>
    public override string Name => "cpu";

    /// <inheritdoc/>
    public override int Threads => team.Size;

    /// <inheritdoc/>
    public override string Arithmetic { get; } =
        $"cpu {RuntimeInformation.ProcessArchitecture} {Simd.Lanes}{(Fma.IsSupported ? " fma" : "")}"
        + $" {typeof(CpuDevice).Module.ModuleVersionId:N} {typeof(Simd).Module.ModuleVersionId:N}";

    /// <inheritdoc/>
    public override int VectorWidth => Kernels.VectorWidth.Bits;

    /// <inheritdoc/>
    public override string? VectorLimit => Kernels.VectorWidth.Limit;

    /// <inheritdoc/>
    public override string? Int8Objection => Int8Benefit.Objection;

    /// <inheritdoc/>
    public override Plan Compile(ComputeGraph graph, CompileOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(graph);
        graph.Freeze();
        options ??= new CompileOptions();
        options.CheckBatch(this);
        return CpuPlan.Compile(team, graph, options);
    }

    /// <summary>Compiles the kernels on a background thread, once per process; see <see cref="Rehearsal"/>.</summary>
    /// <inheritdoc/>
    public override void Rehearse(Precision precision) => Rehearsal.Begin(precision);

    /// <inheritdoc/>
    public override void For(int count, Action<int> body) => team.For(count, body);

    /// <inheritdoc/>
    public override void Trim() => RunMemory.TrimHeap();

    /// <inheritdoc/>
    protected override void Free()
    {
        team.Dispose();
        RunMemory.TrimHeap();
    }
}
