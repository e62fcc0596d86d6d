using BenchmarkDotNet.Attributes;
using TinyZsad.Imaging;
using TinyZsad.Tests;
using TinyZsad.Verification;

namespace TinyZsad.Benchmarks;

/// <summary>Benchmarks one detection by each full-size model, with seeded weights, with one thread and with two.</summary>
[MemoryDiagnoser]
public class ModelBenchmarks
{
    private static readonly string[] Whole = ["lizad/vision-full", "edgezsad/5m-224", "edgezsad/full", "visualad/full"],
        Tiny = ["lizad/tiny", "edgezsad/tiny", "visualad/tiny"];

    private AnomalyDetector detector = null!;
    private Image image = null!;

    /// <summary>Gets the reference cases of full-size models. A smoke run uses their smallest variants.</summary>
    public static IEnumerable<string> Cases => Smoke.Runs ? Tiny : Whole;

    /// <summary>Gets or sets the name of the case.</summary>
    [ParamsSource(nameof(Cases))]
    public string Case { get; set; } = "";

    /// <summary>Gets or sets the number of threads of a detection.</summary>
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

    /// <summary>Opens the cases that a smoke run omits, to check that they exist.</summary>
    internal static void CheckWhole()
    {
        foreach (string name in Whole) Open(name);
    }

    private static ReferenceCase Open(string name) => ReferenceCase.Open(TestData.Path(name.Split('/')));

    /// <summary>Frees the model.</summary>
    [GlobalCleanup]
    public void Free() => detector.Dispose();

    /// <summary>Runs a detection, from picture to result.</summary>
    [Benchmark]
    public float Detect() => detector.Detect(image, "metal nut").Score;
}
