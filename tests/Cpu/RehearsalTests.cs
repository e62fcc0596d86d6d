using System.Runtime.InteropServices;
using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Graph;
using TinyZsad.Models;
using TinyZsad.Tests.Graph;
using TinyZsad.Tests.Models;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Cpu;

public sealed unsafe class RehearsalTests
{
    [Test]
    public void RunsAtAnyPrecision([Values] Precision precision) =>
        Assert.That(() => Rehearsal.Run(precision), Throws.Nothing);

    /// <summary>
    /// A step is compiled when its type, including the activations, is first used; a step of rows is compiled when its operation
    /// is first used. VisualAD is not checked: a detection takes seconds, so compiling its additional steps does not matter.
    /// </summary>
    [Test]
    public void HasEveryStepOfADetection([Values] Precision precision)
    {
        void* zeros = NativeMemory.AllocZeroed(Rehearsal.MostWeightBytes);
        using CpuPlan rehearsed = Plans.Compile(Rehearsal.Network(zeros), precision: precision);
        Assert.That(rehearsed.Graph.Operations.Max(o => o.WeightBytes), Is.LessThan(Rehearsal.MostWeightBytes));
        foreach (SafetensorsFile file in new[] { TinyModel.OfStoredClass().Open(), EdgeModel.Whole().Open() })
        {
            using AnomalySystem system = AnomalySystem.Load(file, Plans.Cpu());
            using CpuPlan plan = Plans.Compile(system.DetectionGraph(system.DefaultScore), precision: precision);
            Assert.That(Steps(plan), Is.SubsetOf(Steps(rehearsed)), system.Name);
        }
        NativeMemory.Free(zeros);
    }

    private static string[] Steps(CpuPlan plan) => [.. plan.Phases.SelectMany(p => p.Steps)
        .Select(s => $"{s.Kind} {string.Join(", ", Activations(s).Select(t => t.Name))}").Distinct()];

    private static Type[] Activations(Step step) =>
        [.. step.GetType().GenericTypeArguments, .. (step as RowsStep)?.CompiledFor?.GenericTypeArguments ?? []];
}
