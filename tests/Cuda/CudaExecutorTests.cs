using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Ptx;
using TinyZsad.Tests.Graph;
using TinyZsad.Verification;

namespace TinyZsad.Tests.Cuda;

/// <summary>
/// Tests the CUDA device on an emulated GPU, which interprets the kernels and reports every access out of bounds, every read of what was
/// never written and every race.
/// </summary>
[TestFixture]
internal sealed class CudaExecutorTests
{
    private const int Rows = 24, Columns = 32;

    private static readonly Parameter First = Numbers.Weight("first", 1, Columns, Columns),
        Second = Numbers.Weight("second", 2, Columns, Columns),
        Bias = Numbers.Weight("bias", 3, Columns), Prefix = Numbers.Weight("prefix", 4, 2, Columns);

    [TestCase("lizad", "tiny")]
    [TestCase("edgezsad", "tiny")]
    [TestCase("edgezsad", "padded")]
    [TestCase("edgezsad", "kernels")]
    [TestCase("visualad", "tiny")]
    [TestCase("visualad", "tiny-native")]
    [TestCase("visualad", "tiny-nosca")]
    [TestCase("visualad", "dinov2-tiny")]
    [TestCase("visualad", "dinov2-tiny-resized")]
    public void TheTinyCasesOfTheSystemsAgree(string system, string name)
    {
        IReadOnlyList<TapComparison> rows = Verifier.Run(ReferenceCase.Open(TestData.Path(system, name)), device: EmulatedGpu.Name);
        Assert.That(rows, Is.Not.Empty);
        Assert.Multiple(() =>
        {
            foreach (TapComparison row in rows) Assert.That(row.Passed, row.ToString());
        });
        TestContext.Out.WriteLine(
            $"{rows.Count} taps, largest relative L2 {rows.Where(r => r.L2Tolerance is not null).Max(r => r.RelativeL2):E2}");
    }

    [Test]
    public void ABatchIsItsPictures([Values(2, 3, 16)] int batch)
    {
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        using (device)
        {
            ComputeGraph graph = Network();
            using Plan single = device.Compile(graph), together = device.Compile(graph, new CompileOptions { Batch = batch });
            using Run run = together.Rent();
            for (int i = 0; i < batch; i++)
            {
                run.Picture = i;
                Plans.Fill(run, Inputs(i));
            }

            run.Execute();
            for (int i = 0; i < batch; i++)
            {
                run.Picture = i;
                Dictionary<string, float[]> alone = Plans.Run(single, Inputs(i));
                foreach (string name in graph.Outputs.Keys) Near(run.Output(name).ToArray(), alone[$"out.{name}"], 2e-3, $"{name} of {i}");
            }
        }

        Assert.That(driver.Outstanding, Is.Empty);
    }

    [Test]
    public void AnyNumberOfRunsAtOnceGiveTheSameBits()
    {
        (CudaDevice device, _) = EmulatedGpu.Create();
        using (device)
        using (Plan plan = device.Compile(Network()))
        {
            Dictionary<string, float[]>[] expected = [.. Enumerable.Range(0, 6).Select(i => Plans.Run(plan, Inputs(i)))];
            Parallel.For(0, 24, i =>
            {
                using Run run = plan.Rent();
                Plans.Fill(run, Inputs(i % 6));
                run.Execute();
                foreach (string name in plan.Graph.Outputs.Keys)
                    Assert.That(run.Output(name).ToArray(), Is.EqualTo(expected[i % 6][$"out.{name}"]));
            });
        }
    }

    [Test]
    public void TapsAndTheReplayedGraphGiveTheSameBits()
    {
        (CudaDevice device, _) = EmulatedGpu.Create();
        using (device)
        using (Plan plan = device.Compile(Network(), new CompileOptions { Surviving = true }))
        using (Run run = plan.Rent())
        {
            Dictionary<string, float[]> stepwise = Plans.Execute(run, plan, Inputs(1));
            for (int i = 0; i < 3; i++)
            {
                Plans.Fill(run, Inputs(1));
                run.Execute();
                foreach (string name in plan.Graph.Outputs.Keys)
                    Assert.That(run.Output(name).ToArray(), Is.EqualTo(stepwise[$"out.{name}"]));
            }
        }
    }

    [Test]
    public void LayersThatReadTheSameValueAreOneProduct()
    {
        (CudaDevice device, _) = EmulatedGpu.Create();
        using (device)
        using (Plan plan = device.Compile(Network()))
            Assert.That(plan.Parts.Select(p => p.Label), Has.Some.EqualTo("first + second + first"));
    }

    [Test]
    public void WeightsAreUploadedOnceAndFreedWithTheLastPlan()
    {
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        using (device)
        {
            Plan one = device.Compile(Network());
            long bytes = device.Weights.Bytes;
            Plan two = device.Compile(Network(), new CompileOptions { Batch = 4 });
            Assert.That(device.Weights.Bytes, Is.EqualTo(bytes));
            one.Dispose();
            Assert.That(device.Weights.Bytes, Is.EqualTo(bytes));
            Plans.Run(two, Inputs(0));
            two.Dispose();
            Assert.That(device.Weights.Bytes, Is.Zero);
        }

        Assert.That(driver.Outstanding, Is.Empty);
    }

    [Test]
    public void RowNumbersOutsideTheTableAreRefused()
    {
        (CudaDevice device, _) = EmulatedGpu.Create();
        using (device)
        using (Plan plan = device.Compile(Network()))
        using (Run run = plan.Rent())
        {
            Plans.Fill(run, Inputs(0));
            run.Ints("rows")[2] = Rows;
            Assert.That(() => run.Execute(), Throws.InvalidOperationException.With.Message.Contains($"0 to {Rows - 1}"));
            Plans.Fill(run, Inputs(0));
            run.Execute();
        }
    }

    [Test]
    public void AWeightBeyondHalvesIsRefusedByName()
    {
        float[] large = new float[Columns * Columns];
        large[5] = 70000;
        ComputeGraph graph = new();
        graph.Output("y", graph.Linear(graph.Input("x", 2, Columns), Numbers.Weight("too.large", large, Columns, Columns)));
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        using (device) Assert.That(() => device.Compile(graph), Throws.TypeOf<DeviceException>().With.Message.Contains("too.large"));
        Assert.That(driver.Outstanding, Is.Empty);
    }

    [Test]
    public void ABatchOfPicturesGivesTheResultsOfSingleOnes()
    {
        using AnomalyDetector detector = AnomalyDetector.LoadDefault(new DetectorOptions { Device = EmulatedGpu.Name });
        Image[] pictures = [.. Enumerable.Range(0, 3).Select(Picture)];
        IReadOnlyList<DetectionOutcome<Image>> outcomes = detector.DetectBatch(pictures);
        for (int i = 0; i < pictures.Length; i++)
        {
            AnomalyResult alone = detector.Detect(pictures[i]);
            Assert.That(outcomes[i].Result!.Score, Is.EqualTo(alone.Score).Within(5e-3));
        }
    }

    [Test]
    public void AutoIsAGpuIfThereIsOneAndOtherwiseTheCpu()
    {
        using AnomalyDetector detector = AnomalyDetector.LoadDefault(new DetectorOptions { Device = "auto" });
        Assert.That(detector.Device, Is.EqualTo(CudaDevices.IsAvailable ? "cuda:0" : "cpu"));
    }

    [Test]
    public void AGpuThatIsNotThereIsRefusedWithTheReason()
    {
        DeviceException error = Assert.Throws<DeviceException>(() =>
            AnomalyDetector.LoadDefault(new DetectorOptions { Device = "cuda:99" }))!;
        Assert.That(error.Message, Does.StartWith("cuda"));
        Assert.That(() => AnomalyDetector.LoadDefault(new DetectorOptions { Device = "cuda:x" }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void IntegersAreRefused() => Assert.That(
        () => AnomalyDetector.LoadDefault(new DetectorOptions { Device = EmulatedGpu.Name, Precision = Precision.ForcedInt8 }),
        Throws.ArgumentException.With.Message.Contains("does not compute in"));

    private static Image Picture(int seed)
    {
        byte[] pixels = new byte[40 * 30 * 3];
        new Random(seed).NextBytes(pixels);
        return Image.Create(40, 30, pixels);
    }

    private static Dictionary<string, Array> Inputs(int picture) => new()
    {
        ["x"] = Numbers.Random(100 + picture, Rows * Columns),
        ["rows"] = Enumerable.Range(0, 5).Select(i => (i * 7 + picture) % Rows).ToArray(),
    };

    /// <summary>A network whose values are stored in every way: halves and floats, windows, columns of one product, copies.</summary>
    private static ComputeGraph Network()
    {
        ComputeGraph g = new();
        Value x = g.Input("x", Rows, Columns), rows = g.Input("rows", 5, 1, ValueKind.Int);
        Value n = g.LayerNorm(x, Bias, Bias, 1e-5f);
        Value q = g.Linear(n, First, Bias), k = g.Linear(n, Second), v = g.Linear(n, First);
        Value y = g.Add(x, g.Linear(g.Attention(q, k, v, 2), Second, Bias));
        g.Tap("sum", y);
        Value chosen = g.GatherRows(y, rows), stacked = g.Concatenate(g.PrependRows(chosen, Prefix), g.Rows(y, 3, 4));
        g.Output("stacked", g.Activate(g.Linear(stacked, First), ActivationKind.Gelu));
        g.Output("unit", g.L2Normalize(g.Linear(g.Rows(y, 2, 6), Second)));
        return g;
    }

    /// <summary>Compares values up to the rounding of halves, in units of the largest.</summary>
    private static void Near(float[] actual, float[] expected, double tolerance, string name)
    {
        double largest = Math.Max(1, expected.Max(v => Math.Abs(v)));
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < actual.Length; i++) Assert.That(actual[i], Is.EqualTo(expected[i]).Within(tolerance * largest), $"{name}[{i}]");
    }
}
