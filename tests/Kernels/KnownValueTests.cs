using NUnit.Framework;
using TinyZsad.Formats;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// Tests the reference implementations against values from other sources, and tests invalid arguments. The kernel cases rely on
/// both.
/// </summary>
[TestFixture]
internal sealed unsafe class KnownValueTests
{
    [TestCase(0, 1)]
    [TestCase(0.5, 0.4795001221869535)]
    [TestCase(-1, 1.8427007929497148)]
    [TestCase(2.5, 0.00040695201744495894)]
    [TestCase(4, 1.541725790028002e-8)]
    public void Erfc(double x, double expected) =>
        Assert.That(VectorMath.Erfc(x), Is.EqualTo(expected).Within(1e-10).Percent);

    // Computed by hand from PyTorch's formulas.
    [TestCase(BilinearMode.HalfPixel, new[] { 0f, 1 }, new[] { 0f, 0.25f, 0.75f, 1 })]
    [TestCase(BilinearMode.HalfPixel, new[] { 0f, 1, 2, 3 }, new[] { 0.5f, 2.5f })]
    [TestCase(BilinearMode.HalfPixel, new[] { 3f }, new[] { 3f, 3, 3 })]
    [TestCase(BilinearMode.AlignCorners, new[] { 0f, 1 }, new[] { 0f, 0.25f, 0.5f, 0.75f, 1 })]
    [TestCase(BilinearMode.AlignCorners, new[] { 0f, 10, 40 }, new[] { 0f, 5, 10, 25, 40 })]
    [TestCase(BilinearMode.AlignCorners, new[] { 5f, 9 }, new[] { 5f })]
    public void BilinearPlaces(BilinearMode mode, float[] x, float[] expected)
    {
        float[] across = new float[expected.Length], down = new float[expected.Length];
        fixed (float* from = x, a = across, d = down)
        {
            Bilinear.Scalar(from, x.Length, 1, x.Length, a, expected.Length, 1, expected.Length, mode);
            Bilinear.Scalar(from, 1, x.Length, 1, d, 1, expected.Length, 1, mode);
        }
        Assert.That(across, Is.EqualTo(expected));
        Assert.That(down, Is.EqualTo(expected));
    }

    [TestCase(0)]
    [TestCase(4)]
    public void MeanOfTooFewOrTooMany(int k)
    {
        float* x = stackalloc float[3];
        ArgumentOutOfRangeException? error = null;
        try
        {
            TopKMean.Execute(x, 3, k);
        }
        catch (ArgumentOutOfRangeException e)
        {
            error = e;
        }
        Assert.That(error?.Message, Does.Contain("1 to 3"));
    }

    [TestCase(-1)]
    [TestCase(2)]
    [TestCase(int.MaxValue)]
    public void IndexOutsideTheTable(int index)
    {
        float* table = stackalloc float[2], y = stackalloc float[1];
        ArgumentOutOfRangeException? error = null;
        try
        {
            Gather.Execute(table, FloatType.F32, 1, 2, &index, 1, y, 1, 1);
        }
        catch (ArgumentOutOfRangeException e)
        {
            error = e;
        }
        Assert.That(error?.Message, Does.Contain("0 to 1"));
    }
}
