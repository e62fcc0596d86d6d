using System.Runtime.CompilerServices;
using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Tests.Models;

namespace TinyZsad.Tests;

/// <summary>Pictures as they come: in order, a few ahead, and what happens when either side stops.</summary>
[TestFixture]
public sealed class DetectorStreamTests
{
    private AnomalyDetector detector = null!;
    private const int Threads = 2;
    private int asked;
    private bool closed;

    [SetUp]
    public void Load()
    {
        detector = AnomalyDetector.Load(
            TinyModel.OfStoredClass().Open(), new DetectorOptions { Threads = Threads });
        (asked, closed) = (0, false);
    }

    [TearDown]
    public void Unload() => detector.Dispose();

    private static Image Picture(int i) =>
        Image.Create(8 + i, 8, [.. Enumerable.Range(0, 3 * 8 * (8 + i)).Select(j => (byte)(j * (i + 3)))]);

    /// <summary>Pictures of growing width; fails instead of giving one, if asked to.</summary>
    private async IAsyncEnumerable<Image> Source(
        int count, int failAt = -1, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        try
        {
            for (int i = 0; i < count; i++)
            {
                asked++;
                await Task.Yield();
                cancellationToken.ThrowIfCancellationRequested();
                if (i == failAt) throw new IOException("the camera is gone");
                yield return Picture(i);
            }
        }
        finally
        {
            closed = true;
        }
    }

    [Test]
    public async Task ResultsComeInOrderAndAreThoseOfDetect([Values(0, 1, 2, 7)] int count)
    {
        int i = 0;
        await foreach (DetectionOutcome<Image> outcome in detector.DetectStreamAsync(Source(count), TinyModel.ClassName))
        {
            AnomalyResult result = outcome.GetResult();
            Assert.That((result.PictureWidth, outcome.Item.Width), Is.EqualTo((8 + i, 8 + i)));
            Assert.That(result.Map.Values.ToArray(),
                Is.EqualTo(detector.Detect(Picture(i), TinyModel.ClassName).Map.Values.ToArray()));
            i++;
            Assert.That(asked, Is.LessThanOrEqualTo(i + Threads + 1), "no more than those that compute and the next");
        }

        Assert.That((i, closed), Is.EqualTo((count, true)));
    }

    [Test]
    public void AFailingSourceIsHeardOfAfterTheResultsBeforeIt([Values(0, 1, 3)] int failAt)
    {
        List<int> widths = [];
        Assert.That(async () =>
        {
            await foreach (DetectionOutcome<Image> outcome in detector.DetectStreamAsync(Source(5, failAt), TinyModel.ClassName))
                widths.Add(outcome.GetResult().PictureWidth);
        }, Throws.InstanceOf<IOException>().With.Message.EqualTo("the camera is gone"));
        Assert.That(widths, Is.EqualTo(Enumerable.Range(8, failAt)));
        Assert.That(closed);
    }

    [Test]
    public async Task AClassThatTheModelLacksEndsTheStream()
    {
        UnknownClassException error = (await Assert.ThrowsAsync<UnknownClassException>(async () =>
        {
            await foreach (DetectionOutcome<Image> _ in detector.DetectStreamAsync(Source(50), "unknown")) { }
        }))!;
        Assert.That((error.ClassName, error.KnownClasses), Is.EqualTo(("unknown", new[] { TinyModel.ClassName })));
        Assert.That(closed);
        Assert.That(asked, Is.LessThanOrEqualTo(Threads + 2));
    }

    [Test]
    public async Task ABadPictureIsAnOutcomeWithItsItem()
    {
        List<(int Item, bool Succeeded, string? Error)> outcomes = [];
        await foreach (DetectionOutcome<int> outcome in detector.DetectStreamAsync(Numbers(), Load, TinyModel.ClassName))
            outcomes.Add((outcome.Item, outcome.Succeeded, outcome.ErrorMessage));
        Assert.That(outcomes.Select(o => o.Item), Is.EqualTo(Enumerable.Range(0, 9)));
        Assert.That(outcomes.Where(o => !o.Succeeded), Is.EqualTo(
            new[] { (2, false, "picture 2 is bad"), (5, false, "picture 5 is bad"), (8, false, (string?)"picture 8 is bad") }));

        static async IAsyncEnumerable<int> Numbers()
        {
            for (int i = 0; i < 9; i++)
            {
                await Task.Yield();
                yield return i;
            }
        }

        static async ValueTask<Image> Load(int i, CancellationToken cancellationToken)
        {
            await Task.Yield();
            return i % 3 == 2 ? throw new ImageFormatException($"picture {i} is bad") : Picture(i);
        }
    }

    [Test]
    public void ABatchSurvivesABadPicture()
    {
        IReadOnlyList<DetectionOutcome<int>> outcomes = detector.DetectBatch(
            [.. Enumerable.Range(0, 9)], i => i % 3 == 2 ? throw new IOException($"{i}") : Picture(i), TinyModel.ClassName);
        Assert.That(outcomes.Select(o => (o.Item, o.Result?.PictureWidth, o.ErrorMessage)), Is.EqualTo(Enumerable.Range(0, 9)
            .Select(i => (i, i % 3 == 2 ? null : (int?)(8 + i), i % 3 == 2 ? $"{i}" : null))));
        Assert.That(() => detector.DetectBatch([1, 2], Picture, "unknown"), Throws.TypeOf<UnknownClassException>());
        Assert.That(() => detector.DetectBatch([1, 2], Picture, TinyModel.ClassName, new CancellationToken(true)),
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void CancelledItStops()
    {
        using CancellationTokenSource source = new();
        int results = 0;
        Assert.That(async () =>
        {
            await foreach (DetectionOutcome<Image> _ in
                detector.DetectStreamAsync(Source(100), TinyModel.ClassName).WithCancellation(source.Token))
            {
                if (++results == 3) source.Cancel();
            }
        }, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(results, Is.EqualTo(3));
        Assert.That(closed);
    }

    [Test]
    public async Task WhoStopsListeningStopsTheSource()
    {
        await foreach (DetectionOutcome<Image> _ in detector.DetectStreamAsync(Source(100), TinyModel.ClassName)) break;
        Assert.That(closed);
        Assert.That(asked, Is.LessThanOrEqualTo(Threads + 2));
    }

    /// <summary>A source that waits for the outcome before it gives the next item, as a camera with a trigger does.</summary>
    [Test]
    public async Task AnOutcomeDoesNotWaitForTheNextItem()
    {
        using SemaphoreSlim trigger = new(1);
        int outcomes = 0;
        await foreach (DetectionOutcome<Image> outcome in detector.DetectStreamAsync(Triggered(), TinyModel.ClassName))
        {
            Assert.That(outcome.Succeeded);
            outcomes++;
            trigger.Release();
        }

        Assert.That(outcomes, Is.EqualTo(5));

        async IAsyncEnumerable<Image> Triggered()
        {
            for (int i = 0; i < 5; i++)
            {
                Assert.That(await trigger.WaitAsync(TimeSpan.FromMinutes(1)), "the outcome before is held back");
                yield return Picture(i);
            }
        }
    }

    [Test]
    public async Task NothingUsesTheSourceAfterItsEnd()
    {
        bool ended = false;
        int late = 0;
        await foreach (DetectionOutcome<int> _ in detector.DetectStreamAsync(Numbers(), Load, TinyModel.ClassName)) break;
        Assert.That((ended, late), Is.EqualTo((true, 0)));

        async IAsyncEnumerable<int> Numbers()
        {
            try
            {
                for (int i = 0; i < 100; i++)
                {
                    await Task.Yield();
                    yield return i;
                }
            }
            finally
            {
                ended = true;
            }
        }

        async ValueTask<Image> Load(int i, CancellationToken cancellationToken)
        {
            await Task.Delay(20, CancellationToken.None);
            if (ended) Interlocked.Increment(ref late);
            return Picture(i);
        }
    }

    [Test]
    public void ACancelledStreamNamesTheCallersToken()
    {
        using CancellationTokenSource stop = new();
        OperationCanceledException error = Assert.CatchAsync<OperationCanceledException>(async () =>
        {
            await foreach (DetectionOutcome<Image> _ in
                detector.DetectStreamAsync(Never(), TinyModel.ClassName, stop.Token)) { }
        }).GetAwaiter().GetResult()!;
        Assert.That(error.CancellationToken, Is.EqualTo(stop.Token));

        async IAsyncEnumerable<Image> Never([EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            yield return Picture(0);
            stop.CancelAfter(10);
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }
    }

    [Test]
    public async Task ABatchEndsNormallyWhenTheDetectorIsDisposed()
    {
        AnomalyDetector other = AnomalyDetector.Load(TinyModel.OfStoredClass().Open(), new DetectorOptions { Threads = 2 });
        Task? disposal = null;
        IReadOnlyList<DetectionOutcome<int>> outcomes = other.DetectBatch([.. Enumerable.Range(0, 12)], i =>
        {
            if (i == 4) disposal = other.DisposeAsync().AsTask();
            return Picture(i);
        }, TinyModel.ClassName);
        Assert.That(outcomes.Count(o => o.Succeeded), Is.EqualTo(12));
        await disposal!;
        Assert.That(() => other.DetectBatch([1], Picture), Throws.InstanceOf<ObjectDisposedException>());
    }

    /// <summary>Batches that block threads of the pool must not need further threads of the pool.</summary>
    [Test]
    public async Task ManyBatchesOnThePoolEnd()
    {
        Task<int>[] batches = [.. Enumerable.Range(0, 40).Select(_ => Task.Run(() =>
            detector.DetectBatch([1, 2, 3], Picture, TinyModel.ClassName).Count(o => o.Succeeded)))];
        Assert.That(await Task.WhenAll(batches).WaitAsync(TimeSpan.FromMinutes(2)), Is.All.EqualTo(3));
    }

    [Test]
    public void NothingIsAWrongArgument()
    {
        Assert.That(async () =>
        {
            await foreach (DetectionOutcome<Image> _ in detector.DetectStreamAsync(null!)) { }
        }, Throws.ArgumentNullException);
        Assert.That(() => detector.DetectBatch<int>([1], null!), Throws.ArgumentNullException);
    }
}
