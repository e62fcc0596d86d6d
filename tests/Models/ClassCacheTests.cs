using NUnit.Framework;
using TinyZsad.Models;

namespace TinyZsad.Tests.Models;

[TestFixture]
public sealed class ClassCacheTests
{
    private static ClassEmbedding Make(string name) => new([name.Length], [-name.Length]);

    [Test]
    public void AClassIsComputedOnce()
    {
        ClassCache cache = new();
        ClassEmbedding first = cache.Get("nut", Make, default);
        Assert.That(cache.Get("nut", _ => throw new InvalidOperationException("again"), default), Is.SameAs(first));
        Assert.That(cache.Get("Nut", Make, default), Is.Not.SameAs(first), "names differ by case");
    }

    [Test]
    public void ManyWhoAskAtOnceShareOneComputation()
    {
        ClassCache cache = new();
        int computations = 0;
        using Barrier barrier = new(8);
        ClassEmbedding[] given = new ClassEmbedding[8];
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(i => new Thread(() =>
        {
            barrier.SignalAndWait();
            given[i] = cache.Get("nut", name =>
            {
                Interlocked.Increment(ref computations);
                Thread.Sleep(20);
                return Make(name);
            }, default);
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(computations, Is.EqualTo(1));
        Assert.That(given, Is.All.SameAs(given[0]));
    }

    [Test]
    public void OtherClassesDoNotWait()
    {
        ClassCache cache = new();
        using ManualResetEventSlim inside = new(), go = new();
        Thread slow = new(() => cache.Get("slow", name =>
        {
            inside.Set();
            go.Wait();
            return Make(name);
        }, default));
        slow.Start();
        inside.Wait();
        Assert.That(Ends.Eventually(() => cache.Get("quick", Make, default)).Normal, Is.EqualTo(new[] { 5f }));
        Assert.That(slow.IsAlive, "it was still being computed");
        go.Set();
        slow.Join();
    }

    [Test]
    public void TheClassUsedLongestAgoMakesRoom()
    {
        ClassCache cache = new();
        for (int i = 0; i < ClassCache.Capacity; i++) cache.Get($"class {i}", Make, default);
        cache.Get("class 0", Make, default);
        cache.Get("one more", Make, default);
        List<string> computed = [];
        ClassEmbedding Note(string name)
        {
            computed.Add(name);
            return Make(name);
        }
        for (int i = ClassCache.Capacity - 1; i >= 2; i--) cache.Get($"class {i}", Note, default);
        cache.Get("class 0", Note, default);
        cache.Get("one more", Note, default);
        Assert.That(computed, Is.Empty);
        cache.Get("class 1", Note, default);
        Assert.That(computed, Is.EqualTo(new[] { "class 1" }));
    }

    [Test]
    public void AFailureLeavesNothing()
    {
        ClassCache cache = new();
        ClassEmbedding good = cache.Get("good", Make, default);
        for (int i = 0; i < 2 * ClassCache.Capacity; i++)
            Assert.That(() => cache.Get($"bad {i}", _ => throw new FormatException(), default), Throws.InstanceOf<FormatException>());
        Assert.That(cache.Get("good", _ => throw new InvalidOperationException("failures took its place"), default), Is.SameAs(good));
        ClassEmbedding bad = cache.Get("bad 7", Make, default);
        Assert.That(bad.Normal, Is.EqualTo(new[] { 5f }), "asked again, it is tried again");
        Assert.That(cache.Get("bad 7", _ => throw new InvalidOperationException("computed again"), default), Is.SameAs(bad));
    }

    [Test]
    public void WhoWaitedForAFailureComputesAndKeepsTheResult()
    {
        ClassCache cache = new();
        using ManualResetEventSlim inside = new();
        Thread failing = new(() => Assert.That(() => cache.Get("nut", _ =>
        {
            inside.Set();
            Thread.Sleep(30);
            throw new OperationCanceledException();
        }, default), Throws.InstanceOf<OperationCanceledException>()));
        failing.Start();
        inside.Wait();
        ClassEmbedding embedding = cache.Get("nut", Make, default);
        failing.Join();
        Assert.That(cache.Get("nut", _ => throw new InvalidOperationException("computed again"), default), Is.SameAs(embedding));
    }

    [Test]
    public void AWaitIsCancelledWhileTheOtherComputes()
    {
        ClassCache cache = new();
        using ManualResetEventSlim inside = new(), go = new();
        ClassEmbedding? computed = null;
        Thread slow = new(() => computed = cache.Get("nut", name =>
        {
            inside.Set();
            go.Wait();
            return Make(name);
        }, default));
        slow.Start();
        inside.Wait();
        using CancellationTokenSource source = new(TimeSpan.FromMilliseconds(30));
        Assert.That(() => Ends.Eventually(() => cache.Get("nut", Make, source.Token)), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(slow.IsAlive, "the computation goes on");
        go.Set();
        slow.Join();
        Assert.That(cache.Get("nut", _ => throw new InvalidOperationException("computed again"), source.Token),
            Is.SameAs(computed), "what is known takes no wait");
    }

    [Test]
    public void ACancelledCallLeavesNothing()
    {
        ClassCache cache = new();
        ClassEmbedding good = cache.Get("good", Make, default);
        CancellationToken cancelled = new(canceled: true);
        for (int i = 0; i < 2 * ClassCache.Capacity; i++)
        {
            Assert.That(() => cache.Get($"class {i}", _ => throw new InvalidOperationException("computed"), cancelled),
                Throws.InstanceOf<OperationCanceledException>());
        }

        Assert.That(cache.Get("good", _ => throw new InvalidOperationException("displaced"), default), Is.SameAs(good));
        Assert.That(cache.Get("class 7", Make, default).Normal, Is.EqualTo(new[] { 7f }));
    }
}
