using TinyZsad.Graph;

namespace TinyZsad.Tests.Graph;

/// <summary>Runs a plan once and collects all that it gives.</summary>
internal static class PlanRunner
{
    /// <summary>The outputs and the handed-out taps, by name.</summary>
    public static Dictionary<string, float[]> Run(CpuPlan plan, IReadOnlyDictionary<string, Array> inputs, int threads = 2)
    {
        using ThreadTeam team = new(threads);
        using CpuRun run = plan.Rent(threads);
        return Execute(run, plan, inputs, team);
    }

    /// <summary>The same with a run and a team at hand.</summary>
    public static Dictionary<string, float[]> Execute(
        CpuRun run, CpuPlan plan, IReadOnlyDictionary<string, Array> inputs, ThreadTeam team)
    {
        Fill(run, inputs);
        Dictionary<string, float[]> given = [];
        run.Execute(team, (tap, values) => given.Add(tap.Name, values));
        foreach (string name in plan.Graph.Outputs.Keys) given[$"out.{name}"] = run.Output(name).ToArray();
        return given;
    }

    public static void Fill(CpuRun run, IReadOnlyDictionary<string, Array> inputs)
    {
        foreach ((string name, Array values) in inputs)
        {
            switch (values)
            {
                case float[] floats: floats.CopyTo(run.Floats(name)); break;
                case int[] ints: ints.CopyTo(run.Ints(name)); break;
                case byte[] bytes: bytes.CopyTo(run.Bytes(name)); break;
            }
        }
    }
}
