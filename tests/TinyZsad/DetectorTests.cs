using NUnit.Framework;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Tests.Imaging;
using TinyZsad.Tests.Models;
using TinyZsad.Tests.Weights;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>What a user sees of one detector on one thread.</summary>
[TestFixture]
public sealed class DetectorTests
{
    private static AnomalyDetector Load(DetectorOptions? options = null) =>
        AnomalyDetector.Load(TinyModel.OfStoredClass().Open(), options);

    private static Image Noise(int width, int height, int seed = 1)
    {
        byte[] pixels = new byte[3 * width * height];
        new Random(seed).NextBytes(pixels);
        return Image.Create(width, height, pixels);
    }

    [Test]
    public void APictureGivesAScoreAndAMap()
    {
        using AnomalyDetector detector = Load();
        AnomalyResult result = detector.Detect(TinyModel.Picture, TinyModel.ClassName);
        Assert.That((result.PictureWidth, result.PictureHeight, result.ClassName),
            Is.EqualTo((TinyModel.Picture.Width, TinyModel.Picture.Height, TinyModel.ClassName)));
        Assert.That((result.Map.Width, result.Map.Height, result.Map.Values.Length), Is.EqualTo((70, 70, 4900)));
        Assert.That(result.Map.Values.ToArray(), Is.All.InRange(0f, 1f));
        Assert.That((result.PictureMap.Width, result.PictureMap.Height),
            Is.EqualTo((TinyModel.Picture.Width, TinyModel.Picture.Height)));
        Assert.That(result.PictureMap, Is.SameAs(result.PictureMap));
        Assert.That(result.Timings.Inference, Is.GreaterThan(TimeSpan.Zero));
        Assert.That(result.Timings.Total,
            Is.EqualTo(result.Timings.Waiting + result.Timings.Resize + result.Timings.ClassEmbedding + result.Timings.Inference));
    }

    [Test]
    public void EveryPixelFormatAndStrideGivesTheSame()
    {
        using AnomalyDetector detector = Load();
        Image colour = Noise(83, 61),
            gray = Image.Create(83, 61, [.. colour.Pixels.ToArray().Chunk(3).SelectMany(p => new[] { p[0], p[0], p[0] })]);
        float[] ofColour = Map(detector.Detect(colour, TinyModel.ClassName)),
            ofGray = Map(detector.Detect(gray, TinyModel.ClassName));
        foreach (PixelFormat format in Enum.GetValues<PixelFormat>())
        {
            foreach (int gap in new[] { 0, 13 })
            {
                int stride = 83 * format.BytesPerPixel() + gap;
                byte[] buffer = new byte[stride * 61];
                Array.Fill(buffer, (byte)0xEE);
                for (int i = 0; i < 83 * 61; i++)
                {
                    ReadOnlySpan<byte> p = colour.Pixels.Slice(3 * i, 3);
                    byte[] pixel = format switch
                    {
                        PixelFormat.Rgb24 => [p[0], p[1], p[2]],
                        PixelFormat.Bgr24 => [p[2], p[1], p[0]],
                        PixelFormat.Rgba32 => [p[0], p[1], p[2], (byte)i],
                        PixelFormat.Bgra32 => [p[2], p[1], p[0], (byte)i],
                        PixelFormat.Gray8 => [p[0]],
                        _ => [(byte)i, p[0]],
                    };
                    pixel.CopyTo(buffer, i / 83 * stride + i % 83 * pixel.Length);
                }
                float[] map = Map(detector.Detect(new ImageView(buffer, 83, 61, stride, format), TinyModel.ClassName));
                Assert.That(map, Is.EqualTo(format.IsGray() ? ofGray : ofColour), $"{format} + {gap}");
            }
        }
    }

    /// <summary>A camera's 12 bits as a buffer, as a frame and as a file, beside the same picture in 8 bits.</summary>
    [Test]
    public async Task TwelveBitsScoreLikeTheEightHighestOfThem()
    {
        const int width = 83, height = 61;
        using AnomalyDetector detector = Load();
        TestPng png = TestPng.Make(0, 16, width, height, 0, seed: 12);
        png.Samples = [.. png.Samples.Select(s => s >> 4)];
        byte[] eight = [.. png.Samples.Select(s => (byte)(s >> 4))];
        byte[] sixteen = [.. png.Samples.SelectMany(s => new[] { (byte)s, (byte)(s >> 8) })];
        AnomalyResult expected = detector.Detect(new ImageView(eight, width, height, PixelFormat.Gray8), TinyModel.ClassName);
        Image file = Image.Load(png.Encode(), new ImageLoadOptions { SignificantBits = 12 });
        ImageFrame frame = new(sixteen, width, height, PixelFormat.Gray16) { SignificantBits = 12 };
        foreach (AnomalyResult result in new[]
        {
            detector.Detect(file, TinyModel.ClassName),
            detector.Detect(new ImageView(sixteen, width, height, PixelFormat.Gray16) { SignificantBits = 12 }, TinyModel.ClassName),
            await detector.DetectAsync(frame, TinyModel.ClassName),
        })
        {
            Assert.That(result.Score, Is.EqualTo(expected.Score));
            Assert.That(Map(result), Is.EqualTo(Map(expected)));
        }

        AnomalyResult coarse = detector.Detect(new ImageView(sixteen, width, height, PixelFormat.Gray16), TinyModel.ClassName);
        Assert.That(coarse.Score, Is.Not.EqualTo(expected.Score), "the high byte alone is another picture");
    }

    [TestCase(1, 1)]
    [TestCase(1, 500)]
    [TestCase(3000, 2)]
    [TestCase(70, 70)]
    [TestCase(71, 69)]
    public void AnySizeWillDo(int width, int height)
    {
        using AnomalyDetector detector = Load();
        AnomalyResult result = detector.Detect(Noise(width, height), TinyModel.ClassName);
        Assert.That((result.PictureMap.Width, result.PictureMap.Height), Is.EqualTo((width, height)));
        byte[] resized = new byte[3 * 70 * 70];
        Resampler.Resize(Noise(width, height).View, resized, 70, 70);
        AnomalyResult expected = detector.Detect(Image.Create(70, 70, resized), TinyModel.ClassName);
        Assert.That(Map(result), Is.EqualTo(Map(expected)));
        Assert.That(result.Score, Is.EqualTo(expected.Score));
    }

    [Test]
    public void NoPictureIsAWrongArgument()
    {
        using AnomalyDetector detector = Load();
        Assert.That(() => detector.Detect((Image)null!), Throws.ArgumentNullException);
        Assert.That(() => detector.Detect(default(ImageView), TinyModel.ClassName), Throws.InstanceOf<ArgumentException>());
        Assert.That(() => detector.DetectAsync((Image)null!), Throws.ArgumentNullException);
        Assert.That(() => detector.DetectBatch(null!), Throws.ArgumentNullException);
        Assert.That(detector.DetectBatch([null!])[0].Succeeded, Is.False);
    }

    [Test]
    public void TheScoreIsWhatTheOptionsAskFor()
    {
        float Score(ImageScore score, out AnomalyResult result)
        {
            using AnomalyDetector detector = Load(new DetectorOptions { Score = score });
            result = detector.Detect(TinyModel.Picture, TinyModel.ClassName);
            return result.Score;
        }
        float maximum = Score(ImageScore.Maximum, out AnomalyResult result), top = Score(ImageScore.TopPercentMean, out _),
            global = Score(ImageScore.GlobalLogit, out AnomalyResult logit);
        float[] sorted = [.. Map(result).OrderDescending()];
        Assert.That(maximum, Is.EqualTo(sorted[0]).And.EqualTo(result.RawScore));
        // 1 % of 4900 values; a sum of 49 floats in (0, 1).
        Assert.That(top, Is.EqualTo(sorted.Take(49).Average()).Within(49 * 6e-8));
        Assert.That(Score(ImageScore.Default, out _), Is.EqualTo(top));
        float[] expected = TinyModel.Case.ExpectedTaps().Single(t => t.Name == "head.global").Expected;
        Assert.That(logit.RawScore, Is.EqualTo(expected[1] - expected[0]).Within(2e-5 * expected.Max(Math.Abs)));
        Assert.That(global, Is.EqualTo(1 / (1 + Math.Exp(-logit.RawScore))).Within(1e-6));
        Assert.That(Map(logit), Is.EqualTo(Map(result)));
    }

    [Test]
    public void TheThreadsDoNotMatter()
    {
        float[][] maps = [.. new[] { 1, 2, 4, 7 }.Select(threads =>
        {
            using AnomalyDetector detector = Load(new DetectorOptions { Threads = threads });
            Assert.That(detector.Threads, Is.EqualTo(threads));
            return Map(detector.Detect(TinyModel.Picture, TinyModel.ClassName));
        })];
        Assert.That(maps, Is.All.EqualTo(maps[0]));
    }

    [Test]
    public void OptionsOutOfRangeAreRefusedAndTheFileClosed()
    {
        foreach (DetectorOptions options in new DetectorOptions[] { new() { Threads = -1 }, new() { Threads = 257 },
            new() { Score = (ImageScore)99 }, new() { Precision = (Precision)99 }, new() { Mode = (DetectionMode)99 },
            new() { MaxConcurrency = -1 }, new() { MaxQueueLength = -1 }, new() { Device = "" } })
        {
            TinyModel model = TinyModel.OfStoredClass();
            string path = TestFiles.NewPath();
            SafetensorsWriter.Write(path, model.Tensors.Values, model.Metadata);
            SafetensorsFile file = SafetensorsFile.Open(path, deleteOnClose: true);
            Assert.That(() => AnomalyDetector.Load(file, options), Throws.InstanceOf<ArgumentOutOfRangeException>());
            Assert.That(File.Exists(path), Is.False);
        }
        using AnomalyDetector detector = Load(new DetectorOptions { Threads = 0 });
        Assert.That(detector.Threads, Is.EqualTo(Math.Min(Environment.ProcessorCount, 256)));
    }

    [Test]
    public void WhatIsNoModelFileIsRefused()
    {
        Assert.That(() => AnomalyDetector.Load(TestFiles.NewPath()), Throws.InstanceOf<FileNotFoundException>());
        Assert.That(() => AnomalyDetector.Load(""), Throws.ArgumentException);
        Assert.That(() => AnomalyDetector.Load((string)null!), Throws.ArgumentNullException);
        Assert.That(() => AnomalyDetector.Load((SafetensorsFile)null!), Throws.ArgumentNullException);
        string folder = Path.GetTempPath();
        Assert.That(() => AnomalyDetector.Load(folder),
            Throws.InstanceOf<ModelFormatException>().Or.InstanceOf<IOException>().Or.InstanceOf<UnauthorizedAccessException>());
        Assert.That(() => AnomalyDetector.Load(TinyModel.Case.Image!), Throws.InstanceOf<ModelFormatException>(), "a picture");
        Assert.That(() => AnomalyDetector.Load(Path.Combine(TinyModel.Case.Folder, "expected.safetensors")),
            Throws.InstanceOf<ModelFormatException>().With.Message.Contains("not a TinyZsad model"));
    }

    [Test]
    public void TheModelSaysWhatItIs()
    {
        TinyModel model = TinyModel.OfStoredClass();
        byte[] bytes = TestFiles.Written(model.Tensors.Values, model.Metadata);
        AnomalyDetector detector = AnomalyDetector.Load(SafetensorsFile.Open(bytes, "tiny.safetensors"));
        string sha = detector.Model.Sha256;
        detector.Dispose();
        ModelInfo info = detector.Model;
        Assert.That(sha,
            Is.EqualTo(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes))).And.EqualTo(info.Sha256));
        Assert.That((info.SystemName, info.Path, info.ImageSize, info.TakesClassName, info.AnyClass),
            Is.EqualTo(("LiZAD", "tiny.safetensors", 70, true, false)));
        Assert.That((info.FileBytes, info.Tensors), Is.EqualTo((bytes.LongLength, model.Tensors.Count)));
        Assert.That(info.Parameters, Is.EqualTo(model.Tensors.Values.Sum(t => t.ByteLength / t.Type.ByteSize())));
        Assert.That(info.StoredClasses, Is.EqualTo(new[] { TinyModel.ClassName }));
        Assert.That(info.Metadata["model"], Is.EqualTo("lizad"));
    }

    [Test]
    public void NoClassMeansAnObject()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(
            TinyModel.OfStoredClass(AnomalyDetector.DefaultClassName, "other").Open());
        AnomalyResult result = detector.Detect(TinyModel.Picture);
        Assert.That(result.ClassName, Is.EqualTo("object"));
        Assert.That(Map(result), Is.EqualTo(Map(detector.Detect(TinyModel.Picture, "object")))
            .And.Not.EqualTo(Map(detector.Detect(TinyModel.Picture, "other"))));
    }

    [Test]
    public void ABatchIsItsPicturesInOrder()
    {
        using AnomalyDetector detector = Load();
        Image[] images = [Noise(30, 40, 1), Noise(50, 20, 2), Noise(70, 70, 3)];
        IReadOnlyList<DetectionOutcome<Image>> results = detector.DetectBatch(images, TinyModel.ClassName);
        Assert.That(results.Select(r => r.Item), Is.EqualTo(images));
        Assert.That(results.Select(r => Map(r.GetResult())), Is.EqualTo(images.Select(i => Map(detector.Detect(i, TinyModel.ClassName)))));
        Assert.That(detector.DetectBatch([], TinyModel.ClassName), Is.Empty);
    }

    /// <summary>What a detection allocates tells whether it embedded the class: the prompts are 420 x 77 integers.</summary>
    [Test]
    public void WarmedUpItDoesNotEmbedTheClassAgain()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.Whole().Open(), new DetectorOptions { Threads = 1 });
        detector.Warmup();
        detector.Warmup(TinyModel.ClassName);
        long known = Allocated(TinyModel.ClassName), unknown = Allocated("cable");
        Assert.That(unknown, Is.GreaterThan(420 * 77 * sizeof(int)));
        Assert.That(known, Is.LessThan(420 * 77 * sizeof(int)));

        long Allocated(string className)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            detector.Detect(TinyModel.Picture, className);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    /// <summary>A score that is not a number passes every threshold.</summary>
    [TestCase("vision.layer.2.mlp.down_proj.weight")]
    [TestCase("vision.embeddings.patch_embeddings.weight")]
    [TestCase("head.patch_adapter.3.adapter.0.weight")]
    public void ADamagedWeightIsAnErrorThatNamesIt(string tensor)
    {
        TinyModel model = TinyModel.OfStoredClass();
        model.Change(tensor, 5, _ => float.NaN);
        using AnomalyDetector detector = AnomalyDetector.Load(model.Open(), new DetectorOptions { Threads = 2 });
        ModelFormatException error = Assert.Throws<ModelFormatException>(
            () => detector.Detect(TinyModel.Picture, TinyModel.ClassName))!;
        Assert.That(error.Reason, Does.Contain("not finite").And.Contain($"'{tensor}'"));
        Assert.That(error.File, Is.EqualTo("tiny.safetensors"));
        Assert.That(() => detector.Detect(TinyModel.Picture, TinyModel.ClassName), Throws.TypeOf<ModelFormatException>(), "again");
    }

    [Test]
    public void AStoredClassThatIsDamagedIsNamed()
    {
        TinyModel model = TinyModel.OfStoredClass();
        float[] bad = new float[EmbeddingWidth(model)];
        bad[1] = float.PositiveInfinity;
        model.Store($"text.abnormal.{TinyModel.ClassName}", bad);
        using AnomalyDetector detector = AnomalyDetector.Load(model.Open());
        Assert.That(() => detector.Detect(TinyModel.Picture, TinyModel.ClassName),
            Throws.TypeOf<ModelFormatException>().With.Message.Contains("text.abnormal"));
    }

    private static int EmbeddingWidth(TinyModel model) =>
        (int)model.Tensors[$"text.abnormal.{TinyModel.ClassName}"].Shape[0];

    [Test]
    public void WarmingUpAndProfilingWaitForTheirTurnAndCanBeCancelled()
    {
        using AnomalyDetector detector = Load();
        foreach (Action<CancellationToken> work in new Action<CancellationToken>[]
            { c => detector.Warmup(null, c), c => detector.Profile(1, null, c) })
        {
            Assert.That(() => work(new CancellationToken(true)), Throws.InstanceOf<OperationCanceledException>());
            // Another call computes: nothing begins, and the wait can be cancelled.
            using BlockingCall other = new(needsAllThreads: true);
            other.Enter(detector.Queue, canBeRefused: false, default);
            using CancellationTokenSource soon = new(50);
            Assert.That(() => work(soon.Token), Throws.InstanceOf<OperationCanceledException>());
            detector.Queue.Leave(other);
            Assert.That(() => work(default), Throws.Nothing);
        }
    }

    [Test]
    public void AReferenceDeviceGivesNearlyTheSame()
    {
        using AnomalyDetector cpu = Load(), reference = AnomalyDetector.Load(
            TinyModel.OfStoredClass().Open(), new DetectorOptions { Device = "reference" });
        Assert.That(reference.Detect(TinyModel.Picture, TinyModel.ClassName).Score,
            Is.EqualTo(cpu.Detect(TinyModel.Picture, TinyModel.ClassName).Score).Within(1e-5));
        Assert.That((cpu.Threads, reference.Threads), Is.EqualTo((2, 1)));
        Assert.That(() => AnomalyDetector.Load(TinyModel.OfStoredClass().Open(),
            new DetectorOptions { Device = "reference", Precision = Precision.Int8 }),
            Throws.ArgumentException.With.Message.Contains("Int8"));
        Assert.That(DetectorOptions.DeviceNames, Is.SupersetOf(new[] { "cpu", "reference", "cuda", "cuda:N", "auto" }));
        Assert.That(() => AnomalyDetector.Load(TinyModel.OfStoredClass().Open(), new DetectorOptions { Device = "tpu" }),
            Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains("cpu, reference"));
    }

    [Test]
    public void AProfileNamesEveryPartOfTheNetwork()
    {
        using AnomalyDetector detector = Load();
        IReadOnlyList<ProfileEntry> entries = detector.Profile(3);
        string labels = string.Join('\n', entries.Select(e => e.Label));
        foreach (string part in new[] { "vision.embeddings", "vision.layer.0", "vision.layer.3.mlp.down_proj.weight",
            "head.patch_adapter.3", "head" })
        {
            Assert.That(labels, Does.Contain(part));
        }

        Assert.That(entries.Sum(e => e.Flops), Is.GreaterThan(4 * 21 * 64 * 64 * 12 * 2L),
            "the linear layers of four blocks at least");
        Assert.That(entries.Sum(e => e.Time.Ticks), Is.GreaterThan(0), "the times are taken");
        Assert.That(() => detector.Profile(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void CancelledItStaysUsable()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.Whole().Open(), new DetectorOptions { Threads = 2 });
        Assert.That(() => detector.Detect(TinyModel.Picture, "nut", new CancellationToken(true)),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await detector.DetectAsync(TinyModel.Picture, "nut", new CancellationToken(true)),
            Throws.InstanceOf<OperationCanceledException>());
        // An embedding takes far longer than this, but where a machine is busy with others: one that is cancelled is enough.
        string cancelled = Enumerable.Range(0, 100).Select(i => $"nut {i}").First(IsCancelled);
        using AnomalyDetector other = AnomalyDetector.Load(TinyModel.Whole().Open());
        Assert.That(Map(detector.Detect(TinyModel.Picture, cancelled)),
            Is.EqualTo(Map(other.Detect(TinyModel.Picture, cancelled))));

        bool IsCancelled(string className)
        {
            using CancellationTokenSource soon = new(TimeSpan.FromMilliseconds(5));
            try
            {
                detector.Detect(TinyModel.Picture, className, soon.Token);
                return false;
            }
            catch (OperationCanceledException)
            {
                return true;
            }
        }
    }

    [Test]
    public async Task AsynchronouslyItIsTheSame()
    {
        using AnomalyDetector detector = Load();
        Assert.That(Map(await detector.DetectAsync(TinyModel.Picture, TinyModel.ClassName)),
            Is.EqualTo(Map(detector.Detect(TinyModel.Picture, TinyModel.ClassName))));
    }

    [Test]
    public void DisposedItRefusesEverything()
    {
        AnomalyDetector detector = Load();
        detector.Dispose();
        detector.Dispose();
        Assert.That(() => detector.Detect(TinyModel.Picture, TinyModel.ClassName),
            Throws.InstanceOf<ObjectDisposedException>().With.Message.Contains(nameof(AnomalyDetector)));
        Assert.That(() => detector.DetectBatch([TinyModel.Picture]), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(async () => await detector.DetectAsync(TinyModel.Picture), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => detector.Warmup(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => detector.Profile(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => detector.SaveWithClasses(TestFiles.NewPath(), []), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void AMapIsReadByPixelAndResized()
    {
        AnomalyMap map = AnomalyMap.Create(2, 2, [0, 1, 2, 3]);
        Assert.That((map[0, 0], map[1, 0], map[0, 1], map[1, 1]), Is.EqualTo((0f, 1f, 2f, 3f)));
        foreach ((int x, int y) in new[] { (-1, 0), (2, 0), (0, -1), (0, 2) })
            Assert.That(() => map[x, y], Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(map.Resize(2, 2), Is.SameAs(map));
        // Half-pixel centres: 0, 1/4, 3/4, 1 between the two.
        Assert.That(map.Resize(4, 2).Values.ToArray(), Is.EqualTo(new[] { 0, 0.25f, 0.75f, 1, 2, 2.25f, 2.75f, 3 }).Within(1e-6));
        Assert.That(() => map.Resize(0, 2), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => AnomalyMap.Create(2, 2, new float[5]), Throws.ArgumentException);
    }

    private static float[] Map(AnomalyResult result) => result.Map.Values.ToArray();
}
