using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Formats;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>elementwise.ptx</c>. e = 2^-24 is half an ulp of a float relative to it.</summary>
[TestFixture]
internal sealed class ElementwiseKernelTests
{
    private static readonly (int Rows, int Columns, int Batch, int Gap)[] Shapes =
        [(1, 1, 1, 0), (3, 31, 3, 1), (2, 32, 1, 4), (1, 33, 3, 0), (3, 127, 1, 1), (2, 128, 3, 4), (3, 129, 1, 3), (2, 1025, 1, 0)];

    private static readonly bool[] Both = [false, true];

    [Test]
    public void Activates()
    {
        int seed = 1;
        foreach ((int rows, int columns, int batch, int gap) in Shapes)
        {
            foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
            {
                using KernelBench bench = new();
                bool halfIn = seed % 2 == 0, halfOut = seed / 2 % 2 == 0;
                TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed++, 2), rows, columns, halfIn, gap, batch);
                TestMatrix y = bench.Output(rows, columns, halfOut, gap, batch);
                bench.Run(ElementwiseKernel.Activation(x.Device, new ActivationFunction(kind, 0.01f), y.Device, batch));
                bench.Compare(y, (p, r, c) => Exact(kind, x[p, r, c]), (p, r, c) => Tolerance(kind, x[p, r, c]),
                    $"{kind}, {columns} columns");
            }
        }
    }

    [Test]
    public void Scales()
    {
        int seed = 100;
        foreach ((int rows, int columns, int batch, int gap) in Shapes)
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                float[] factors = KernelBench.Normal(columns, seed++);
                TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, half, gap, batch);
                TestMatrix y = bench.Output(rows, columns, !half, gap, batch);
                bench.Run(ElementwiseKernel.Scale(x.Device, bench.Upload(factors), y.Device, batch));
                bench.Compare(y, (p, r, c) => x[p, r, c] * factors[c], (p, r, c) => Rounded(x[p, r, c] * factors[c]), $"{columns} columns");
            }
        }
    }

    [Test]
    public void AddsAndSubtracts()
    {
        int seed = 200;
        foreach ((int rows, int columns, int batch, int gap) in Shapes)
        {
            foreach (bool subtract in Both)
            {
                foreach (bool half in Both)
                {
                    using KernelBench bench = new();
                    int sign = subtract ? -1 : 1;
                    TestMatrix a = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, half, gap, batch);
                    TestMatrix b = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, subtract, 0, batch);
                    TestMatrix y = bench.Output(rows, columns, half == subtract, gap, batch);
                    bench.Run(ElementwiseKernel.Add(a.Device, b.Device, subtract, y.Device, batch));
                    bench.Compare(y, (p, r, c) => a[p, r, c] + sign * b[p, r, c], (p, r, c) => Rounded(a[p, r, c] + sign * b[p, r, c]),
                        $"{columns} columns");
                }
            }
        }
    }

    [Test]
    public void MayOverwriteAnInputOfTheSameFormat()
    {
        foreach (int columns in (int[])[31, 128])
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                float[] before = KernelBench.Normal(3 * columns, columns);
                TestMatrix a = bench.Input(before, 3, columns, half), b = bench.Input(KernelBench.Normal(3 * columns, 1), 3, columns, half);
                bench.Run(ElementwiseKernel.Add(a.Device, b.Device, false, b.Device, 1));
                bench.Compare(b, (p, r, c) => a[p, r, c] + b[p, r, c], (p, r, c) => Rounded(a[p, r, c] + b[p, r, c]), "b += a");
                bench.Run(ElementwiseKernel.Activation(a.Device, new ActivationFunction(ActivationKind.LeakyRelu, 0.5f), a.Device, 1));
                bench.Compare(a, (p, r, c) => Exact(ActivationKind.LeakyRelu, a[p, r, c], 0.5), (p, r, c) => Rounded(a[p, r, c]), "f(a)");
            }
        }
    }

    [Test]
    public void AveragesUpToEightValues()
    {
        int seed = 300;
        for (int count = 1; count <= 8; count++)
        {
            foreach ((int rows, int columns, int batch, int gap) in Shapes[..6])
            {
                using KernelBench bench = new();
                TestMatrix[] values = new TestMatrix[count];
                for (int i = 0; i < count; i++)
                {
                    values[i] = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, (seed + i) % 3 == 0,
                        i % 2 * gap, batch);
                }

                TestMatrix y = bench.Output(rows, columns, count % 2 == 0, gap, batch);
                bench.Run(ElementwiseKernel.Mean(Array.ConvertAll(values, v => v.Device), y.Device, batch));
                // The sum's roundings, at most one for each further value, that of the factor and that of the product.
                bench.Compare(y, (p, r, c) => values.Average(v => v[p, r, c]),
                    (p, r, c) => Math.ScaleB((count + 1) * values.Average(v => Math.Abs(v[p, r, c])), -24), $"{count} values");
            }
        }
    }

    [Test]
    public void AddsTheRowsOfATable()
    {
        int seed = 400;
        foreach ((int _, int columns, int batch, int gap) in Shapes)
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                const int rows = 5, period = 2;
                TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, half, gap, batch);
                TestMatrix table = bench.Input(KernelBench.Normal(period * columns, seed++), period, columns, !half);
                TestMatrix y = bench.Output(rows, columns, half, gap, batch);
                bench.Run(ElementwiseKernel.AddRows(x.Device, table.Device with { BatchStride = 0 }, y.Device, batch));
                bench.Compare(y, (p, r, c) => x[p, r, c] + table[0, r % period, c],
                    (p, r, c) => Rounded(x[p, r, c] + table[0, r % period, c]), $"{columns} columns");
            }
        }
    }

    [Test]
    public void CopiesBetweenFormatsAndStrides()
    {
        int seed = 500;
        foreach ((int rows, int columns, int batch, int gap) in Shapes)
        {
            foreach (bool halfIn in Both)
            {
                foreach (bool halfOut in Both)
                {
                    using KernelBench bench = new();
                    TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, halfIn, gap, batch);
                    TestMatrix y = bench.Output(rows, columns, halfOut, 4 - gap % 4, batch);
                    bench.Run(ElementwiseKernel.CopyRows(x.Device, y.Device, batch));
                    bench.Compare(y, (p, r, c) => halfOut ? (double)(Half)(float)x[p, r, c] : x[p, r, c], (_, _, _) => 0, "copy");
                }
            }
        }
    }

    [Test]
    public void GathersRowsAndMarksThoseThatDoNotExist()
    {
        int seed = 600;
        foreach ((int _, int columns, int _, int gap) in Shapes)
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                const int batch = 2;
                int[] ids = [2, 0, 0, 4, 1, -1, 5, int.MinValue];
                TestMatrix x = bench.Input(KernelBench.Normal(batch * 5 * columns, seed++), 5, columns, half, gap, batch);
                TestMatrix y = bench.Output(ids.Length, columns, false, gap, batch);
                DeviceMatrix numbers = new(bench.Upload([.. ids, .. ids.Reverse()]), ids.Length, 1, 1, ids.Length);
                bench.Run(ElementwiseKernel.Gather(x.Device, numbers, y.Device, batch));
                bench.Compare(y, (p, r, c) =>
                {
                    int id = p == 0 ? ids[r] : ids[^(r + 1)];
                    return id is < 0 or >= 5 ? double.NaN : x[p, id, c];
                }, (_, _, _) => 0, $"{columns} columns");
            }
        }
    }

    [Test]
    public void RotatesEveryHeadBehindThePrefix()
    {
        int seed = 700;
        foreach ((int heads, int width, int prefix, int gap) in
            ((int, int, int, int)[])[(1, 2, 0, 0), (3, 64, 5, 4), (2, 24, 1, 8), (2, 6, 7, 1), (5, 32, 0, 0)])
        {
            foreach (bool half in Both)
            {
                foreach (bool inPlace in Both)
                {
                    using KernelBench bench = new();
                    const int rows = 7, batch = 3;
                    int columns = heads * width, pairs = width / 2;
                    float[] angles = KernelBench.Normal(Math.Max(1, (rows - prefix) * pairs), seed++, 3);
                    float[] cos = Array.ConvertAll(angles, MathF.Cos), sin = Array.ConvertAll(angles, MathF.Sin);
                    TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, half, gap, batch);
                    TestMatrix y = inPlace ? x : bench.Output(rows, columns, !half, gap, batch);
                    bench.Run(ElementwiseKernel.Rotary(x.Device, bench.Upload(cos), bench.Upload(sin), prefix, heads, y.Device, batch));
                    (double Value, double Error) At(int p, int r, int c)
                    {
                        if (r < prefix) return (x[p, r, c], 0);
                        int within = c % width, i = (r - prefix) * pairs + within % pairs;
                        bool first = within < pairs;
                        double u = x[p, r, c] * cos[i], w = (first ? -1 : 1) * x[p, r, first ? c + pairs : c - pairs] * sin[i];
                        // One product is rounded, and the fused sum: e (|u| or |w|) + e |u + w|.
                        return (u + w, Math.ScaleB(2 * (Math.Abs(u) + Math.Abs(w)), -24));
                    }

                    bench.Compare(y, (p, r, c) => At(p, r, c).Value, (p, r, c) => At(p, r, c).Error, $"{heads} heads of {width}");
                }
            }
        }
    }

    [Test]
    public void RejectsShapesThatDoNotMatch()
    {
        DeviceMatrix x = new(256, 2, 8, 8), other = new(512, 2, 9, 9);
        Assert.That(() => ElementwiseKernel.Activation(x, default, other, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.Scale(x, 0, x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.Add(x, other, false, x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.Mean([], x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.Mean([x, x, x, x, x, x, x, x, x], x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.AddRows(x, other, x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.Gather(x, new DeviceMatrix(256, 3, 1, 1), x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.Rotary(x, 256, 256, 0, 3, x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.Rotary(x, 256, 256, 3, 1, x, 1), Throws.ArgumentException);
        Assert.That(() => ElementwiseKernel.CopyRows(x, x, 0), Throws.ArgumentException);
    }

    /// <summary>Gets the error of an activation, from the header of <c>activation.inc</c>.</summary>
    public static double Tolerance(ActivationKind kind, double x) => kind switch
    {
        ActivationKind.Gelu => 6e-7 * Math.Abs(x),
        ActivationKind.QuickGelu => 3.5e-7 * Math.Abs(x),
        ActivationKind.Sigmoid => (5e-7 + 1.2e-7 * Math.Abs(x)) / (1 + Math.Exp(-x)),
        _ => Rounded(x),
    };

    /// <summary>Computes an activation in double precision.</summary>
    public static double Exact(ActivationKind kind, double x, double slope = 0.01f) => kind switch
    {
        ActivationKind.Gelu => default(Gelu).Scalar(x),
        ActivationKind.QuickGelu => default(QuickGelu).Scalar(x),
        ActivationKind.LeakyRelu => x < 0 ? slope * x : x,
        ActivationKind.Sigmoid => default(Sigmoid).Scalar(x),
        _ => x,
    };

    /// <summary>Gets the error of one rounding to floats.</summary>
    private static double Rounded(double exact) => Math.ScaleB(Math.Abs(exact), -24);
}
