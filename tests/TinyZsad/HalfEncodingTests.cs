using System.Runtime.InteropServices;
using NUnit.Framework;
using TinyZsad.Conversion;
using TinyZsad.Tests.Weights;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>Which values FP16 holds, and how the others are counted, at every threshold.</summary>
[TestFixture]
public sealed class HalfEncodingTests
{
    // overflowing, flushed, coarse
    [TestCase(65519.999, 1, 0, 0, 0)]
    [TestCase(65520, 1, 1, 0, 0)]
    [TestCase(-1e300, 1, 1, 0, 0)]
    [TestCase(0, 1, 0, 0, 0)]
    [TestCase(-0.0, 1, 0, 0, 0)]
    [TestCase(2.98023223876953125e-8, 1, 0, 1, 0, Description = "2^-25, a tie with zero")]
    [TestCase(2.98023224e-8, 1, 0, 0, 1, Description = "a little more")]
    [TestCase(-1e-320, 1, 0, 1, 0)]
    [TestCase(5.9604644775390625e-8, 1, 0, 0, 0, Description = "2^-24, FP16's least")]
    [TestCase(1e-5, 4, 0, 0, 4)]
    [TestCase(6.103515625e-5, 4, 0, 0, 0, Description = "2^-14, FP16's least normal number")]
    [TestCase(0.1, 4, 0, 0, 0)]
    public void Losses_are_counted(double value, int count, int overflowing, int flushed, int coarse)
    {
        using Checkpoint checkpoint = Of([count], [.. Enumerable.Repeat(value, count)]);
        HalfLoss? loss = HalfEncoding.Examine(Draft(checkpoint));
        if (overflowing + flushed + coarse == 0) Assert.That(loss, Is.Null);
        else Assert.That(loss, Is.EqualTo(new HalfLoss("model.w", count, overflowing, flushed, coarse, 0, value)));
    }

    [Test]
    public void Small_elements_of_a_matrix_may_be_coarse()
    {
        using Checkpoint checkpoint = Of([2, 2], [1e-5, 1e-5, 1e-9, 1]);
        Assert.That(HalfEncoding.Examine(Draft(checkpoint)), Is.EqualTo(new HalfLoss("model.w", 4, 0, 1, 0, 2, 1e-9)));
    }

    /// <summary>.NET's own rounding of single values, which is exact, against what the stream receives in portions.</summary>
    [Test]
    public void Every_element_is_rounded_once_whatever_its_place()
    {
        Random random = new(1);
        double[] values = [1 + Math.Pow(2, -11) + Math.Pow(2, -40), 1 + Math.Pow(2, -11), .. Enumerable.Range(0, 200_000)
            .Select(_ => (random.NextDouble() - 0.5) * Math.Pow(2, random.Next(-20, 16)))];
        using Checkpoint checkpoint = Of([values.Length], values);
        Half[] halves = Written<Half>(HalfEncoding.Declare(Draft(checkpoint), ElementType.F16));
        Assert.That(halves[..2], Is.EqualTo(new[] { (Half)(1 + Math.Pow(2, -10)), (Half)1 }));
        Assert.That(halves, Is.EqualTo(values.Select(v => (Half)v)));
        float[] floats = Written<float>(HalfEncoding.Declare(Draft(checkpoint), ElementType.F32));
        Assert.That(floats, Is.EqualTo(values.Select(v => (float)v)));
    }

    private static Checkpoint Of(long[] shape, double[] values) => Checkpoint.Open(
        TestFiles.Written([TensorDeclaration.FromValues<double>("w", [.. shape], values)]), "w.safetensors");

    private static DraftTensor Draft(Checkpoint checkpoint) => new("model.w", checkpoint.Tensors[0]);

    private static T[] Written<T>(TensorDeclaration tensor) where T : unmanaged
    {
        using SafetensorsFile file = SafetensorsFile.Open(TestFiles.Written([tensor]), "written");
        return MemoryMarshal.Cast<byte, T>(file.Tensors[0].AsBytes()).ToArray();
    }
}
