using System.Runtime.CompilerServices;
using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Tests.Models;

namespace TinyZsad.Tests;

/// <summary>Pictures as they come: in order, one ahead, and what happens when either side stops.</summary>
[TestFixture]
public sealed class DetectorStreamTests
{
    private AnomalyDetector detector = null!;
    private int asked;
    private bool closed;

    [SetUp]
    public void Load()
    {
        detector = AnomalyDetector.Load(TinyModel.OfStoredClass().Open());
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
        await foreach (AnomalyResult result in detector.DetectStream(Source(count), TinyModel.ClassName))
        {
            Assert.That(result.PictureWidth, Is.EqualTo(8 + i));
            Assert.That(result.Map.Values.ToArray(),
                Is.EqualTo(detector.Detect(Picture(i), TinyModel.ClassName).Map.Values.ToArray()));
            i++;
            Assert.That(asked, Is.LessThanOrEqualTo(i + 1), "no more than one is asked for ahead");
        }
        Assert.That((i, closed), Is.EqualTo((count, true)));
    }

    [Test]
    public void AFailingSourceIsHeardOfAfterTheResultsBeforeIt([Values(0, 1, 3)] int failAt)
    {
        List<int> widths = [];
        Assert.That(async () =>
        {
            await foreach (AnomalyResult result in detector.DetectStream(Source(5, failAt), TinyModel.ClassName))
                widths.Add(result.PictureWidth);
        }, Throws.InstanceOf<IOException>().With.Message.EqualTo("the camera is gone"));
        Assert.That(widths, Is.EqualTo(Enumerable.Range(8, failAt)));
        Assert.That(closed);
    }

    [Test]
    public void AFailingDetectionIsHeardOf()
    {
        Assert.That(async () =>
        {
            await foreach (AnomalyResult _ in detector.DetectStream(Source(5), "unknown")) { }
        }, Throws.InstanceOf<ModelFormatException>());
        Assert.That(closed);
        Assert.That(asked, Is.LessThanOrEqualTo(2));
    }

    [Test]
    public void CancelledItStops()
    {
        using CancellationTokenSource cancellationToken = new();
        int results = 0;
        Assert.That(async () =>
        {
            await foreach (AnomalyResult _ in
                detector.DetectStream(Source(100), TinyModel.ClassName).WithCancellation(cancellationToken.Token))
            {
                if (++results == 3) cancellationToken.Cancel();
            }
        }, Throws.InstanceOf<OperationCanceledException>());
        Assert.That(results, Is.EqualTo(3));
        Assert.That(closed);
    }

    [Test]
    public async Task WhoStopsListeningStopsTheSource()
    {
        await foreach (AnomalyResult _ in detector.DetectStream(Source(100), TinyModel.ClassName)) break;
        Assert.That(closed);
        Assert.That(asked, Is.LessThanOrEqualTo(2));
    }

    [Test]
    public void NothingIsAWrongArgument() => Assert.That(async () =>
    {
        await foreach (AnomalyResult _ in detector.DetectStream(null!)) { }
    }, Throws.ArgumentNullException);
}
