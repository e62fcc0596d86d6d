using System.Collections.Concurrent;
using TinyZsad.Cpu;
using TinyZsad.Cuda;
using TinyZsad.Graph;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Graph;

/// <summary>Provides devices that all tests share, and shorthand methods for compiling.</summary>
internal static class Plans
{
    private static readonly ConcurrentDictionary<int, CpuDevice> Devices = [];

    public static ReferenceDevice Reference { get; } = new();

    /// <summary>Gets a CUDA device on an emulated GPU.</summary>
    public static CudaDevice EmulatedGpu { get; } = new("emulated", new EmulatedDriver(), 2);

    /// <summary>Gets the CPU device with the given number of threads.</summary>
    public static CpuDevice Cpu(int threads = 2) => Devices.GetOrAdd(threads, n => new CpuDevice(n));

    /// <summary>Compiles a plan for the CPU.</summary>
    public static CpuPlan Compile(ComputeGraph graph, Func<Tap, bool>? demanded = null, bool surviving = false,
        Precision precision = Precision.Float32, int threads = 2) =>
        (CpuPlan)Cpu(threads).Compile(graph,
            new CompileOptions { Demanded = demanded, Surviving = surviving, Precision = precision });

    /// <summary>Runs a plan and returns the outputs and the provided taps by name.</summary>
    public static Dictionary<string, float[]> Run(Plan plan, IReadOnlyDictionary<string, Array> inputs)
    {
        using Run run = plan.Rent();
        return Execute(run, plan, inputs);
    }

    /// <summary>Executes an existing run and returns the outputs and the provided taps by name.</summary>
    public static Dictionary<string, float[]> Execute(Run run, Plan plan, IReadOnlyDictionary<string, Array> inputs)
    {
        Fill(run, inputs);
        Dictionary<string, float[]> given = [];
        run.Execute((tap, values) => given.Add(tap.Name, values));
        foreach (string name in plan.Graph.Outputs.Keys) given[$"out.{name}"] = run.Output(name).ToArray();
        return given;
    }

    public static void Fill(Run run, IReadOnlyDictionary<string, Array> inputs)
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

    /// <summary>Gets the kinds of a plan's steps, in order.</summary>
    public static string[] Kinds(CpuPlan plan) => [.. plan.Phases.SelectMany(p => p.Steps).Select(s => s.Kind)];
}
