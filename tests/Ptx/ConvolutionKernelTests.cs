using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Formats;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>convolution.ptx</c>.</summary>
[TestFixture]
internal sealed class ConvolutionKernelTests
{
    private static readonly (int Height, int Width, int Channels, int Batch, int Gap)[] Shapes =
        [(1, 1, 1, 1, 0), (2, 3, 31, 3, 1), (5, 4, 32, 3, 4), (4, 7, 3, 1, 0), (7, 5, 129, 1, 0), (3, 6, 128, 2, 4), (9, 9, 96, 1, 0)];

    private static readonly bool[] Both = [false, true];

    [Test]
    public void LaysTheNinePixelsSideBySide()
    {
        int seed = 1;
        foreach ((int height, int width, int channels, int batch, int gap) in Shapes)
        {
            foreach (int stride in (int[])[1, 2])
            {
                foreach (bool half in Both)
                {
                    using KernelBench bench = new();
                    int outHeight = (height + stride - 1) / stride, outWidth = (width + stride - 1) / stride;
                    // Rows of a multiple of 8 with the padding written, and rows without padding.
                    foreach (int columns in (int[])[(9 * channels + 7) / 8 * 8, 9 * channels])
                    {
                        TestMatrix x = bench.Input(KernelBench.Normal(batch * height * width * channels, seed++), height * width, channels,
                            half, gap, batch);
                        TestMatrix y = bench.Output(outHeight * outWidth, columns, true, gap, batch);
                        bench.Run(ConvolutionKernel.Im2Col(x.Device, height, width, stride, y.Device, batch));
                        bench.Compare(y, (p, r, c) =>
                        {
                            int tap = c / channels, row = r / outWidth * stride + tap / 3 - 1, column = r % outWidth * stride + tap % 3 - 1;
                            return tap >= 9 || row < 0 || row >= height || column < 0 || column >= width ? 0
                                : (double)(Half)(float)x[p, row * width + column, c % channels];
                        }, (_, _, _) => 0, $"{height} x {width} x {channels}, stride {stride}");
                    }
                }
            }
        }
    }

    [Test]
    public void ConvolvesEachChannel()
    {
        int seed = 1000;
        foreach ((int height, int width, int channels, int batch, int gap) in Shapes)
        {
            foreach (int stride in (int[])[1, 2])
            {
                foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
                {
                    using KernelBench bench = new();
                    bool halfIn = seed % 2 == 0, halfOut = seed / 2 % 2 == 0;
                    int outHeight = (height + stride - 1) / stride, outWidth = (width + stride - 1) / stride;
                    float[] weights = KernelBench.Normal(9 * channels, seed++), bias = KernelBench.Normal(channels, seed);
                    TestMatrix x = bench.Input(KernelBench.Normal(batch * height * width * channels, seed), height * width, channels,
                        halfIn, gap, batch);
                    TestMatrix y = bench.Output(outHeight * outWidth, channels, halfOut, gap, batch);
                    bench.Run(ConvolutionKernel.Depthwise(x.Device, height, width, stride, bench.Upload(weights), bench.Upload(bias),
                        new ActivationFunction(kind, 0.01f), y.Device, batch));
                    (double Sum, double Size) At(int p, int r, int c)
                    {
                        double sum = bias[c], size = Math.Abs(bias[c]);
                        for (int tap = 0; tap < 9; tap++)
                        {
                            int row = r / outWidth * stride + tap / 3 - 1, column = r % outWidth * stride + tap % 3 - 1;
                            if (row < 0 || row >= height || column < 0 || column >= width) continue;
                            double term = weights[tap * channels + c] * x[p, row * width + column, c];
                            sum += term;
                            size += Math.Abs(term);
                        }

                        return (sum, size);
                    }

                    // Nine fused sums before the activation, whose slope is below 1.13, and the activation's own error.
                    bench.Compare(y, (p, r, c) => ElementwiseKernelTests.Exact(kind, At(p, r, c).Sum),
                        (p, r, c) => Math.ScaleB(1.13 * 10 * At(p, r, c).Size, -24)
                            + ElementwiseKernelTests.Tolerance(kind, At(p, r, c).Sum),
                        $"{height} x {width} x {channels}, stride {stride}, {kind}");
                }
            }
        }
    }

    [Test]
    public void RejectsShapesThatDoNotMatch()
    {
        DeviceMatrix x = new(256, 16, 8, 8), y = new(512, 16, 64, 64, Half: true);
        Assert.That(() => ConvolutionKernel.Im2Col(x, 4, 4, 1, y, 1), Throws.ArgumentException);
        Assert.That(() => ConvolutionKernel.Im2Col(x, 4, 4, 3, y, 1), Throws.ArgumentException);
        Assert.That(() => ConvolutionKernel.Depthwise(x, 4, 5, 1, 256, 256, default, x, 1), Throws.ArgumentException);
        Assert.That(() => ConvolutionKernel.Depthwise(x, 4, 4, 1, 0, 256, default, x, 1), Throws.ArgumentException);
        Assert.That(() => ConvolutionKernel.Depthwise(x, 4, 4, 2, 256, 256, default, x, 1), Throws.ArgumentException);
    }
}
