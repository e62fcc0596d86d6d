using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Graph;

/// <summary>
/// Tests products of values, constants, softmax and Gaussian as operations of a graph: shapes, windows and errors.
/// </summary>
public sealed unsafe class ValueProductTests
{
    /// <summary>
    /// Computes softmax(c x yᵀ) y for a constant c in half precision and a window x, with different numbers of threads.
    /// </summary>
    [TestCase(1)]
    [TestCase(2)]
    public void They_compute_an_attention(int threads)
    {
        const int Rows = 37, Width = 20;
        Half[] half = [.. Enumerable.Range(0, 3 * 4).Select(i => (Half)Math.Sin(i))];
        ComputeGraph g = new();
        fixed (Half* p = half)
        {
            Value c = g.Constant(new Parameter("c", (nint)p, FloatType.F16, 3, 4));
            Value input = g.Input("x", 5, Width), y = g.Input("y", Rows, Width);
            Value x = g.Rows(input, 1, 4);
            g.Output("z", g.MatMul(g.Softmax(g.MatMul(g.MatMul(c, x), y, transposed: true)), y));
            using CpuPlan plan = Plans.Compile(g, threads: threads);
            using Run run = plan.Rent();
            float[] xs = [.. Enumerable.Range(0, 5 * Width).Select(i => MathF.Cos(i))],
                ys = [.. Enumerable.Range(0, Rows * Width).Select(i => MathF.Sin(0.3f * i * i))];
            xs.CopyTo(run.Floats("x"));
            ys.CopyTo(run.Floats("y"));
            run.Execute();
            for (int r = 0; r < 3; r++)
            {
                double[] cx = [.. Enumerable.Range(0, Width)
                    .Select(k => Enumerable.Range(0, 4).Sum(j => (double)half[4 * r + j] * xs[(1 + j) * Width + k]))];
                double[] e = [.. Enumerable.Range(0, Rows)
                    .Select(i => Math.Exp(cx.Select((v, k) => v * ys[i * Width + k]).Sum()))];
                for (int k = 0; k < Width; k++)
                {
                    Assert.That(run.Output("z")[r * Width + k],
                        Is.EqualTo(e.Select((w, i) => w / e.Sum() * ys[i * Width + k]).Sum()).Within(1e-5));
                }
            }
        }
    }

    [Test]
    public void What_does_not_fit_is_refused()
    {
        ComputeGraph g = new();
        Value a = g.Input("a", 3, 4), b = g.Input("b", 4, 6);
        Assert.That(g.MatMul(a, b).ToString(), Is.EqualTo("[3, 6]"));
        Assert.That(() => g.MatMul(b, a), Throws.ArgumentException);
        Assert.That(() => g.MatMul(a, b, transposed: true), Throws.ArgumentException);
        Assert.That(() => g.MatMul(a, g.Columns(b, 0, 4)), Throws.ArgumentException, "a window with gaps");
        Assert.That(() => g.Constant(new Parameter("c", 0, FloatType.F32, 3)), Throws.ArgumentException);
        Assert.That(() => g.GaussianBlur(a, 3, 4, 1), Throws.ArgumentException);
        Assert.That(() => g.GaussianBlur(g.Input("m", 12, 1), 3, 4, float.NaN), Throws.ArgumentException);
    }
}
