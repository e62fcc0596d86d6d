using System.Runtime.InteropServices;
using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Graph;
using TinyZsad.Tests.Graph;

namespace TinyZsad.Tests.Cpu;

public sealed unsafe class RehearsalTests
{
    [Test]
    public void RunsAtAnyPrecision([Values] Precision precision) =>
        Assert.That(() => Rehearsal.Run(precision), Throws.Nothing);

    [Test]
    public void HasTheOperationsThatOurModelsSpendTheirTimeIn()
    {
        void* zeros = NativeMemory.AllocZeroed(Rehearsal.MostWeightBytes);
        using CpuPlan plan = Plans.Compile(Rehearsal.Network(zeros));
        Assert.That(plan.Phases.SelectMany(p => p.Steps).Select(s => s.Kind), Is.SupersetOf(new[]
        {
            "NormalizeImage", "Conv", "Bottleneck", "LayerNorm", "Linear", "Attention", "WindowAttention", "L2Normalize", "DotRows",
            "Bilinear", "Activation", "MeanRows", "TopKMean",
        }));
        Assert.That(plan.Graph.Operations.Max(o => o.WeightBytes), Is.LessThan(Rehearsal.MostWeightBytes));
        NativeMemory.Free(zeros);
    }
}
