using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Graph;
using TinyZsad.Tests.Graph;

namespace TinyZsad.Tests.Cpu;

/// <summary>Tests the lifecycle of a run: canceled, failing, shared by several callers, profiled, returned.</summary>
[TestFixture, NonParallelizable]
public sealed class CpuRunTests
{
    private const int Layers = 12, Rows = 64, Columns = 64;

    private static readonly Dictionary<string, Array> X = new() { ["x"] = Numbers.Random(1, Rows * Columns) };

    /// <summary>Creates a few layers, each of which can be tapped, with attention between them.</summary>
    private static ComputeGraph Network()
    {
        ComputeGraph g = new();
        Parameter norm = Numbers.Weight("norm", 1, Columns);
        Value x = g.Rows(g.PrependRows(g.Input("x", Rows, Columns), norm), 1, Rows);
        for (int i = 0; i < Layers; i++)
        {
            Value n = g.LayerNorm(x, norm, norm, 1e-5f);
            x = g.Add(x, g.Linear(g.Attention(n, n, n, 4), Numbers.Weight($"w{i}", i, Columns, Columns)));
            g.Tap($"layer{i}", x);
        }
        g.Output("y", x);
        return g;
    }

    private static readonly CpuPlan Plan = Plans.Compile(Network());

    private static readonly float[] Right = Plans.Run(Plans.Compile(Network(), threads: 1), X)["out.y"];

    private static CpuPlan Tapped(int threads) => Plans.Compile(Network(), _ => true, threads: threads);

    [Test]
    public void CancelledOnTheWayItStopsAndCanBeUsedAgain([Values(1, 2, 4)] int threads)
    {
        using CpuPlan plan = Tapped(threads);
        using Run run = plan.Rent();
        for (int at = 0; at < Layers - 1; at++)
        {
            using CancellationTokenSource source = new();
            List<string> seen = [];
            Plans.Fill(run, X);
            Assert.That(() => run.Execute((tap, _) =>
            {
                seen.Add(tap.Name);
                if (tap.Name == $"layer{at}") source.Cancel();
            }, cancellationToken: source.Token), Throws.InstanceOf<OperationCanceledException>());
            Assert.That(seen, Has.Count.LessThanOrEqualTo(at + 2), "it went on long after");
        }
        Assert.That(Plans.Execute(run, plan, X)["out.y"], Is.EqualTo(Right));
    }

    [Test]
    public void CancelledBeforeItDoesNothing()
    {
        using CpuPlan plan = Tapped(2);
        using Run run = plan.Rent();
        int taps = 0;
        Assert.That(() => run.Execute((_, _) => taps++, cancellationToken: new CancellationToken(true)),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(taps, Is.Zero);
    }

    [Test]
    public void AFailingReceiverIsHeardOfAndTheRunUsableAfter([Values(1, 2, 4)] int threads)
    {
        using CpuPlan plan = Tapped(threads);
        using Run run = plan.Rent();
        for (int at = 0; at < Layers; at++)
        {
            Plans.Fill(run, X);
            Assert.That(() => run.Execute((tap, _) =>
            {
                if (tap.Name == $"layer{at}") throw new FormatException("no room");
            }), Throws.InvalidOperationException.With.InnerException.InstanceOf<FormatException>()
                .And.Message.Contains("no room"));
        }
        Assert.That(Plans.Execute(run, plan, X)["out.y"], Is.EqualTo(Right));
    }

    [TestCase(-1)]
    [TestCase(8)]
    [TestCase(int.MinValue)]
    [TestCase(1 << 28)]
    public void ARowNumberOutsideTheTableIsAnErrorAndNoRead(int bad)
    {
        foreach (Device device in new Device[] { Plans.Cpu(), Plans.Reference })
        {
            RowNumberOutside(device, bad, (g, numbers) => g.GatherRows(g.Input("x", 8, 16), numbers));
            RowNumberOutside(device, bad, (g, numbers) => g.Embedding(numbers, Numbers.Weight("table", 1, 8, 16)));
        }
    }

    private static void RowNumberOutside(Device device, int bad, Func<ComputeGraph, Value, Value> build)
    {
        ComputeGraph g = new();
        g.Output("y", build(g, g.Input("rows", 4, 1, ValueKind.Int)));
        using Plan plan = device.Compile(g);
        using Run run = plan.Rent();
        run.Ints("rows").Fill(3);
        run.Ints("rows")[2] = bad;
        Assert.That(() => run.Execute(),
            Throws.InvalidOperationException.With.InnerException.InstanceOf<ArgumentOutOfRangeException>());
        run.Ints("rows").Fill(3);
        Assert.That(() => run.Execute(), Throws.Nothing);
    }

    [Test]
    public void AFailingReceiverIsHeardOfOnEveryDevice()
    {
        foreach (Device device in new Device[] { Plans.Cpu(), Plans.Reference })
        {
            using Plan plan = device.Compile(Network(), new CompileOptions { Demanded = _ => true });
            using Run run = plan.Rent();
            Plans.Fill(run, X);
            Assert.That(() => run.Execute((_, _) => throw new FormatException("no room")),
                Throws.InvalidOperationException.With.InnerException.InstanceOf<FormatException>());
        }
    }

    [Test]
    public void AProfileOfAnotherPlanIsRefused()
    {
        using CpuPlan other = Plans.Compile(Network());
        using Run run = Plan.Rent();
        Assert.That(() => run.Execute(profile: new PlanProfile(other)), Throws.ArgumentException);
        Assert.That(() => run.Execute(profile: new PlanProfile(Plan)), Throws.Nothing);
    }

    [Test]
    public void AGraphThatOnlyHandsItsInputOnNeedsNoOperation()
    {
        foreach (Device device in new Device[] { Plans.Cpu(), Plans.Reference })
        {
            ComputeGraph g = new();
            g.Output("y", g.Input("x", 2, 3));
            using Plan plan = device.Compile(g);
            Assert.That(Plans.Run(plan, new Dictionary<string, Array> { ["x"] = new float[] { 1, 2, 3, 4, 5, 6 } })["out.y"],
                Is.EqualTo(new float[] { 1, 2, 3, 4, 5, 6 }));
        }
    }

    [Test]
    public void ExecutingAllocatesNothing([Values(1, 2)] int threads)
    {
        using CpuPlan plan = Plans.Compile(Network(), threads: threads);
        using Run run = plan.Rent();
        PlanProfile profile = new(plan);
        for (int i = 0; i < 200; i++) run.Execute(profile: profile);

        const int Runs = 100;
        long here = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Runs; i++) run.Execute(profile: profile);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - here, Is.Zero, "on the calling thread");

        // This counts the whole process, and other threads may allocate. One attempt without allocations is sufficient proof.
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 20 && least > 0; attempt++)
        {
            long everywhere = GC.GetTotalAllocatedBytes(precise: true);
            for (int i = 0; i < 10; i++) run.Execute(profile: profile);
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - everywhere);
        }
        Assert.That(least, Is.Zero, "on all threads");
    }

    [Test]
    public void ManyExecuteOnePlanWithOneTeam()
    {
        using CpuPlan plan = Plans.Compile(Network(), threads: 3);
        int wrong = 0;
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 40; i++)
            {
                using Run run = plan.Rent();
                Plans.Fill(run, X);
                run.Execute();
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
        CpuPlan plan = Plans.Compile(Network());
        Run first = plan.Rent();
        first.Dispose();
        first.Dispose();
        using Run a = plan.Rent(), b = plan.Rent();
        Assert.That(a, Is.SameAs(first));
        Assert.That(b, Is.Not.SameAs(a));
    }

    [Test]
    public void ARunGivenBackRefusesWork()
    {
        CpuPlan plan = Plans.Compile(Network());
        Run run = plan.Rent();
        run.Dispose();
        Assert.That(() => run.Execute(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => run.Floats("x").Length, Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => run.Output("y").Length, Throws.InstanceOf<ObjectDisposedException>());
        plan.Trim();
        Assert.That(() => run.Floats("x").Length, Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public void AnInputIsAskedForByItsType()
    {
        using Run run = Plan.Rent();
        Assert.That(() => run.Bytes("x").Length, Throws.ArgumentException.With.Message.Contains("'x'"));
        Assert.That(() => run.Ints("x").Length, Throws.ArgumentException);
        Assert.That(() => run.Floats("z").Length, Throws.ArgumentException.With.Message.Contains("'z'"));
        Assert.That(() => run.Output("z").Length, Throws.ArgumentException.With.Message.Contains("it has y"));
    }

    [Test]
    public void AProfileAddsUpToTheTimeThatPassed()
    {
        using Run run = Plan.Rent();
        PlanProfile profile = new(Plan);
        // The entries do not include the start and end of a run, nor the time that other processes take there. One series of runs
        // in which the entries make up the larger part is sufficient proof.
        bool near = false;
        int runs = 0;
        long total = 0;
        while (!near && runs < 2000)
        {
            long start = System.Diagnostics.Stopwatch.GetTimestamp(), before = total;
            for (int i = 0; i < 20; i++) run.Execute(profile: profile);
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
