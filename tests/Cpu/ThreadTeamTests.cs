using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Graph;
using TinyZsad.Tests.Graph;

namespace TinyZsad.Tests.Cpu;

[TestFixture, NonParallelizable]
public sealed class ThreadTeamTests
{
    [Test]
    public void EveryThreadIsCalledOnceWithItsNumber([Values(1, 2, 3, 8)] int size)
    {
        using ThreadTeam team = new(size);
        for (int round = 0; round < 200; round++)
        {
            int[] calls = new int[size];
            team.Run((worker, workers) =>
            {
                Assert.That(workers, Is.EqualTo(size));
                Interlocked.Increment(ref calls[worker]);
            });
            Assert.That(calls, Is.All.EqualTo(1));
        }
    }

    [Test]
    public void WhoFindsItBusyComputesAlone()
    {
        using ThreadTeam team = new(2);
        List<(int, int)> inner = [];
        team.Run((worker, _) =>
        {
            if (worker == 0) team.Run((w, n) => inner.Add((w, n)));
        });
        Assert.That(inner, Is.EqualTo(new[] { (0, 1) }));
    }

    [Test]
    public void ALoopCallsEachNumberOnce([Values(1, 2, 5)] int size, [Values(0, 1, 2, 100)] int count)
    {
        using ThreadTeam team = new(size);
        for (int round = 0; round < 50; round++)
        {
            int[] calls = new int[count];
            team.For(count, i => Interlocked.Increment(ref calls[i]));
            Assert.That(calls, Is.All.EqualTo(1));
        }
    }

    [Test]
    public void WhatALoopThrowsIsThrown([Values(1, 3)] int size)
    {
        using ThreadTeam team = new(size);
        Assert.That(() => team.For(100, i => throw new InvalidOperationException("item")), Throws.InvalidOperationException);
        int calls = 0;
        team.For(10, _ => Interlocked.Increment(ref calls));
        Assert.That(calls, Is.EqualTo(10));
    }

    /// <summary>A loop may take long; a job that finds the team in it must not compute alone.</summary>
    [Test]
    public void ALoopGivesTheTeamUpToAJob()
    {
        using ThreadTeam team = new(3);
        int[] calls = new int[1000];
        int workersOfJob = 0;
        Thread? job = null;
        team.For(calls.Length, i =>
        {
            if (Interlocked.Increment(ref calls[i]) == 1 && i == 5)
            {
                job = new Thread(() => team.Run((_, workers) => Volatile.Write(ref workersOfJob, workers)));
                job.Start();
            }

            if (i > 5) Thread.Sleep(1);
        });
        job!.Join();
        Assert.That(workersOfJob, Is.EqualTo(3));
        Assert.That(calls, Is.All.EqualTo(1));
    }

    [Test]
    public void DisposedItLoopsOnTheCallersThread()
    {
        ThreadTeam team = new(3);
        team.Dispose();
        int calls = 0;
        team.For(10, _ => calls++);
        Assert.That(calls, Is.EqualTo(10));
    }

    [Test]
    public void DisposedWhileBusyItEndsTheJobFirst()
    {
        for (int round = 0; round < 20; round++)
        {
            ThreadTeam team = new(4);
            using ManualResetEventSlim started = new(), go = new();
            int done = 0;
            Thread caller = new(() => team.Run((_, _) =>
            {
                started.Set();
                go.Wait();
                Interlocked.Increment(ref done);
            }));
            caller.Start();
            started.Wait();
            Thread disposer = new(team.Dispose);
            disposer.Start();
            Assert.That(disposer.Join(5), Is.False, "a job is under way");
            go.Set();
            disposer.Join();
            caller.Join();
            Assert.That(done, Is.EqualTo(4));
        }
    }

    [Test]
    public void DisposedItLeavesTheWorkToTheCaller()
    {
        ThreadTeam team = new(3);
        team.Dispose();
        team.Dispose();
        List<(int, int)> calls = [];
        team.Run((w, n) => calls.Add((w, n)));
        Assert.That(calls, Is.EqualTo(new[] { (0, 1) }));
    }

    [Test]
    public void DisposedWhileManyCallNothingIsLost()
    {
        for (int round = 0; round < 20; round++)
        {
            ThreadTeam team = new(3);
            int jobs = 0, whole = 0;
            Thread[] callers = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                for (int i = 0; i < 100; i++)
                {
                    int parts = 0, expected = 0;
                    team.Run((_, n) =>
                    {
                        Volatile.Write(ref expected, n);
                        Interlocked.Increment(ref parts);
                    });
                    Interlocked.Increment(ref jobs);
                    if (parts == expected) Interlocked.Increment(ref whole);
                }
            }))];
            foreach (Thread caller in callers) caller.Start();
            team.Dispose();
            foreach (Thread caller in callers) caller.Join();
            Assert.That((jobs, whole), Is.EqualTo((400, 400)));
        }
    }

    [TestCase(0)]
    [TestCase(-3)]
    public void ATeamOfNobodyIsRefused(int size) =>
        Assert.That(() => new ThreadTeam(size), Throws.InstanceOf<ArgumentOutOfRangeException>());
}
