using System.Collections.Concurrent;
using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Cuda;

/// <summary>
/// Tests that the CUDA device resizes pictures to the bytes of <see cref="Resampler"/>, so that all results are equal bit by bit.
/// </summary>
[TestFixture]
internal sealed unsafe class DeviceResizeTests
{
    private const int Size = 32;

    private static readonly (int Width, int Height)[] Sizes =
    [
        (1, 1), (1, 50), (50, 1), (3, 5), (31, 33), (Size, 7), (61, Size), (Size, 100), (9, Size), (64, 64), (201, 37), (37, 201),
        // More rows than a slice of pinned memory holds.
        (600, 3000),
    ];

    private static readonly string[] Both = ["resize_horizontal", "resize_vertical_4"], Across = ["resize_horizontal"],
        Down = ["resize_vertical_4"];

    [Test]
    public void ThePixelsAreThoseOfTheHost()
    {
        ConcurrentQueue<string> kernels = [];
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        driver.OnLaunch = record => kernels.Enqueue(record.Launch.Kernel);
        ResizeTables tables = new(Size, ResampleFilter.Bicubic);
        using (device)
        using (Plan plan = device.Compile(Network()))
        using (Run run = plan.Rent())
        {
            foreach ((int width, int height) in Sizes)
            {
                foreach (int gap in (int[])[0, 5])
                {
                    Picture picture = new(width, height, gap);
                    float[] expected = Expected(run, picture);
                    kernels.Clear();
                    Assert.That(picture.TryResize(run, tables), Is.True);
                    run.Execute();
                    Assert.That(run.Output("y").ToArray(), Is.EqualTo(expected), $"{width} x {height}, gaps of {gap}");
                    Assert.That(kernels.Where(k => k.StartsWith("resize", StringComparison.Ordinal)),
                        Is.EqualTo(width == Size ? Down : height == Size ? Across : Both), $"{width} x {height}");
                }
            }
        }

        Assert.That(driver.Outstanding, Is.Empty);
    }

    [Test]
    public void PicturesOfABatchHaveSizesOfTheirOwn()
    {
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        ResizeTables tables = new(Size, ResampleFilter.Bicubic);
        Picture[][] batches =
        [
            [new(40, 30), new(7, 90), new(100, 64)],
            // The second picture is the host's, or the first and the last.
            [new(33, 31), new(Size, Size), new(5, 5)],
            [new(Size, Size), new(80, 20), new(Size, Size)],
            [new(90, 7), new(30, 40), new(1, 1)],
        ];
        using (device)
        using (Plan single = device.Compile(Network()), plan = device.Compile(Network(), new CompileOptions { Batch = 3 }))
        {
            using Run alone = single.Rent(), run = plan.Rent();
            foreach (Picture[] batch in batches)
            {
                for (int i = 0; i < batch.Length; i++)
                {
                    run.Picture = i;
                    bool done = batch[i].TryResize(run, tables);
                    Assert.That(done, Is.EqualTo(batch[i] is not { Width: Size, Height: Size }));
                    if (!done) batch[i].Resample(run.Bytes("pixels"));
                }

                run.Execute();
                for (int i = 0; i < batch.Length; i++)
                {
                    run.Picture = i;
                    Assert.That(run.Output("y").ToArray(), Is.EqualTo(Expected(alone, batch[i])), $"picture {i}");
                }
            }
        }

        Assert.That(driver.Outstanding, Is.Empty);
    }

    [Test]
    public void WhatIsFilledLastCounts()
    {
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        ResizeTables tables = new(Size, ResampleFilter.Bicubic);
        Picture one = new(40, 30), other = new(30, 40);
        using (device)
        using (Plan plan = device.Compile(Network()))
        {
            float[] expected;
            using (Run run = plan.Rent())
            {
                expected = Expected(run, other);
                Assert.That(one.TryResize(run, tables), Is.True);
                Assert.That(other.TryResize(run, tables), Is.True);
                run.Execute();
                Assert.That(run.Output("y").ToArray(), Is.EqualTo(expected));

                Assert.That(one.TryResize(run, tables), Is.True);
                Assert.That(Expected(run, other), Is.EqualTo(expected));
                // The run is returned without an execution.
                Assert.That(one.TryResize(run, tables), Is.True);
            }

            using Run again = plan.Rent();
            Assert.That(Expected(again, other), Is.EqualTo(expected));
            Assert.That(one.TryResize(again, tables), Is.True);
        }

        Assert.That(driver.Outstanding, Is.Empty);
    }

    [Test]
    public void AnExecutionWithTapsReadsTheSamePicture()
    {
        (CudaDevice device, _) = EmulatedGpu.Create();
        ResizeTables tables = new(Size, ResampleFilter.Bicubic);
        Picture picture = new(50, 20);
        ComputeGraph graph = Network();
        graph.Tap("y", graph.Outputs["y"]);
        using (device)
        using (Plan plan = device.Compile(graph, new CompileOptions { Surviving = true }))
        using (Run run = plan.Rent())
        {
            float[] expected = Expected(run, picture);
            List<float[]> taps = [];
            Assert.That(picture.TryResize(run, tables), Is.True);
            run.Execute((_, values) => taps.Add(values));
            Assert.That(run.Output("y").ToArray(), Is.EqualTo(expected));
            Assert.That(taps, Is.Not.Empty.And.All.EqualTo(expected));
        }
    }

    [Test]
    public void TablesOfManySizesAreReplaced()
    {
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        ResizeTables tables = new(Size, ResampleFilter.Bicubic);
        using (device)
        {
            using (Plan plan = device.Compile(Network()))
            using (Run run = plan.Rent())
            {
                // Twenty sizes and then the first again, which was dropped.
                for (int i = 0; i < 21; i++)
                {
                    Picture picture = new(10 + i % 20, 80 - i % 20);
                    float[] expected = Expected(run, picture);
                    Assert.That(picture.TryResize(run, tables), Is.True);
                    run.Execute();
                    Assert.That(run.Output("y").ToArray(), Is.EqualTo(expected));
                }
            }
        }

        Assert.That(driver.Outstanding, Is.Empty);
    }

    [Test]
    public void PicturesThatAreTooLargeAreLeftToTheHost()
    {
        (CudaDevice device, EmulatedDriver driver) = EmulatedGpu.Create();
        ResizeTables tables = new(Size, ResampleFilter.Bicubic);
        // A refused picture is not read.
        const nint address = 16;
        using (device)
        using (Plan plan = device.Compile(Network()))
        using (Run run = plan.Rent())
        {
            // The first has too many bytes, the second needs too many weights.
            Assert.That(run.TryResize("pixels", address, 30000, tables.TryGet(10000)!, tables.TryGet(10000)!), Is.False);
            Assert.That(tables.TryGet(1 << 28), Is.Null);
            Assert.That(() => run.TryResize("pixels", address, 5, tables.TryGet(2)!, tables.TryGet(2)!), Throws.ArgumentException);
            ResizeAxis larger = new ResizeTables(Size + 1, ResampleFilter.Bicubic).TryGet(2)!;
            Assert.That(() => run.TryResize("pixels", address, 6, larger, larger), Throws.ArgumentException);
            Assert.That(() => run.TryResize("none", address, 6, larger, larger), Throws.ArgumentException);
        }
    }

    [Test]
    public void TheDetectorGivesTheResultOfTheHostsResize()
    {
        EmulatedDriver driver = new();
        ConcurrentQueue<string> kernels = [];
        driver.OnLaunch = record => kernels.Enqueue(record.Launch.Kernel);
        // A name of its own, so that the test can ask the driver.
        const string name = "emulated-resize";
        Devices.Add(name, threads => new CudaDevice(name, driver, threads));
        using (AnomalyDetector detector = AnomalyDetector.LoadDefault(new DetectorOptions { Device = name }))
        {
            Devices.Remove(name);
            int size = detector.Model.ImageSize;
            foreach ((int width, int height, int gap) in ((int, int, int)[])[(1, 1, 0), (61, 35, 3), (size, 300, 0)])
            {
                Picture picture = new(width, height, gap);
                kernels.Clear();
                AnomalyResult device = detector.Detect(new ImageView(picture.Rgb, width, height, picture.Stride, PixelFormat.Rgb24));
                Assert.That(kernels.Count(k => k.StartsWith("resize", StringComparison.Ordinal)), Is.EqualTo(width == size ? 1 : 2));
                kernels.Clear();
                AnomalyResult host = detector.Detect(new ImageView(picture.Bgr, width, height, picture.Stride, PixelFormat.Bgr24));
                Assert.That(kernels.Count(k => k.StartsWith("resize", StringComparison.Ordinal)), Is.Zero);
                AssertSame(device, host, $"{width} x {height}");
            }

            Picture[] batch = [new(20, 40), new(99, 61), new(300, 10)];
            kernels.Clear();
            IReadOnlyList<DetectionOutcome<Image>> resized = detector.DetectBatch(
                [.. batch.Select(p => Image.Create(p.Width, p.Height, p.Rgb))]);
            Assert.That(kernels.Count(k => k.StartsWith("resize", StringComparison.Ordinal)), Is.EqualTo(2 * batch.Length));
            for (int i = 0; i < batch.Length; i++)
            {
                AnomalyResult host = detector.Detect(
                    new ImageView(batch[i].Bgr, batch[i].Width, batch[i].Height, batch[i].Stride, PixelFormat.Bgr24));
                // The pixels are equal (PicturesOfABatchHaveSizesOfTheirOwn), but products of other batches may use other tiles. The
                // tolerance is that of CudaExecutorTests for the same comparison.
                Assert.That(resized[i].Result!.Score, Is.EqualTo(host.Score).Within(5e-3), $"picture {i}");
            }
        }

        Assert.That(driver.Outstanding, Is.Empty);
    }

    private static void AssertSame(AnomalyResult actual, AnomalyResult expected, string name)
    {
        Assert.That(actual.Score, Is.EqualTo(expected.Score), name);
        Assert.That(actual.Map.Values.ToArray(), Is.EqualTo(expected.Map.Values.ToArray()), name);
    }

    /// <summary>A network whose output tells every byte of the picture from every other.</summary>
    private static ComputeGraph Network()
    {
        ComputeGraph graph = new();
        Value pixels = graph.Input("pixels", Size * Size, 3, ValueKind.Byte);
        graph.Output("y", graph.NormalizeImage(pixels, [0.25f, 0.5f, 0.75f], [0.5f, 0.25f, 0.125f]));
        return graph;
    }

    /// <summary>Executes with the picture that the host resizes, and leaves another in the host's memory.</summary>
    private static float[] Expected(Run run, Picture picture)
    {
        picture.Resample(run.Bytes("pixels"));
        run.Execute();
        float[] result = run.Output("y").ToArray();
        run.Bytes("pixels").Fill(77);
        return result;
    }

    /// <summary>A picture of noise with the extremes, whose sums are clipped.</summary>
    private sealed class Picture
    {
        public Picture(int width, int height, int gap = 0)
        {
            (Width, Height, Stride) = (width, height, 3 * width + gap);
            Rgb = new byte[Stride * height];
            Random random = new(7 * width + height);
            random.NextBytes(Rgb);
            for (int i = 0; i < Rgb.Length; i += 3) Rgb[i] = (byte)(random.Next(2) * 255);
            Bgr = [.. Rgb];
            for (int y = 0; y < height; y++)
            {
                for (int x = 0; x < width; x++) Bgr.AsSpan(y * Stride + 3 * x, 3).Reverse();
            }
        }

        public int Width { get; }

        public int Height { get; }

        public int Stride { get; }

        public byte[] Rgb { get; }

        public byte[] Bgr { get; }

        public bool TryResize(Run run, ResizeTables tables)
        {
            fixed (byte* top = Rgb) return run.TryResize("pixels", (nint)top, Stride, tables.TryGet(Width)!, tables.TryGet(Height)!);
        }

        public void Resample(Span<byte> pixels) =>
            Resampler.Resize(new ImageView(Rgb, Width, Height, Stride, PixelFormat.Rgb24), pixels, Size, Size, ResampleFilter.Bicubic);
    }
}
