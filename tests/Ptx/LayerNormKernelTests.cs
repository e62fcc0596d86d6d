using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>layer_norm.ptx</c>.</summary>
[TestFixture]
internal sealed class LayerNormKernelTests
{
    [Test]
    public void NormalizesAnyNumberOfColumnsInBothFormats()
    {
        int seed = 1;
        foreach (int columns in (int[])[1, 4, 31, 32, 33, 127, 128, 129, 132, 384, 512, 768, 1024, 1025, 1028])
        {
            foreach ((bool halfIn, bool halfOut) in ((bool, bool)[])[(false, false), (false, true), (true, false), (true, true)])
            {
                foreach ((int rows, int batch, int gap) in ((int, int, int)[])[(1, 1, 0), (3, 3, 4), (5, 1, 3)])
                    Check(rows, columns, batch, gap, halfIn, halfOut, mean: 0.5, inPlace: false, seed++);
            }
        }
    }

    [Test]
    public void MayOverwriteItsInput()
    {
        foreach (int columns in (int[])[33, 384, 1028]) Check(3, columns, 2, 4, false, false, 0, inPlace: true, columns);
    }

    [Test]
    public void LargeMeansDoNotCancel()
    {
        // With a mean of 4096 and a deviation of 1, x^2 has an ulp of 1 or 2. With a deviation of 1/128, the rounding of the mean, about
        // 1/1000, changes the variance by a few percent unless it is corrected.
        foreach (int columns in (int[])[384, 1025])
        {
            Check(2, columns, 1, 0, false, false, 4096, inPlace: false, columns);
            Check(8, columns, 1, 0, false, false, 4096.3, inPlace: false, columns, 1 / 128.0);
        }
    }

    [Test]
    public void RejectsShapesThatDoNotMatch()
    {
        DeviceMatrix x = new(256, 2, 8, 8), y = new(512, 2, 9, 9);
        Assert.That(() => LayerNormKernel.Create(x, 256, 256, 1e-5f, y, 1), Throws.ArgumentException);
        Assert.That(() => LayerNormKernel.Create(x, 0, 256, 1e-5f, x, 1), Throws.ArgumentException);
        Assert.That(() => LayerNormKernel.Create(x, 256, 256, 1e-5f, x, 0), Throws.ArgumentException);
        Assert.That(() => LayerNormKernel.Create(x with { Stride = 7 }, 256, 256, 1e-5f, x, 1), Throws.ArgumentException);
    }

    private static void Check(int rows, int columns, int batch, int gap, bool halfIn, bool halfOut, double mean, bool inPlace, int seed,
        double deviation = 1)
    {
        const float eps = 1e-5f;
        using KernelBench bench = new();
        float[] weight = KernelBench.Normal(columns, seed + 1000, 0.3, 1), bias = KernelBench.Normal(columns, seed + 2000);
        TestMatrix x = bench.Input(KernelBench.Normal(batch * rows * columns, seed, deviation, mean), rows, columns,
            halfIn, gap, batch);
        TestMatrix y = inPlace ? x : bench.Output(rows, columns, halfOut, gap, batch);
        bench.Run(LayerNormKernel.Create(x.Device, bench.Upload(weight), bench.Upload(bias), eps, y.Device, batch));
        (double Mean, double Scale)[] rowsOf = new (double, double)[batch * rows];
        for (int r = 0; r < rowsOf.Length; r++)
        {
            float[] row = x.Values[(r * columns)..((r + 1) * columns)];
            double m = row.Average(v => (double)v);
            rowsOf[r] = (m, 1 / Math.Sqrt(row.Average(v => (v - m) * (v - m)) + eps));
        }

        double Z(int p, int r, int c) => (x[p, r, c] - rowsOf[p * rows + r].Mean) * rowsOf[p * rows + r].Scale;

        // The bound in the header of the file. The differences to the estimated mean are exact where the mean is large.
        double roundings = columns / 32.0 + 5 + 14;
        bench.Compare(y, (p, r, c) => Z(p, r, c) * weight[c] + bias[c],
            (p, r, c) => Math.ScaleB(roundings * ((1 + Math.Abs(Z(p, r, c))) * Math.Abs(weight[c]) + Math.Abs(bias[c])), -24),
            $"{batch} x {rows} x {columns}, gap {gap}, halves {halfIn} -> {halfOut}, mean {mean}");
    }
}
