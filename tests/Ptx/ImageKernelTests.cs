using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Formats;
using TinyZsad.Imaging;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>image.ptx</c>. The tolerances are those of the file's header; e = 2^-24.</summary>
[TestFixture]
internal sealed unsafe class ImageKernelTests
{
    private static readonly float[] Mean = [0.481f, 0.457f, 0.408f], Std = [0.268f, 0.261f, 0.275f];

    private static readonly bool[] Both = [false, true];

    [Test]
    public void NormalizesBytes()
    {
        foreach ((int pixels, int batch, int gap) in ((int, int, int)[])[(1, 1, 0), (3, 3, 5), (32, 1, 0), (128, 3, 0), (129, 3, 0)])
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                byte[] bytes = Bytes(batch * pixels * 3, pixels);
                TestMatrix y = bench.Output(pixels, 3, half, gap, batch);
                DeviceMatrix picture = new(bench.Upload(bytes), pixels, 3, 3, 3 * pixels);
                bench.Run(ImageKernel.Normalize(picture, Mean, Std, y.Device, batch));
                bench.Compare(y, (p, r, c) => Normalized(bytes[(p * pixels + r) * 3 + c], c),
                    (p, r, c) => NormalizedError(bytes[(p * pixels + r) * 3 + c], c), $"{pixels} pixels");
            }
        }
    }

    [Test]
    public void DividesIntoPatches()
    {
        foreach ((int height, int width, int patch, int batch, int gap) in ((int, int, int, int, int)[])
            [(4, 4, 4, 1, 0), (9, 11, 2, 3, 4), (7, 10, 3, 3, 1), (28, 42, 14, 2, 4), (32, 32, 16, 1, 0)])
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                int grid = width / patch, rows = height / patch * grid, columns = 3 * patch * patch;
                int Source(int p, int r, int c) => ((p * height + r / grid * patch + c / patch % patch) * width
                    + r % grid * patch + c % patch) * 3 + c / (patch * patch);
                TestMatrix x = bench.Input(KernelBench.Normal(batch * height * width * 3, height), height * width, 3, half, gap, batch);
                TestMatrix y = bench.Output(rows, columns, half, gap, batch), fused = bench.Output(rows, columns, half, gap, batch);
                bench.Run(ImageKernel.Patchify(x.Device, height, width, patch, y.Device, batch));
                bench.Compare(y, (p, r, c) => x.Values[Source(p, r, c)], (_, _, _) => 0, $"{height} x {width} by {patch}");

                byte[] bytes = Bytes(batch * height * width * 3, width);
                DeviceMatrix picture = new(bench.Upload(bytes), height * width, 3, 3, 3 * height * width);
                bench.Run(ImageKernel.NormalizePatchify(picture, height, width, patch, Mean, Std, fused.Device, batch));
                bench.Compare(fused, (p, r, c) => Normalized(bytes[Source(p, r, c)], c / (patch * patch)),
                    (p, r, c) => NormalizedError(bytes[Source(p, r, c)], c / (patch * patch)), $"{height} x {width} by {patch}, fused");
            }
        }
    }

    [Test]
    public void ResamplesInBothModes()
    {
        foreach ((int height, int width, int outHeight, int outWidth, int batch) in ((int, int, int, int, int)[])
            [(1, 1, 1, 1, 1), (1, 1, 5, 7, 2), (3, 4, 1, 1, 1), (4, 4, 13, 9, 3), (37, 37, 129, 127, 1), (9, 7, 4, 3, 2), (6, 5, 6, 5, 1)])
        {
            foreach (BilinearMode mode in Enum.GetValues<BilinearMode>())
            {
                foreach (bool half in Both)
                {
                    using KernelBench bench = new();
                    int count = height * width, outCount = outHeight * outWidth;
                    TestMatrix x = bench.Input(KernelBench.Normal(batch * count, outWidth), count, 1, half, half ? 7 : 0, batch);
                    TestMatrix y = bench.Output(outCount, 1, half, half ? 7 : 0, batch);
                    bench.Run(ImageKernel.Bilinear(x.Device, height, width, y.Device, outHeight, outWidth, mode, batch));
                    float[] exact = new float[batch * outCount];
                    fixed (float* from = x.Values, to = exact)
                    {
                        for (int p = 0; p < batch; p++)
                        {
                            Bilinear.Scalar(from + p * count, width, height, width, to + p * outCount, outWidth, outHeight, outWidth, mode);
                        }
                    }

                    // The definition is rounded once more than the exact value: e |y|.
                    double largest = x.Values.Max(Math.Abs);
                    bench.Compare(y, (p, r, _) => exact[p * outCount + r], (_, _, _) => Math.ScaleB(15 * largest, -24),
                        $"{height} x {width} to {outHeight} x {outWidth}, {mode}");
                }
            }
        }
    }

    [Test]
    public void AConstantMapStaysExactlyConstant()
    {
        using KernelBench bench = new();
        float[] values = new float[37 * 37];
        Array.Fill(values, 0.3f);
        TestMatrix x = bench.Input(values, 37 * 37, 1), y = bench.Output(101 * 99, 1);
        bench.Run(ImageKernel.Bilinear(x.Device, 37, 37, y.Device, 101, 99, BilinearMode.HalfPixel, 1));
        Assert.That(bench.Read(y), Has.All.EqualTo(0.3f));
    }

    [Test]
    public void SmoothsWithMirroredBorders()
    {
        foreach ((int height, int width, double sigma, int batch) in ((int, int, double, int)[])
            [(1, 1, 1, 1), (3, 2, 2, 2), (33, 31, 1, 3), (20, 65, 4, 1), (5, 6, 0, 1)])
        {
            foreach (bool half in Both)
            {
                using KernelBench bench = new();
                int count = height * width, radius = GaussianTaps.Radius(sigma);
                float[] weights = new float[radius + 1];
                GaussianTaps.FillWeights(sigma, weights);
                ulong taps = bench.Upload(weights);
                TestMatrix x = bench.Input(KernelBench.Normal(batch * count, width), count, 1, half, 0, batch);
                TestMatrix between = bench.Output(count, 1, false, 0, batch), y = bench.Output(count, 1, half, half ? 7 : 0, batch);
                bench.Run(ImageKernel.GaussianHorizontal(x.Device, height, width, taps, radius, between.Device, batch));
                bench.Run(ImageKernel.GaussianVertical(between.Device, height, width, taps, radius, y.Device, batch));
                float[] exact = new float[batch * count];
                fixed (float* from = x.Values, to = exact)
                {
                    for (int p = 0; p < batch; p++)
                        GaussianBlur.Scalar(from + p * count, width, height, width, sigma, to + p * count, width);
                }

                double largest = x.Values.Max(Math.Abs);
                bench.Compare(y, (p, r, _) => exact[p * count + r], (_, _, _) => Math.ScaleB((2 * (radius + 4) + 1) * largest, -24),
                    $"{height} x {width}, sigma {sigma}");
            }
        }
    }

    [Test]
    public void ResizesToTheSameBytes()
    {
        foreach ((int height, int width, int outHeight, int outWidth) in ((int, int, int, int)[])
            [(5, 7, 3, 4), (4, 4, 9, 10), (33, 50, 20, 16), (61, 41, 16, 21), (8, 8, 8, 12)])
        {
            foreach (ResampleFilter filter in Enum.GetValues<ResampleFilter>())
            {
                using KernelBench bench = new();
                const int batch = 2;
                byte[] bytes = Bytes(batch * height * width * 3, width);
                DeviceMatrix x = new(bench.Upload(bytes), height, 3 * width, 3 * width, 3 * height * width);
                DeviceMatrix between = new(bench.Allocate(batch * height * outWidth * 3), height, 3 * outWidth, 3 * outWidth,
                    3 * height * outWidth);
                DeviceMatrix y = new(bench.Allocate(batch * outHeight * outWidth * 3), outHeight, 3 * outWidth, 3 * outWidth,
                    3 * outHeight * outWidth);
                bench.Run(ImageKernel.ResizeHorizontal(x, Taps(bench, width, outWidth, filter), between, batch));
                bench.Run(ImageKernel.ResizeVertical(between, Taps(bench, height, outHeight, filter), y, batch));
                byte[] result = bench.Download<byte>(y.Address, batch * outHeight * outWidth * 3);
                for (int p = 0; p < batch; p++)
                {
                    int length = outHeight * outWidth * 3;
                    byte[] expected = new byte[length];
                    ReadOnlySpan<byte> picture = bytes.AsSpan(p * height * width * 3, height * width * 3);
                    Resampler.Resize(new ImageView(picture, width, height, PixelFormat.Rgb24), expected, outWidth, outHeight, filter);
                    Assert.That(result[(p * length)..((p + 1) * length)], Is.EqualTo(expected), $"{width} x {height} to {outWidth}");
                }
            }
        }
    }

    [Test]
    public void AveragesTheLargestElements()
    {
        int seed = 1;
        foreach ((int count, int batch, bool half) in ((int, int, bool)[])
            [(1, 1, false), (31, 3, false), (1025, 1, true), (9000, 2, false), (20000, 1, false)])
        {
            foreach (int k in (int[])[1, 2, count / 100, count / 2, count])
            {
                if (k < 1 || k > count) continue;
                foreach (int levels in (int[])[0, 4])
                {
                    using KernelBench bench = new();
                    float[] values = KernelBench.Normal(batch * count, seed++);
                    // With few levels nearly all elements are equal to others.
                    if (levels > 0) values = Array.ConvertAll(values, v => MathF.Round(v * levels) / levels);
                    TestMatrix x = bench.Input(values, count, 1, half, half ? 7 : 0, batch), y = bench.Output(1, 1, half, 0, batch);
                    bench.Run(ImageKernel.TopKMean(x.Device, k, y.Device, batch));
                    double[] exact = [.. Enumerable.Range(0, batch).Select(p =>
                        x.Values[(p * count)..((p + 1) * count)].OrderDescending().Take(k).Average(v => (double)v))];
                    // Rounded once; the double sum's own error is below n 2^-53 times the mean magnitude.
                    bench.Compare(y, (p, _, _) => exact[p], (p, _, _) => Math.ScaleB(Math.Abs(exact[p]), -24) + count * Math.ScaleB(4, -53),
                        $"{k} of {count}, {levels} levels");
                }
            }
        }
    }

    [Test]
    public void TheMeanOfTheLargestElementsIsNaNIfAnyIs()
    {
        using KernelBench bench = new();
        float[] values = KernelBench.Normal(5000, 1);
        values[4321] = float.NaN;
        values[17] = float.NegativeInfinity;
        TestMatrix x = bench.Input(values, 1, 5000), y = bench.Output(1, 1);
        bench.Run(ImageKernel.TopKMean(x.Device, 3, y.Device, 1));
        Assert.That(bench.Read(y)[0], Is.NaN);
    }

    [Test]
    public void RejectsShapesThatDoNotMatch()
    {
        DeviceMatrix x = new(256, 16, 3, 3), y = new(512, 4, 12, 12), one = new(1024, 1, 1, 1), map = new(2048, 16, 1, 1);
        Assert.That(() => ImageKernel.Normalize(x, Mean, Std, y, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.Normalize(x, [1], Std, x, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.Patchify(x, 4, 4, 3, y, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.NormalizePatchify(x with { Stride = 4 }, 4, 4, 2, Mean, Std, y, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.Bilinear(map, 4, 4, one, 2, 2, BilinearMode.HalfPixel, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.GaussianVertical(map, 4, 4, 256, 2, map, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.TopKMean(map, 17, one, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.TopKMean(map, 0, one, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.ResizeVertical(y, new ResizeTaps(3, 2, 256, 256, 256), y, 1), Throws.ArgumentException);
        Assert.That(() => ImageKernel.ResizeHorizontal(y, new ResizeTaps(3, 2, 256, 256, 256), y, 1), Throws.ArgumentException);
    }

    private static byte[] Bytes(int count, int seed)
    {
        byte[] bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static double Normalized(byte value, int channel) => (value / 255.0 - Mean[channel]) / Std[channel];

    /// <summary>Gets the error: factor and shift are rounded, and the fused sum.</summary>
    private static double NormalizedError(byte value, int channel) => Math.ScaleB(value / (255.0 * Std[channel])
        + Mean[channel] / Std[channel] + Math.Abs(Normalized(value, channel)) * (1 + Math.ScaleB(1, -20)), -24);

    private static ResizeTaps Taps(KernelBench bench, int from, int to, ResampleFilter filter)
    {
        ResampleAxis axis = new(from, to, filter);
        int[] first = new int[to], count = new int[to], weights = new int[to * axis.MostTaps];
        for (int i = 0; i < to; i++)
        {
            (first[i], int end) = axis.Range(i);
            count[i] = end - first[i];
            axis.Fix(i, first[i], count[i], axis.Sum(i), 1, weights.AsSpan(i * axis.MostTaps, count[i]));
        }

        return new ResizeTaps(to, axis.MostTaps, bench.Upload(first), bench.Upload(count), bench.Upload(weights));
    }
}
