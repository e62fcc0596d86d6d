using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;
using TinyZsad.Tests.Graph;

namespace TinyZsad.Tests.Cpu;

/// <summary>Tests plans whose linear layers are computed with 8-bit integers.</summary>
[TestFixture, NonParallelizable]
internal sealed class Int8PlanTests
{
    private const int Rows = 50, Columns = 96;

    private static readonly Dictionary<string, Array> X = new() { ["x"] = Numbers.Random(1, Rows * Columns) };

    private static CpuPlan Compile(ComputeGraph g, Func<Tap, bool>? demanded = null, int threads = 2) =>
        Plans.Compile(g, demanded, precision: Precision.Int8, threads: threads);

    /// <summary>Creates two transformer blocks with shared inputs, in-place residuals, windows and activations.</summary>
    private static ComputeGraph Network()
    {
        ComputeGraph g = new();
        Parameter norm = Numbers.Weight("norm", 1, Columns);
        Value x = g.Input("x", Rows, Columns);
        for (int i = 0; i < 2; i++)
        {
            Value n = g.LayerNorm(x, norm, norm, 1e-5f),
                qkv = g.Linear(n, Numbers.Weight("qkv", 10 * i, 3 * Columns, Columns), Numbers.Weight("b", 5, 3 * Columns));
            x = g.Add(x, g.Linear(g.Attention(g.Columns(qkv, 0, Columns), g.Columns(qkv, Columns, Columns),
                g.Columns(qkv, 2 * Columns, Columns), 4), Numbers.Weight("o", 10 * i + 1, Columns, Columns)));
            Value m = g.Activate(g.Linear(g.LayerNorm(x, norm, norm, 1e-5f), Numbers.Weight("up", 10 * i + 2, 130, Columns)),
                ActivationKind.Gelu);
            x = g.Add(x, g.Linear(m, Numbers.Weight("down", 10 * i + 3, Columns, 130)));
        }
        g.Tap("end", x);
        g.Output("y", x);
        return g;
    }

    [Test]
    public void ALayerErrsByNoMoreThanItsSteps([Values(WeightLayout.OutIn, WeightLayout.InOut)] WeightLayout layout)
    {
        const int outputs = 70;
        ComputeGraph g = new();
        float[] x = Numbers.Random(2, Rows * Columns), w = Numbers.Random(3, outputs * Columns);
        x[7] = 40;
        g.Output("y", g.Linear(g.Input("x", Rows, Columns),
            Numbers.Weight("w", w, layout == WeightLayout.OutIn ? [outputs, Columns] : [Columns, outputs]), layout: layout));
        using CpuPlan plan = Compile(g);
        Assert.That(Plans.Kinds(plan), Is.EqualTo(new[] { "Quantize", "Int8Linear" }));
        float[] y = Plans.Run(plan, new Dictionary<string, Array> { ["x"] = x })["out.y"];
        double largest = 0;
        for (int r = 0; r < Rows; r++)
        {
            for (int c = 0; c < outputs; c++)
            {
                double exact = 0, sumX = 0, sumW = 0, s = 0, t = 0;
                for (int k = 0; k < Columns; k++)
                {
                    double a = x[r * Columns + k], b = layout == WeightLayout.OutIn ? w[c * Columns + k] : w[k * outputs + c];
                    (exact, sumX, sumW, s, t) = (exact + a * b, sumX + Math.Abs(a), sumW + Math.Abs(b),
                        Math.Max(s, Math.Abs(a) / 127), Math.Max(t, Math.Abs(b) / 127));
                }
                double error = Math.Abs(y[r * outputs + c] - exact);
                Assert.That(error, Is.LessThanOrEqualTo(0.501 * (t * sumX + s * sumW) + 0.26 * Columns * s * t + 1e-5),
                    $"[{r}, {c}]");
                if (r > 0) largest = Math.Max(largest, error);
            }
        }

        Assert.That(largest, Is.InRange(1e-3, 0.2), "it is coarse, but where no number dwarfs the others not very");
    }

    [Test]
    public void OneQuantisationServesAllThatReadAValue()
    {
        ComputeGraph g = new();
        Value x = g.Input("x", Rows, Columns);
        for (int i = 0; i < 3; i++) g.Output($"y{i}", g.Linear(x, Numbers.Weight("w", i, Columns, Columns)));
        using CpuPlan plan = Compile(g);
        Assert.That(Plans.Kinds(plan), Is.EqualTo(new[] { "Quantize", "Int8Linear", "Int8Linear", "Int8Linear" }));
        Assert.That(plan.Phases, Has.Count.EqualTo(2));
        Assert.That(plan.WeightBytes, Is.InRange(3 * Columns * Columns, 3 * Columns * (Columns + 16)),
            "a byte a weight, and what an output needs");
    }

    [TestCase(15, 64, 64, false)]
    [TestCase(16, 63, 64, false)]
    [TestCase(16, 64, 63, false)]
    [TestCase(16, 64, 64, true)]
    public void SmallLayersAndThoseOfTheTrunkStayInFloats(int rows, int inputs, int outputs, bool large)
    {
        ComputeGraph g = new();
        Value x = g.Input("x", rows, inputs);
        g.Output("y", g.Linear(x, Numbers.Weight("w", 1, outputs, inputs)));
        using CpuPlan plan = Compile(g), floats = Plans.Compile(g);
        Assert.That(Plans.Kinds(plan), Is.EqualTo(large ? new[] { "Quantize", "Int8Linear" } : ["Linear"]));
        Assert.That((Plans.Kinds(floats), floats.WeightBytes), Is.EqualTo((new[] { "Linear" }, 0L)));

        ComputeGraph trunk = new();
        trunk.Output("y", trunk.Activate(trunk.Linear(trunk.Input("x", rows, inputs), Numbers.Weight("w", 1, outputs, inputs),
            trunk: true), ActivationKind.Gelu));
        using CpuPlan kept = Compile(trunk);
        Assert.That(Plans.Kinds(kept), Is.EqualTo(new[] { "Linear" }), "fused or not");
    }

    [Test]
    public void ANetworkIsNearItsFloatsAndTheSameOnAnyNumberOfThreads()
    {
        ComputeGraph g = Network();
        float[] floats = Plans.Run(Plans.Compile(g, threads: 1), X)["out.y"],
            tapped = Plans.Run(Compile(g, _ => true), X)["end"];
        using CpuPlan plan = Compile(g, threads: 1);
        float[] alone = Plans.Run(plan, X)["out.y"];
        Assert.That(Plans.Kinds(plan).Count(k => k == "Int8Linear"), Is.EqualTo(8));
        Assert.That(tapped, Is.EqualTo(alone), "a tap changes nothing");
        foreach (int threads in new[] { 2, 3, 5, 8 })
        {
            Assert.That(Plans.Run(Compile(g, threads: threads), X)["out.y"], Is.EqualTo(alone),
                $"{threads} threads");
        }
        // Uniform numbers quantized in 127 steps have a relative error of 1 / (127 sqrt 4), for inputs and weights alike: 0.6 %
        // per layer. With four consecutive layers in each of two blocks, this gives 1.6 %. Twice that is allowed.
        double error = Math.Sqrt(alone.Zip(floats, (a, b) => Math.Pow(a - b, 2)).Sum() / floats.Sum(v => (double)v * v));
        Assert.That(error, Is.InRange(1e-4, 0.032));
    }

    [Test]
    public void WhatIsNotANumberIsPassedOn()
    {
        ComputeGraph g = new();
        g.Output("y", g.Linear(g.Input("x", Rows, Columns), Numbers.Weight("w", 1, 64, Columns)));
        float[] x = Numbers.Random(1, Rows * Columns);
        x[3 * Columns + 5] = float.NaN;
        x[9 * Columns + 95] = float.NegativeInfinity;
        using CpuPlan plan = Compile(g);
        float[] y = Plans.Run(plan, new Dictionary<string, Array> { ["x"] = x })["out.y"];
        for (int i = 0; i < y.Length; i++) Assert.That(float.IsNaN(y[i]), Is.EqualTo(i / 64 is 3 or 9), $"[{i / 64}, {i % 64}]");
    }

    [Test]
    public void ExecutingAllocatesNothing()
    {
        using CpuPlan plan = Compile(Network(), threads: 1);
        using Run run = plan.Rent();
        Plans.Fill(run, X);
        for (int i = 0; i < 200; i++) run.Execute();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) run.Execute();
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }

    [Test]
    public void APlanDisposedOfRefusesWork()
    {
        CpuPlan plan = Compile(Network());
        Run run = plan.Rent();
        plan.Dispose();
        plan.Dispose();
        Assert.That(() => run.Execute(), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(() => plan.Rent(), Throws.InstanceOf<ObjectDisposedException>());
        run.Dispose();
    }

    [Test]
    public void WeightsOverTheSameMemoryArePackedOnce()
    {
        Parameter w = Numbers.Weight("w", 1, Columns, Columns), same = new("other name", w.Address, w.Type, Columns, Columns);
        ComputeGraph one = new(), two = new();
        one.Output("y", one.Linear(one.Input("x", Rows, Columns), w));
        Value x = two.Input("x", Rows, Columns);
        two.Output("y", two.Linear(x, w));
        two.Output("z", two.Linear(x, same));
        two.Output("turned", two.Linear(x, same, layout: WeightLayout.InOut));
        using CpuPlan first = Compile(one), second = Compile(two);
        Assert.That(second.WeightBytes, Is.EqualTo(2 * first.WeightBytes), "once in each layout");
        Dictionary<string, float[]> given = Plans.Run(second, X);
        Assert.That(given["out.z"], Is.EqualTo(given["out.y"]));
        Assert.That(given["out.turned"], Is.Not.EqualTo(given["out.y"]));
    }
}
