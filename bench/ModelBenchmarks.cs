using BenchmarkDotNet.Attributes;
using TinyZsad.Imaging;
using TinyZsad.Tests;
using TinyZsad.Verification;

namespace TinyZsad.Benchmarks;

/// <summary>One detection by each whole model, on seeded weights, at one thread and at two.</summary>
[MemoryDiagnoser]
public class ModelBenchmarks
{
    private AnomalyDetector detector = null!;
    private Image image = null!;

    /// <summary>Reference cases that describe whole models.</summary>
    [Params("lizad/vision-full", "edgezsad/5m-224", "edgezsad/full")]
    public string Case { get; set; } = "";

    /// <summary>Threads of a detection.</summary>
    [Params(1, 2)]
    public int Threads { get; set; }

    /// <summary>Loads the model.</summary>
    [GlobalSetup]
    public void Load()
    {
        ReferenceCase reference = ReferenceCase.Open(TestData.Path(["reference", .. Case.Split('/')]));
        detector = AnomalyDetector.Load(ReferenceCase.OpenModel(reference), new DetectorOptions { Threads = Threads });
        image = Image.Load(reference.Image!);
        detector.Warmup();
    }

    /// <summary>Frees the model.</summary>
    [GlobalCleanup]
    public void Free() => detector.Dispose();

    /// <summary>Picture in, result out.</summary>
    [Benchmark]
    public float Detect() => detector.Detect(image, "metal nut").Score;
}
