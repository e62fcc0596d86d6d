using BenchmarkDotNet.Attributes;
using TinyZsad.Imaging;
using TinyZsad.Tests;
using TinyZsad.Verification;

namespace TinyZsad.Benchmarks;

/// <summary>One detection by each whole model, on seeded weights, at one thread and at two.</summary>
[MemoryDiagnoser]
public class ModelBenchmarks
{
    private static readonly string[] Whole = ["lizad/vision-full", "edgezsad/5m-224", "edgezsad/full", "visualad/full"],
        Tiny = ["lizad/tiny", "edgezsad/tiny", "visualad/tiny"];

    private AnomalyDetector detector = null!;
    private Image image = null!;

    /// <summary>Reference cases that describe whole models; in a smoke run their smallest relatives.</summary>
    public static IEnumerable<string> Cases => Smoke.Runs ? Tiny : Whole;

    /// <summary>Which case.</summary>
    [ParamsSource(nameof(Cases))]
    public string Case { get; set; } = "";

    /// <summary>Threads of a detection.</summary>
    [Params(1, 2)]
    public int Threads { get; set; }

    /// <summary>Loads the model.</summary>
    [GlobalSetup]
    public void Load()
    {
        ReferenceCase reference = Open(Case);
        detector = AnomalyDetector.Load(ReferenceCase.OpenModel(reference), new DetectorOptions { Threads = Threads });
        image = Image.Load(reference.Image!);
        detector.Warmup();
    }

    /// <summary>Opens the cases that a smoke run leaves out, to see that they are there.</summary>
    internal static void CheckWhole()
    {
        foreach (string name in Whole) Open(name);
    }

    private static ReferenceCase Open(string name) => ReferenceCase.Open(TestData.Path(name.Split('/')));

    /// <summary>Frees the model.</summary>
    [GlobalCleanup]
    public void Free() => detector.Dispose();

    /// <summary>Picture in, result out.</summary>
    [Benchmark]
    public float Detect() => detector.Detect(image, "metal nut").Score;
}
