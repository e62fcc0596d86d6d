using NUnit.Framework;
using TinyZsad.Graph;

namespace TinyZsad.Tests.Graph;

/// <summary>A run's life: cancelled, failing, used by many, measured, given back.</summary>
[TestFixture, NonParallelizable]
public sealed class CpuRunTests
{
    private const int Layers = 12, Rows = 64, Columns = 64;

    private static readonly Dictionary<string, Array> X = new() { ["x"] = Numbers.Random(1, Rows * Columns) };

    /// <summary>A few layers, each of which can be tapped, and attention between them.</summary>
    private static ComputeGraph Network()
    {
        ComputeGraph g = new();
        Parameter norm = Numbers.Weight("norm", 1, Columns);
        Value x = g.Input("x", Rows, Columns);
        for (int i = 0; i < Layers; i++)
        {
            Value n = g.LayerNorm(x, norm, norm, 1e-5f);
            x = g.Add(x, g.Linear(g.Attention(n, n, n, 4), Numbers.Weight($"w{i}", i, Columns, Columns)));
            g.Tap($"layer{i}", x);
        }
        g.Output("y", x);
        return g;
    }

    private static readonly CpuPlan Plan = CpuPlan.Compile(Network()), Tapped = CpuPlan.Compile(Network(), _ => true);

    private static readonly float[] Right = PlanRunner.Run(Plan, X, 1)["out.y"];

    private static float[] Again(CpuRun run, ThreadTeam team) => PlanRunner.Execute(run, Tapped, X, team)["out.y"];

    [Test]
    public void CancelledOnTheWayItStopsAndCanBeUsedAgain([Values(1, 2, 4)] int threads)
    {
        using ThreadTeam team = new(threads);
        using CpuRun run = Tapped.Rent(threads);
        for (int at = 0; at < Layers - 1; at++)
        {
            using CancellationTokenSource cancellation = new();
            List<string> seen = [];
            PlanRunner.Fill(run, X);
            Assert.That(() => run.Execute(team, (tap, _) =>
            {
                seen.Add(tap.Name);
                if (tap.Name == $"layer{at}") cancellation.Cancel();
            }, cancellation: cancellation.Token), Throws.InstanceOf<OperationCanceledException>());
            Assert.That(seen, Has.Count.LessThanOrEqualTo(at + 2), "it went on long after");
        }
        Assert.That(Again(run, team), Is.EqualTo(Right));
    }

    [Test]
    public void CancelledBeforeItDoesNothing()
    {
        using ThreadTeam team = new(2);
        using CpuRun run = Tapped.Rent(2);
        int taps = 0;
        Assert.That(() => run.Execute(team, (_, _) => taps++, cancellation: new CancellationToken(true)),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(taps, Is.Zero);
    }

    [Test]
    public void AFailingReceiverIsHeardOfAndTheRunUsableAfter([Values(1, 2, 4)] int threads)
    {
        using ThreadTeam team = new(threads);
        using CpuRun run = Tapped.Rent(threads);
        for (int at = 0; at < Layers; at++)
        {
            PlanRunner.Fill(run, X);
            Assert.That(() => run.Execute(team, (tap, _) =>
            {
                if (tap.Name == $"layer{at}") throw new FormatException("no room");
            }), Throws.InvalidOperationException.With.InnerException.InstanceOf<FormatException>()
                .And.Message.Contains("no room"));
        }
        Assert.That(Again(run, team), Is.EqualTo(Right));
    }

    [TestCase(-1)]
    [TestCase(8)]
    [TestCase(int.MinValue)]
    public void ARowNumberOutsideTheTableIsAnErrorAndNoRead(int bad)
    {
        ComputeGraph g = new();
        g.Output("y", g.GatherRows(g.Input("x", 8, 16), g.Input("rows", 4, 1, ValueKind.Int)));
        CpuPlan plan = CpuPlan.Compile(g);
        using ThreadTeam team = new(2);
        using CpuRun run = plan.Rent(2);
        run.Ints("rows").Fill(3);
        run.Ints("rows")[2] = bad;
        Assert.That(() => run.Execute(team),
            Throws.InvalidOperationException.With.InnerException.InstanceOf<ArgumentOutOfRangeException>());
        run.Ints("rows").Fill(3);
        Assert.That(() => run.Execute(team), Throws.Nothing);
    }

    [Test]
    public void ExecutingAllocatesNothing([Values(1, 2)] int threads)
    {
        using ThreadTeam team = new(threads);
        using CpuRun run = Plan.Rent(threads);
        PlanProfile profile = new(Plan);
        for (int i = 0; i < 200; i++) run.Execute(team, profile: profile);

        const int Runs = 100;
        long here = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Runs; i++) run.Execute(team, profile: profile);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - here, Is.Zero, "on the calling thread");

        // The whole process counts here, and others of it may allocate: one stretch without is proof.
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 20 && least > 0; attempt++)
        {
            long everywhere = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < 10; i++) run.Execute(team, profile: profile);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - everywhere);
        }
        Assert.That(least, Is.Zero, "on all threads");
    }

    [Test]
    public void ManyExecuteOnePlanWithOneTeam()
    {
        using ThreadTeam team = new(3);
        int wrong = 0;
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 40; i++)
            {
                using CpuRun run = Plan.Rent(3);
                PlanRunner.Fill(run, X);
                run.Execute(team);
                if (!run.Output("y").SequenceEqual(Right)) Interlocked.Increment(ref wrong);
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.That(wrong, Is.Zero);
    }

    [Test]
    public void ARunGivenBackIsRentedToOneCallerOnly()
    {
        CpuPlan plan = CpuPlan.Compile(Network());
        CpuRun first = plan.Rent(2);
        first.Dispose();
        first.Dispose();
        using CpuRun a = plan.Rent(2), b = plan.Rent(2);
        Assert.That(a, Is.SameAs(first));
        Assert.That(b, Is.Not.SameAs(a));
    }

    [Test]
    public void ARunGivenBackRefusesWork()
    {
        CpuPlan plan = CpuPlan.Compile(Network());
        using ThreadTeam team = new(1);
        CpuRun run = plan.Rent(1);
        run.Dispose();
        Assert.That(() => run.Execute(team), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => run.Floats("x").Length, Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => run.Output("y").Length, Throws.InstanceOf<ObjectDisposedException>());
        plan.Trim();
        Assert.That(() => run.Floats("x").Length, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void ARunForFewThreadsIsNotGivenToMany()
    {
        CpuPlan plan = CpuPlan.Compile(Network());
        plan.Rent(1).Dispose();
        using ThreadTeam team = new(4);
        using CpuRun run = plan.Rent(4);
        Assert.That(() => run.Execute(team), Throws.Nothing);
        using CpuRun small = CpuPlan.Compile(Network()).Rent(2);
        Assert.That(() => small.Execute(team), Throws.ArgumentException.With.Message.Contains("2 threads"));
        Assert.That(() => plan.Rent(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void AnInputIsAskedForByItsType()
    {
        using CpuRun run = Plan.Rent(1);
        Assert.That(() => run.Bytes("x").Length, Throws.ArgumentException.With.Message.Contains("'x'"));
        Assert.That(() => run.Ints("x").Length, Throws.ArgumentException);
        Assert.That(() => run.Floats("z").Length, Throws.InstanceOf<KeyNotFoundException>());
    }

    [Test]
    public void AProfileAddsUpToTheTimeThatPassed()
    {
        using ThreadTeam team = new(2);
        using CpuRun run = Plan.Rent(2);
        PlanProfile profile = new(Plan);
        // Starting and ending a run is outside the entries, and so is what others of the machine take there: one stretch of runs
        // of which the entries are the larger part is proof.
        bool near = false;
        int runs = 0;
        long total = 0;
        while (!near && runs < 2000)
        {
            long start = System.Diagnostics.Stopwatch.GetTimestamp(), before = total;
            for (int i = 0; i < 20; i++) run.Execute(team, profile: profile);
            long passed = System.Diagnostics.Stopwatch.GetElapsedTime(start).Ticks;
            runs += 20;
            total = profile.Entries.Sum(e => e.Time.Ticks) * runs;
            // Entries are means, rounded to 100 ns.
            Assert.That(total - before, Is.LessThanOrEqualTo(passed + runs * profile.Entries.Count));
            near = total - before > passed / 2;
        }
        Assert.That(near, "the entries tell of less than half of the time");
        Assert.That(profile.Runs, Is.EqualTo(runs));
        Assert.That(profile.Entries, Has.Count.EqualTo(Plan.Phases.Count));
        Assert.That(profile.Entries.Sum(e => e.Flops),
            Is.EqualTo(Layers * (2L * Rows * Columns * Columns + 4L * Rows * Rows * Columns)));
        Assert.That(profile.Entries.Sum(e => e.Bytes), Is.GreaterThan(Layers * Columns * Columns * 4L));
    }
}
