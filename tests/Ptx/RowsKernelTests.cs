using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>rows.ptx</c>. The tolerances are those of the file's header.</summary>
[TestFixture]
internal sealed class RowsKernelTests
{
    private static readonly (int Rows, int Columns, int Batch, int Gap)[] Shapes =
    [
        (1, 1, 1, 0), (3, 31, 3, 1), (2, 32, 1, 4), (9, 33, 3, 0), (3, 127, 1, 1), (2, 128, 3, 4), (3, 129, 1, 3), (2, 1025, 2, 0),
        (4, 1369, 1, 0), (3, 1028, 2, 4), (20, 36, 1, 0),
    ];

    private static readonly bool[] Both = [false, true];

    [Test]
    public void DividesRowsByTheirNorms()
    {
        int seed = 1;
        foreach ((int rows, int columns, int batch, int gap) in Shapes)
        {
            foreach (bool half in Both)
            {
                foreach (bool inPlace in Both)
                {
                    using KernelBench bench = new();
                    float[] values = KernelBench.Normal(batch * rows * columns, seed++);
                    // The last row is zeros.
                    if (rows > 1) Array.Clear(values, values.Length - columns, columns);
                    TestMatrix x = bench.Input(values, rows, columns, half, gap, batch);
                    TestMatrix y = inPlace ? x : bench.Output(rows, columns, !half, gap, batch);
                    bench.Run(RowsKernel.L2Normalize(x.Device, y.Device, batch));
                    double[] norms = Norms(x);
                    double Exact(int p, int r, int c)
                    {
                        double norm = norms[p * rows + r];
                        return norm == 0 ? 0 : x[p, r, c] / norm;
                    }

                    // Half of the relative error of the sum of squares, and root, reciprocal and product.
                    bench.Compare(y, Exact, (p, r, c) => Math.ScaleB((columns / 64.0 + 10) * Math.Abs(Exact(p, r, c)), -24),
                        $"{batch} x {rows} x {columns}");
                }
            }
        }
    }

    [Test]
    public void ComputesTheSoftmaxOfAnyRow()
    {
        int seed = 100;
        foreach ((int rows, int columns, int batch, int gap) in Shapes)
        {
            foreach (bool half in Both)
            {
                foreach (double mean in half ? (double[])[0] : [0, -1e30, 300])
                {
                    using KernelBench bench = new();
                    float[] values = KernelBench.Normal(batch * rows * columns, seed++, 4, mean);
                    TestMatrix x = bench.Input(values, rows, columns, half, gap, batch);
                    TestMatrix y = seed % 3 == 0 ? x : bench.Output(rows, columns, half, gap, batch);
                    bench.Run(RowsKernel.Softmax(x.Device, y.Device, batch));
                    double[] largest = Rows(x, r => r.Max(v => (double)v));
                    double[] sums = Rows(x, r =>
                    {
                        double max = r.Max();
                        return r.Sum(v => Math.Exp(v - max));
                    });
                    double Below(int p, int r, int c) => x[p, r, c] - largest[p * rows + r];
                    double Exact(int p, int r, int c) => Math.Exp(Below(p, r, c)) / sums[p * rows + r];
                    // What the elements of the sum contribute: their errors weighted by their shares.
                    double[] spread = new double[batch * rows];
                    for (int i = 0; i < spread.Length; i++)
                        spread[i] = Enumerable.Range(0, columns).Sum(c => -Below(i / rows, i % rows, c) * Exact(i / rows, i % rows, c));
                    bench.Compare(y, Exact, (p, r, c) => Math.ScaleB((columns / 32.0 + 14 + 4 * Math.Abs(Below(p, r, c))
                        + 4 * spread[p * rows + r]) * Exact(p, r, c), -24) + Math.ScaleB(1, -126),
                        $"{batch} x {rows} x {columns}, mean {mean}");
                }
            }
        }
    }

    [Test]
    public void TheSoftmaxOfNaNAndInfinityIsNaN()
    {
        foreach (int columns in (int[])[7, 1200])
        {
            using KernelBench bench = new();
            float[] values = new float[4 * columns];
            values[3] = float.NaN;
            values[columns + 2] = float.PositiveInfinity;
            Array.Fill(values, float.NegativeInfinity, 2 * columns, columns);
            values[3 * columns] = float.NegativeInfinity;
            TestMatrix x = bench.Input(values, 4, columns), y = bench.Output(4, columns);
            bench.Run(RowsKernel.Softmax(x.Device, y.Device, 1));
            float[] result = bench.Read(y);
            Assert.That(result[..(3 * columns)], Has.All.NaN);
            Assert.That(result[3 * columns], Is.Zero);
            // The relative error in the header; all exponents are 0.
            double share = 1.0 / (columns - 1);
            Assert.That(result[^1], Is.EqualTo(share).Within(Math.ScaleB((columns / 32.0 + 14) * share, -24)));
        }
    }

    [Test]
    public void MultipliesRowsByAFewVectors()
    {
        int seed = 200;
        foreach ((int rows, int columns, int batch, int gap) in Shapes)
        {
            foreach (int count in (int[])[1, 2, 3, 5, 8])
            {
                using KernelBench bench = new();
                bool half = seed % 2 == 0;
                TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, half, gap, batch);
                TestMatrix t = bench.Input(KernelBench.Normal(batch * count * columns, seed++), count, columns, count % 2 == 0, gap, batch);
                TestMatrix y = bench.Output(rows, count, count == 5, 8 - count, batch);
                bench.Run(RowsKernel.DotRows(x.Device, t.Device, 2.5f, y.Device, batch));
                (double Sum, double Size) At(int p, int r, int j) => Dot(columns, c => 2.5 * x[p, r, c], c => t[p, j, c]);
                bench.Compare(y, (p, r, j) => At(p, r, j).Sum, (p, r, j) => Math.ScaleB((columns / 32.0 + 9) * At(p, r, j).Size, -24),
                    $"{batch} x {rows} x {columns}, {count} vectors");
            }
        }
    }

    [Test]
    public void AveragesRows()
    {
        int seed = 300;
        foreach ((int columns, int rows, int batch, int gap) in Shapes)
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed++), rows, columns, half, gap, batch);
                TestMatrix y = bench.Output(1, columns, !half, gap, batch);
                bench.Run(RowsKernel.MeanRows(x.Device, y.Device, batch));
                (double Sum, double Size) At(int p, int c) => Dot(rows, r => x[p, r, c], _ => 1.0 / rows);
                // Chains of rows / 32 and then 32 sums, the factor and the product.
                bench.Compare(y, (p, _, c) => At(p, c).Sum, (p, _, c) => Math.ScaleB((rows / 32.0 + 35) * At(p, c).Size, -24),
                    $"{batch} x {rows} x {columns}");
            }
        }
    }

    [Test]
    public void MultipliesMatricesOfAnyShape()
    {
        int seed = 400;
        foreach ((int m, int n, int k, int batch, int gap) in ((int, int, int, int, int)[])
            [(1, 1, 1, 1, 0), (4, 33, 129, 3, 1), (5, 32, 31, 2, 4), (3, 40, 128, 1, 4), (4, 64, 1369, 1, 0), (9, 7, 36, 3, 4)])
        {
            foreach (bool transposed in Both)
            {
                foreach (bool half in Both)
                {
                    using KernelBench bench = new();
                    TestMatrix a = bench.Input(KernelBench.Normal(batch * m * k, seed++), m, k, half, gap, batch);
                    TestMatrix b = bench.Input(KernelBench.Normal(batch * n * k, seed++), transposed ? n : k, transposed ? k : n,
                        half == transposed, gap, batch);
                    TestMatrix y = bench.Output(m, n, half, gap, batch);
                    bench.Run(RowsKernel.MatMul(a.Device, b.Device, transposed, y.Device, batch));
                    (double Sum, double Size) At(int p, int i, int j) =>
                        Dot(k, c => a[p, i, c], c => transposed ? b[p, j, c] : b[p, c, j]);
                    // Chains of k / 32, and then a tree of 5 or the 32 warps' sums in order.
                    bench.Compare(y, (p, i, j) => At(p, i, j).Sum,
                        (p, i, j) => Math.ScaleB((k / 32.0 + (transposed ? 9 : 34)) * At(p, i, j).Size, -24),
                        $"{m} x {n} x {k}, {transposed}");
                }
            }
        }
    }

    [Test]
    public void RejectsShapesThatDoNotMatch()
    {
        DeviceMatrix x = new(256, 2, 8, 8), other = new(512, 9, 9, 9);
        Assert.That(() => RowsKernel.L2Normalize(x, other, 1), Throws.ArgumentException);
        Assert.That(() => RowsKernel.Softmax(x, other, 1), Throws.ArgumentException);
        Assert.That(() => RowsKernel.DotRows(x, other, 1, x, 1), Throws.ArgumentException);
        Assert.That(() => RowsKernel.DotRows(other, other, 1, other, 1), Throws.ArgumentException);
        Assert.That(() => RowsKernel.MeanRows(x, x, 1), Throws.ArgumentException);
        Assert.That(() => RowsKernel.MatMul(x, other, true, x, 1), Throws.ArgumentException);
    }

    private static (double Sum, double Size) Dot(int count, Func<int, double> a, Func<int, double> b)
    {
        double sum = 0, size = 0;
        for (int i = 0; i < count; i++)
        {
            sum += a(i) * b(i);
            size += Math.Abs(a(i) * b(i));
        }

        return (sum, size);
    }

    private static double[] Norms(TestMatrix x) => Rows(x, r => Math.Sqrt(r.Sum(v => (double)v * v)));

    private static double[] Rows(TestMatrix x, Func<float[], double> of)
    {
        int columns = x.Device.Columns;
        return [.. Enumerable.Range(0, x.Values.Length / columns).Select(r => of(x.Values[(r * columns)..((r + 1) * columns)]))];
    }
}
