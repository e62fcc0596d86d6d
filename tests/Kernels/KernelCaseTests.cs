using System.Reflection;
using NUnit.Framework;
using TinyZsad.KernelCases;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>Tests that the list of cases leaves no kernel out.</summary>
public sealed class KernelCaseTests
{
    /// <summary>Parts of other kernels: the product of two rows in <see cref="DotSmall"/>, and a form of <see cref="Int8Tile"/>.</summary>
    private static readonly Type[] Parts = [typeof(Dot), typeof(Vnni512)];

    private static readonly KernelCase[] Typical = [.. KernelCase.All.Where(c => c.Typical)];

    public static IEnumerable<Type> AllKernels => typeof(Tile).Assembly.GetTypes().Where(t => t.IsAbstract && t.IsSealed
        && t.GetMethods(BindingFlags.Static | BindingFlags.Public).Any(m => m.Name is "Execute" or "Expand")).Except(Parts);

    public static IEnumerable<Type> Activations => typeof(Tile).Assembly.GetTypes()
        .Where(t => t.IsValueType && t.IsAssignableTo(typeof(IActivation)));

    [Test]
    public void KernelsAreFound() => Assert.That(AllKernels.Count(), Is.GreaterThan(25));

    [TestCaseSource(nameof(AllKernels))]
    public void EveryKernelHasACaseOfTheModels(Type kernel) =>
        Assert.That(Typical.Select(c => c.Kernel.Split(' ')[0]), Does.Contain(kernel.Name));

    [TestCaseSource(nameof(Activations))]
    public void EveryActivationHasACaseOfTheModels(Type activation) =>
        Assert.That(Typical.Select(c => c.Kernel), Does.Contain($"Activate {activation.Name}"));

    [Test]
    public void NamesAreUniqueAndWorkIsStated()
    {
        Assert.That(Typical.GroupBy(c => c.Name).Where(g => g.Count() > 1).Select(g => g.Key), Is.Empty);
        Assert.That(Typical.Where(c => c.Flops == 0 && c.Bytes == 0).Select(c => c.Name), Is.Empty);
    }

    /// <summary>Tests run what is only timed with other shapes.</summary>
    [Test]
    public void EveryKernelIsTested() =>
        Assert.That(Typical.Select(c => c.Kernel).Except(KernelCase.All.Where(c => !c.TimedOnly).Select(c => c.Kernel)), Is.Empty);
}
