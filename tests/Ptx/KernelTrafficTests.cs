using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Formats;

namespace TinyZsad.Tests.Ptx;

/// <summary>
/// Tests that kernels bound by memory transfer no sector of 32 bytes more often than the bytes of each request need, for the widths of
/// the networks' values in both formats.
/// </summary>
[TestFixture]
internal sealed class KernelTrafficTests
{
    private static readonly bool[] Both = [false, true];

    [Test]
    public void RowsOfTheNetworksAreMovedInFullSectors()
    {
        foreach (bool half in Both)
        {
            foreach (int columns in (int[])[384, 512, 768, 1024, 2048])
            {
                using KernelBench bench = new();
                TestMatrix x = bench.Input(KernelBench.Normal(8 * columns, columns), 8, columns, half);
                DeviceMatrix y = bench.Output(8, columns, !half).Device;
                ulong vector = bench.Upload(KernelBench.Normal(columns, 1)), angles = bench.Upload(KernelBench.Normal(8 * 32, 2));
                ulong ids = bench.Upload([3, 1, 2, 0, 7, 7, 5, 4]);
                Launch[] launches =
                [
                    LayerNormKernel.Create(x.Device, vector, vector, 1e-5f, y, 1),
                    ElementwiseKernel.Activation(x.Device, ActivationKind.Gelu, y, 1),
                    ElementwiseKernel.Scale(x.Device, vector, y, 1),
                    ElementwiseKernel.Add(x.Device, x.Device, false, y, 1),
                    ElementwiseKernel.Mean([x.Device, x.Device, x.Device], y, 1),
                    ElementwiseKernel.AddRows(x.Device, x.Device, y, 1),
                    ElementwiseKernel.CopyRows(x.Device, y, 1),
                    ElementwiseKernel.Rotary(x.Device, angles, angles, 0, columns / 64, y, 1),
                    ElementwiseKernel.Gather(x.Device, new DeviceMatrix(ids, 8, 1, 1), y, 1),
                    RowsKernel.L2Normalize(x.Device, y, 1),
                    RowsKernel.MeanRows(x.Device, bench.Output(1, columns).Device, 1),
                    RowsKernel.DotRows(x.Device, x.Device with { Rows = 2 }, 1, bench.Output(8, 2).Device, 1),
                ];
                foreach (Launch launch in launches)
                {
                    (long sectors, long ideal) = bench.Traffic(launch);
                    Assert.That(sectors, Is.EqualTo(ideal), $"{launch.Kernel} of {columns} columns, halves {half}");
                }
            }
        }
    }

    [Test]
    public void ConvolutionsMoveFullSectors()
    {
        foreach (bool half in Both)
        {
            using KernelBench bench = new();
            TestMatrix x = bench.Input(KernelBench.Normal(256 * 96, 1), 256, 96, half);
            ulong weights = bench.Upload(KernelBench.Normal(9 * 96, 2)), bias = bench.Upload(KernelBench.Normal(96, 3));
            Launch[] launches =
            [
                ConvolutionKernel.Im2Col(x.Device, 16, 16, 1, bench.Output(256, 864, true).Device, 1),
                ConvolutionKernel.Depthwise(x.Device, 16, 16, 1, weights, bias, default, bench.Output(256, 96, half).Device, 1),
                ConvolutionKernel.Depthwise(x.Device, 16, 16, 2, weights, bias, default, bench.Output(64, 96, half).Device, 1),
            ];
            foreach (Launch launch in launches)
            {
                (long sectors, long ideal) = bench.Traffic(launch);
                Assert.That(sectors, Is.EqualTo(ideal), $"{launch.Kernel}, halves {half}");
            }
        }
    }

    [Test]
    public void MapsMoveFullSectorsButForShiftedRows()
    {
        using KernelBench bench = new();
        TestMatrix x = bench.Input(KernelBench.Normal(128 * 128, 1), 128 * 128, 1);
        DeviceMatrix y = bench.Output(128 * 128, 1).Device;
        ulong weights = bench.Upload(KernelBench.Normal(17, 2));
        (long sectors, long ideal) = bench.Traffic(ImageKernel.GaussianVertical(x.Device, 128, 128, weights, 16, y, 1));
        Assert.That(sectors, Is.EqualTo(ideal));
        // A warp's 128 bytes shifted by some pixels lie in five sectors instead of four.
        (sectors, ideal) = bench.Traffic(ImageKernel.GaussianHorizontal(x.Device, 128, 128, weights, 16, y, 1));
        Assert.That(sectors, Is.LessThanOrEqualTo(1.25 * ideal));
        (sectors, ideal) = bench.Traffic(ImageKernel.TopKMean(x.Device, 100, bench.Output(1, 1).Device, 1));
        Assert.That(sectors, Is.EqualTo(ideal));
    }
}
