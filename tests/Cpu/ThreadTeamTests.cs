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
