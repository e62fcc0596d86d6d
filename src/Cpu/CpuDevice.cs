using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// The CPU: kernels for its vector width, on a team of threads that the device owns. One execution at a time is computed by the
/// whole team, further ones each by their caller's thread alone. Disposed while executions run, it ends the team after the one
/// under way.
/// </summary>
internal sealed class CpuDevice : Device
{
    private readonly ThreadTeam team;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">Threads of an execution, the calling one included; at least 1.</param>
    public CpuDevice(int threads) => team = new ThreadTeam(threads);

    /// <inheritdoc/>
    public override string Name => "cpu";

    /// <inheritdoc/>
    public override int Threads => team.Size;

    /// <inheritdoc/>
    public override Plan Compile(ComputeGraph graph, CompileOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(graph);
        graph.Freeze();
        return CpuPlan.Compile(team, graph, options ?? new CompileOptions());
    }

    /// <summary>Compiles the kernels on a thread of their own, once a process; see <see cref="Rehearsal"/>.</summary>
    /// <inheritdoc/>
    public override void Rehearse(Precision precision) => Rehearsal.Begin(precision);

    /// <inheritdoc/>
    protected override void Free() => team.Dispose();
}
