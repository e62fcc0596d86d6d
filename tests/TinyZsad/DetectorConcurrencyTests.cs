using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Tests.Models;

namespace TinyZsad.Tests;

/// <summary>One detector, many threads.</summary>
[TestFixture, NonParallelizable]
public sealed class DetectorConcurrencyTests
{
    private static readonly string[] Classes = [TinyModel.ClassName, "cable"];

    private static AnomalyDetector Load(int threads = 2) =>
        AnomalyDetector.Load(TinyModel.OfStoredClass(Classes).Open(), new DetectorOptions { Threads = threads });

    private static readonly Image[] Pictures = [.. Enumerable.Range(0, 5).Select(seed =>
    {
        byte[] pixels = new byte[3 * 90 * 60];
        new Random(seed).NextBytes(pixels);
        return Image.Create(90, 60, pixels);
    })];

    [Test]
    public void SixteenThreadsGetWhatOneGets()
    {
        using AnomalyDetector detector = Load();
        float[][] right = [.. Enumerable.Range(0, 10)
            .Select(i => detector.Detect(Pictures[i % 5], Classes[i / 5]).Map.Values.ToArray())];
        int wrong = 0;
        Together(16, thread =>
        {
            for (int i = 0; i < 20; i++)
            {
                int which = (thread * 7 + i) % 10;
                if (!detector.Detect(Pictures[which % 5], Classes[which / 5]).Map.Values.SequenceEqual(right[which]))
                    Interlocked.Increment(ref wrong);
            }
        });
        Assert.That(right[0], Is.Not.EqualTo(right[5]), "the classes differ");
        Assert.That(wrong, Is.Zero);
    }

    [Test]
    public void DisposedWhileManyDetectEachCallIsRightOrRefused()
    {
        float[] right;
        using (AnomalyDetector detector = Load()) right = detector.Detect(Pictures[0], Classes[0]).Map.Values.ToArray();
        int finished = 0, refused = 0, wrong = 0;
        for (int round = 0; round < 10; round++)
        {
            AnomalyDetector detector = Load();
            using Barrier barrier = new(9);
            Thread disposer = new(() =>
            {
                barrier.SignalAndWait();
                Thread.Sleep(round);
                detector.Dispose();
                detector.Dispose();
            });
            disposer.Start();
            Together(8, _ =>
            {
                barrier.SignalAndWait();
                try
                {
                    while (true)
                    {
                        if (detector.Detect(Pictures[0], Classes[0]).Map.Values.SequenceEqual(right))
                            Interlocked.Increment(ref finished);
                        else Interlocked.Increment(ref wrong);
                    }
                }
                catch (ObjectDisposedException)
                {
                    Interlocked.Increment(ref refused);
                }
            });
            disposer.Join();
        }
        Assert.That((wrong, refused), Is.EqualTo((0, 80)));
        Assert.That(finished, Is.Positive);
    }

    [Test]
    public void CancellingOneDoesNotDisturbTheOthers()
    {
        using AnomalyDetector detector = Load();
        float[] right = detector.Detect(Pictures[0], Classes[0]).Map.Values.ToArray();
        int wrong = 0;
        Together(6, thread =>
        {
            for (int i = 0; i < 20; i++)
            {
                using CancellationTokenSource source = new();
                if (thread % 2 == 0) source.CancelAfter(TimeSpan.FromMilliseconds(i % 3));
                try
                {
                    if (!detector.Detect(Pictures[0], Classes[0], source.Token).Map.Values.SequenceEqual(right))
                        Interlocked.Increment(ref wrong);
                }
                catch (OperationCanceledException) when (thread % 2 == 0) { }
            }
        });
        Assert.That(wrong, Is.Zero);
    }

    private static void Together(int count, Action<int> work)
    {
        Exception? failure = null;
        Thread[] threads = [.. Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            try
            {
                work(i);
            }
            catch (Exception e)
            {
                failure = e;
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(failure, Is.Null);
    }
}
