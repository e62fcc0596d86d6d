using System.Buffers;
using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Tests.Models;
using TinyZsad.Tests.Weights;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>What a service needs of a detector: order, refusal, cancellation, models that come and go.</summary>
[TestFixture, NonParallelizable]
public sealed class DetectorServiceTests
{
    private static readonly string[] Classes = [TinyModel.ClassName, "cable"];

    private static AnomalyDetector Load(DetectorOptions? options = null) =>
        AnomalyDetector.Load(TinyModel.OfStoredClass(Classes).Open(), options ?? new DetectorOptions { Threads = 2 });

    private static byte[] ModelBytes(params string[] classes)
    {
        TinyModel model = TinyModel.OfStoredClass(classes);
        return TestFiles.Written(model.Tensors.Values, model.Metadata);
    }

    private static float[] Map(AnomalyResult result) => result.Map.Values.ToArray();

    /// <summary>Occupies the detector until it is disposed, so that other calls wait.</summary>
    private sealed class Occupied : IDisposable
    {
        private readonly AnomalyDetector detector;
        private readonly BlockingCall call = new(needsAllThreads: true);

        public Occupied(AnomalyDetector detector)
        {
            this.detector = detector;
            call.Enter(detector.Queue, canBeRefused: false, default);
        }

        public void Dispose() => detector.Queue.Leave(call);
    }

    [Test]
    public async Task CallsThatWaitTakeNoThreadAndAreServedInOrder([Values] DetectionMode mode)
    {
        await using AnomalyDetector detector = Load(new DetectorOptions { Threads = 1, Mode = mode });
        const int Count = 300;
        List<int> order = [];
        Task[] calls;
        int before;
        using (new Occupied(detector))
        {
            before = ThreadPool.ThreadCount;
            calls = [.. Enumerable.Range(0, Count).Select(async i =>
            {
                await detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName)
                    .ContinueWith(_ => { lock (order) order.Add(i); }, TaskContinuationOptions.ExecuteSynchronously);
            })];
            // 300 calls wait; a pool that lent each a thread would have grown or be starved by now.
            await Task.Run(() => { });
            Assert.That(ThreadPool.ThreadCount - before, Is.LessThan(20));
            Assert.That(calls.Count(c => c.IsCompleted), Is.Zero);
        }

        await Task.WhenAll(calls);
        // Completions may pass each other on the pool by a place or two; a later call never begins before an earlier one.
        Assert.That(order.Select((call, place) => Math.Abs(call - place)).Max(), Is.LessThan(16));
    }

    /// <summary>Pixels that note on which threads they are read.</summary>
    private sealed class WatchedPixels(byte[] pixels) : MemoryManager<byte>
    {
        public List<(bool Pool, string? Name)> Readers { get; } = [];

        public Action? Watch { get; init; }

        public override Span<byte> GetSpan()
        {
            lock (Readers) Readers.Add((Thread.CurrentThread.IsThreadPoolThread, Thread.CurrentThread.Name));
            if (Thread.CurrentThread.Name?.StartsWith("TinyZsad", StringComparison.Ordinal) is true) Watch?.Invoke();
            return pixels;
        }

        public override MemoryHandle Pin(int elementIndex = 0) => throw new NotSupportedException();

        public override void Unpin() { }

        protected override void Dispose(bool disposing) { }
    }

    [Test]
    public async Task NothingIsComputedOnThePool([Values] DetectionMode mode)
    {
        await using AnomalyDetector detector = Load(new DetectorOptions { Threads = 2, Mode = mode });
        using WatchedPixels pixels = new(new byte[3 * 50 * 50]);
        ImageFrame frame = new(pixels.Memory, 50, 50, PixelFormat.Rgb24);
        pixels.Readers.Clear();
        await detector.DetectAsync(frame, TinyModel.ClassName);
        (bool Pool, string? Name)[] computing = [.. pixels.Readers.Where(r => r.Name?.StartsWith("TinyZsad") is true)];
        Assert.That(computing, Is.Not.Empty);
        Assert.That(computing.Select(r => r.Pool), Is.All.False);
        Assert.That(pixels.Readers.Where(r => r.Pool && r != pixels.Readers[0]), Is.Empty, "the caller's look at the arguments apart");
    }

    [Test]
    public async Task AFullQueueRefuses()
    {
        await using AnomalyDetector detector = Load(new DetectorOptions { Threads = 2, MaxQueueLength = 2 });
        List<Task<AnomalyResult>> waiting = [];
        using (new Occupied(detector))
        {
            for (int i = 0; i < 2; i++) waiting.Add(detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName));
            Assert.That(async () => await detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName),
                Throws.TypeOf<DetectorBusyException>().With.Property("QueueLength").EqualTo(2));
            Assert.That(() => detector.Detect(TinyModel.Picture, TinyModel.ClassName), Throws.TypeOf<DetectorBusyException>());
        }

        foreach (Task<AnomalyResult> call in waiting) Assert.That((await call).Score, Is.Positive);
        Assert.That(detector.DetectBatch([.. Enumerable.Repeat(TinyModel.Picture, 20)], TinyModel.ClassName)
            .Count(o => o.Succeeded), Is.EqualTo(20), "a batch is never refused");
    }

    [Test]
    public async Task ACallThatWaitsCanBeCancelled()
    {
        await using AnomalyDetector detector = Load();
        using CancellationTokenSource source = new();
        Task<AnomalyResult> cancelled, other;
        using (new Occupied(detector))
        {
            cancelled = detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName, source.Token);
            other = detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName);
            await source.CancelAsync();
            Assert.That(async () => await cancelled, Throws.InstanceOf<OperationCanceledException>(), "while the other still waits");
            Assert.That(other.IsCompleted, Is.False);
        }

        Assert.That((await other).Score, Is.Positive);
    }

    [Test]
    public async Task ThroughputModeGivesTheSameBitForBit()
    {
        await using AnomalyDetector latency = Load(),
            throughput = Load(new DetectorOptions { Threads = 4, Mode = DetectionMode.Throughput });
        float[] right = Map(latency.Detect(TinyModel.Picture, TinyModel.ClassName));
        AnomalyResult[] results = await Task.WhenAll(
            Enumerable.Range(0, 40).Select(_ => throughput.DetectAsync(TinyModel.Picture, TinyModel.ClassName)));
        Assert.That(results.Select(Map), Is.All.EqualTo(right));
        Assert.That(throughput.DetectBatch([.. Enumerable.Repeat(TinyModel.Picture, 9)], TinyModel.ClassName)
            .Select(o => Map(o.GetResult())), Is.All.EqualTo(right));
    }

    [Test]
    public void ABufferTakesTheMap()
    {
        using AnomalyDetector detector = Load();
        float[] buffer = new float[70 * 70 + 1];
        AnomalyResult result = detector.Detect(TinyModel.Picture.View, buffer, TinyModel.ClassName);
        Assert.That(Map(result), Is.EqualTo(buffer[..^1]).And.EqualTo(Map(detector.Detect(TinyModel.Picture, TinyModel.ClassName))));
        Assert.That(() => detector.Detect(TinyModel.Picture.View, new float[4899], TinyModel.ClassName),
            Throws.ArgumentException.With.Message.Contains("4900"));
        Assert.That(async () => await detector.DetectAsync(TinyModel.Picture.Frame, new float[1]), Throws.ArgumentException);
        Assert.That(async () => await detector.DetectAsync(default(ImageFrame)), Throws.ArgumentException);
    }

    [Test]
    public async Task DisposeAsyncWaitsForThoseThatWait()
    {
        AnomalyDetector detector = Load();
        Task<AnomalyResult> call;
        Task disposal;
        using (new Occupied(detector))
        {
            call = detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName);
            disposal = detector.DisposeAsync().AsTask();
            Assert.That(async () => await detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName),
                Throws.InstanceOf<ObjectDisposedException>());
            Assert.That((call.IsCompleted, disposal.IsCompleted), Is.EqualTo((false, false)));
        }

        Assert.That((await call).Score, Is.Positive);
        await disposal;
        await detector.DisposeAsync();
    }

    [Test]
    public async Task ModelsAreSwappedUnderLoadWithoutAnError()
    {
        float[][] right = [.. Classes.Select(c =>
        {
            using AnomalyDetector detector = AnomalyDetector.Load(ModelBytes(c));
            return Map(detector.Detect(TinyModel.Picture, c));
        })];
        SwappableDetector swappable = new(Load());
        using CancellationTokenSource stop = new();
        int done = 0, wrong = 0;
        Task[] callers = [.. Enumerable.Range(0, 4).Select(i => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                AnomalyResult result = i % 2 == 0
                    ? await swappable.DetectAsync(TinyModel.Picture, Classes[i / 2])
                    : swappable.Detect(TinyModel.Picture, Classes[i / 2]);
                if (!result.Map.Values.SequenceEqual(right[i / 2])) Interlocked.Increment(ref wrong);
                Interlocked.Increment(ref done);
            }
        }))];
        for (int swap = 0; swap < 20; swap++)
        {
            AnomalyDetector old = swappable.Current;
            await swappable.Swap(Load());
            Assert.That(() => old.Detect(TinyModel.Picture, TinyModel.ClassName), Throws.InstanceOf<ObjectDisposedException>());
        }

        IReadOnlyList<DetectionOutcome<Image>> batch = swappable.DetectBatch(
            [.. Enumerable.Repeat(TinyModel.Picture, 5)], image => image, TinyModel.ClassName);
        Assert.That(batch.Select(o => Map(o.GetResult())), Is.All.EqualTo(right[0]));
        await stop.CancelAsync();
        await Task.WhenAll(callers);
        Assert.That(wrong, Is.Zero);
        Assert.That(done, Is.Positive);

        AnomalyDetector last = swappable.Current;
        Assert.That(() => swappable.Swap(last), Throws.ArgumentException);
        await swappable.DisposeAsync();
        Assert.That(() => swappable.Detect(TinyModel.Picture), Throws.InstanceOf<ObjectDisposedException>()
            .With.Message.Contains(nameof(SwappableDetector)));
        using AnomalyDetector late = Load();
        Assert.That(() => swappable.Swap(late), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => last.Warmup(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(late.Detect(TinyModel.Picture, TinyModel.ClassName).Score, Is.Positive);
    }

    [Test]
    public async Task EveryWayOfLoadingGivesTheSame()
    {
        byte[] bytes = ModelBytes(Classes);
        string path = TestFiles.NewPath();
        File.WriteAllBytes(path, bytes);
        try
        {
            float[] right;
            using (AnomalyDetector detector = AnomalyDetector.Load(path))
                right = Map(detector.Detect(TinyModel.Picture, TinyModel.ClassName));
            using MemoryStream first = new(bytes), second = new(bytes);
            AnomalyDetector[] others =
            [
                AnomalyDetector.Load(bytes), AnomalyDetector.Load(first), await AnomalyDetector.LoadAsync(second),
                await AnomalyDetector.LoadAsync(path), AnomalyDetector.Load(path, new DetectorOptions { InMemory = true }),
            ];
            foreach (AnomalyDetector other in others)
            {
                Assert.That(Map(await other.DetectAsync(TinyModel.Picture, TinyModel.ClassName)), Is.EqualTo(right));
                await other.DisposeAsync();
            }

            Assert.That(async () => await AnomalyDetector.LoadAsync(path, cancellationToken: new CancellationToken(true)),
                Throws.InstanceOf<OperationCanceledException>());
            Assert.That(async () => await AnomalyDetector.LoadAsync(new MemoryStream(bytes[..100])),
                Throws.TypeOf<ModelFormatException>());
            Assert.That(async () => await AnomalyDetector.LoadAsync(path, new DetectorOptions { Threads = 999 }),
                Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(() => AnomalyDetector.LoadAsync((Stream)null!), Throws.ArgumentNullException);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>A mapped file that is cut short ends the process at its next access; one that was read does not change.</summary>
    [Test]
    public void AFileInMemoryMayBeOverwritten()
    {
        byte[] bytes = ModelBytes(Classes);
        string path = TestFiles.NewPath();
        File.WriteAllBytes(path, bytes);
        try
        {
            using AnomalyDetector detector = AnomalyDetector.Load(path, new DetectorOptions { InMemory = true, Threads = 1 });
            File.WriteAllBytes(path, new byte[10]);
            using AnomalyDetector right = AnomalyDetector.Load(bytes);
            Assert.That(Map(detector.Detect(TinyModel.Picture, "cable")), Is.EqualTo(Map(right.Detect(TinyModel.Picture, "cable"))));
            Assert.That(detector.Model.Sha256, Is.EqualTo(right.Model.Sha256));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Test]
    public void AnUnknownClassNamesThoseThereAre()
    {
        using AnomalyDetector detector = Load();
        UnknownClassException error =
            Assert.Throws<UnknownClassException>(() => detector.Detect(TinyModel.Picture, "screw"))!;
        Assert.That((error.ClassName, error.File), Is.EqualTo(("screw", "tiny.safetensors")));
        Assert.That(error.KnownClasses, Is.EquivalentTo(Classes));
        Assert.That(error.Message, Does.Contain("screw").And.Contain("metal nut").And.Contain("cable"));
        Assert.That(() => detector.Warmup("screw"), Throws.TypeOf<UnknownClassException>());
    }

    [Test]
    public void AnInterruptedWaitLeavesTheQueue()
    {
        using AnomalyDetector detector = Load();
        Exception? error = null;
        using (new Occupied(detector))
        {
            Thread waiting = new(() => error = Assert.Catch(() => detector.Detect(TinyModel.Picture, TinyModel.ClassName)));
            waiting.Start();
            Assert.That(SpinWait.SpinUntil(() => (waiting.ThreadState & ThreadState.WaitSleepJoin) != 0, TimeSpan.FromMinutes(1)));
            waiting.Interrupt();
            waiting.Join();
        }

        Assert.That(error, Is.InstanceOf<ThreadInterruptedException>());
        using CancellationTokenSource soon = new(TimeSpan.FromMinutes(1));
        Assert.That(detector.Detect(TinyModel.Picture, TinyModel.ClassName, soon.Token).Score, Is.Positive);
    }

    [Test]
    public async Task TheHashOfADisposedModelIsRefusedAndTheCallersContextIsNotKept()
    {
        AnomalyDetector detector = AnomalyDetector.Load(new MemoryStream(ModelBytes(Classes)));
        AsyncLocal<string> context = new() { Value = "the first caller's" };
        string? seen = "unset";
        using WatchedPixels first = new(new byte[3 * 9 * 9]), second = new(new byte[3 * 9 * 9]) { Watch = () => seen = context.Value };
        await detector.DetectAsync(new ImageFrame(first.Memory, 9, 9, PixelFormat.Rgb24), TinyModel.ClassName);
        await detector.DetectAsync(new ImageFrame(second.Memory, 9, 9, PixelFormat.Rgb24), TinyModel.ClassName);
        Assert.That(seen, Is.Null);
        await detector.DisposeAsync();
        Assert.That(() => detector.Model.Sha256, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void AMapThatNoArrayHoldsIsATypedError()
    {
        AnomalyResult result = new(0.5f, AnomalyMap.Create(2, 2, [0, 0, 0, 0]), 50_000, 50_000);
        Assert.That(() => result.PictureMap, Throws.InvalidOperationException.With.Message.Contains("2500000000"));
        Assert.That(() => result.Map.Resize(50_000, 50_000), Throws.InvalidOperationException);
        Assert.That(() => result.CopyPictureMapTo(new float[10]), Throws.ArgumentException);
        using AnomalyDetector detector = Load();
        Assert.That(() => detector.Detect(TinyModel.Picture, " "), Throws.ArgumentException);
        Assert.That(() => detector.DetectBatch([TinyModel.Picture], ""), Throws.ArgumentException);
    }

    /// <summary>The smallest fake that a user's test needs.</summary>
    private sealed class Fake : IAnomalyDetector
    {
        public ModelInfo Model { get; } = new() { SystemName = "fake", ImageSize = 2, Sha256 = "00" };

        public AnomalyResult Detect(ImageView image, string? className = null, CancellationToken cancellationToken = default) =>
            new(image.Width, AnomalyMap.Create(2, 2, [0, 0, 0, 1]), image.Width, image.Height) { ClassName = className };

        public Task<AnomalyResult> DetectAsync(
            ImageFrame image, string? className = null, CancellationToken cancellationToken = default) =>
            Task.FromResult(Detect(image.View, className, cancellationToken));
    }

    [Test]
    public async Task AFakeNeedsThreeMembers()
    {
        IAnomalyDetector fake = new Fake();
        Image picture = Image.Create(3, 1, new byte[9]);
        Assert.That(fake.Detect(picture).Score, Is.EqualTo(3));
        Assert.That((await fake.DetectAsync(picture, "nut")).ClassName, Is.EqualTo("nut"));
        Assert.That(fake.DetectBatch([1, 2, 3], _ => picture).Select(o => (o.Item, o.Result!.Score)),
            Is.EqualTo(new[] { (1, 3f), (2, 3f), (3, 3f) }));
        Assert.That(fake.Model.Sha256, Is.EqualTo("00"));
    }

    [Test]
    public void TrimmedItStaysUsable()
    {
        using AnomalyDetector detector = Load();
        float[] right = Map(detector.Detect(TinyModel.Picture, TinyModel.ClassName));
        detector.Trim();
        Assert.That(Map(detector.Detect(TinyModel.Picture, TinyModel.ClassName)), Is.EqualTo(right));
        detector.Dispose();
        Assert.That(detector.Trim, Throws.InstanceOf<ObjectDisposedException>());
    }
}
