using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>window_attention.ptx</c>.</summary>
[TestFixture]
internal sealed class WindowAttentionKernelTests
{
    [Test]
    public void AttendsInWindowsOfAnySide()
    {
        int seed = 1;
        foreach ((int window, int height, int width) in ((int, int, int)[])
        [
            (1, 2, 3), (4, 8, 4), (4, 7, 9), (7, 14, 7), (7, 8, 13), (8, 16, 8), (8, 3, 9), (12, 13, 12), (14, 9, 15), (16, 16, 17),
            (24, 24, 25),
        ])
        {
            Assert.That(Check(window, height, width, 32, 2, 1, seed++), Is.EqualTo("window_attention_32"));
            Check(window, height, width, 32, 2, 1, seed++, halfOut: true);
        }
    }

    [Test]
    public void AttendsInLargeWindows() => Check(32, 33, 32, 32, 1, 1, 100);

    [Test]
    public void AttendsWithHeadsOfAnyWidth()
    {
        int seed = 200;
        foreach ((int d, string entry) in ((int, string)[])[(8, "32"), (16, "32"), (24, "32"), (40, "64"), (64, "64"), (72, "plain"),
            (1, "plain"), (33, "plain"), (260, "plain")])
        {
            Assert.That(Check(5, 9, 11, d, 2, 2, seed++), Is.EqualTo($"window_attention_{entry}"));
            Check(5, 5, 5, d, 2, 1, seed++, halfOut: true);
        }
    }

    [Test]
    public void AttendsInEveryPictureOfABatch()
    {
        Check(7, 15, 9, 32, 2, 3, 300, gap: 8);
        Check(7, 14, 14, 32, 2, 3, 301, gap: 8, halfOut: true);
        Assert.That(Check(7, 15, 9, 32, 1, 3, 302, gap: 3), Does.EndWith("plain"));
        Assert.That(Check(4, 5, 9, 32, 1, 3, 303, halfIn: false), Does.EndWith("plain"));
    }

    [Test]
    public void GivesTheSameBitsInAnyOrderOfWarps()
    {
        List<float[]> results = [];
        foreach (int? warps in (int?[])[null, 1, 2, 3]) Check(12, 13, 14, 32, 1, 1, 400, warps: warps, use: results.Add);
        Assert.That(results[1..], Has.All.EqualTo(results[0]));
    }

    [Test]
    public void RefusesWhatDoesNotFit()
    {
        DeviceMatrix qkv = new(256, 21, 3 * 32, 3 * 32, Half: true), y = new(8192, 20, 32, 32);
        WindowAttentionArgs right = new() { Qkv = qkv, Y = y, Heads = 2, Height = 4, Width = 5, Window = 4, Bias = 512, Batch = 1 };
        Assert.That(() => WindowAttentionKernel.Create(right), Throws.Nothing);
        Assert.That(() => WindowAttentionKernel.Create(right with { Heads = 3 }), Throws.ArgumentException);
        Assert.That(() => WindowAttentionKernel.Create(right with { Window = 0 }), Throws.ArgumentException);
        Assert.That(() => WindowAttentionKernel.Create(right with { Height = 5 }), Throws.ArgumentException);
        Assert.That(() => WindowAttentionKernel.Create(right with { Width = 4 }), Throws.ArgumentException);
        Assert.That(() => WindowAttentionKernel.Create(right with { Bias = 0 }), Throws.ArgumentException);
        Assert.That(() => WindowAttentionKernel.Create(right with { Batch = 0 }), Throws.ArgumentException);
    }

    /// <summary>Computes attention in windows, compares it with the definition, and gets the entry's name.</summary>
    internal static string Check(int w, int height, int width, int d, int heads, int batch, int seed, bool halfOut = false,
        bool halfIn = true, int gap = 0, int? warps = null, Action<float[]>? use = null,
        Action<LaunchRecord>? onLaunch = null, string? ptx = null)
    {
        using KernelBench bench = new(onLaunch, warps);
        if (ptx is not null) bench.Load("window_attention", ptx);
        int padding = height % w != 0 || width % w != 0 ? 1 : 0, rows = height * width + padding, columns = 3 * heads * d;
        int side = 2 * w - 1, tokens = w * w, across = (width + w - 1) / w, windows = (height + w - 1) / w * across;
        TestMatrix qkv = bench.Input(KernelBench.Normal(batch * rows * columns, seed), rows, columns, halfIn, gap, batch);
        float[] bias = KernelBench.Normal(heads * side * side, seed + 1000);
        TestMatrix y = bench.Output(height * width, heads * d, halfOut, gap, batch);
        Launch launch = WindowAttentionKernel.Create(new WindowAttentionArgs
        {
            Qkv = qkv.Device, Y = y.Device, Heads = heads, Height = height, Width = width, Window = w, Bias = bench.Upload(bias),
            Batch = batch,
        });
        bench.Run(launch);

        bool plain = launch.Kernel == "window_attention_plain";
        AttentionDefinition[] definitions = new AttentionDefinition[batch * windows * heads];
        for (int i = 0; i < definitions.Length; i++)
        {
            int picture = i / (windows * heads), window = i / heads % windows, head = i % heads;
            double[][,] parts = [new double[tokens, d], new double[tokens, d], new double[tokens, d]];
            for (int t = 0; t < tokens; t++)
            {
                int row = window / across * w + t / w, column = window % across * w + t % w;
                int from = row < height && column < width ? padding + row * width + column : 0;
                for (int c = 0; c < 3 * d; c++) parts[c / d][t, c % d] = qkv[picture, from, head * 3 * d + c];
            }

            // The bias lies at the key's place relative to the query's.
            definitions[i] = new AttentionDefinition(parts[0], parts[1], parts[2], (query, key) =>
                bias[head * side * side + (key / w - query / w + w - 1) * side + key % w - query % w + w - 1], 0, 0, plain);
        }

        (AttentionDefinition, int Token) At(int picture, int r, int c)
        {
            int row = r / width, column = r % width, window = row / w * across + column / w;
            return (definitions[(picture * windows + window) * heads + c / d], row % w * w + column % w);
        }

        bench.Compare(y, (p, r, c) => At(p, r, c) is var (a, token) ? a.Values[token, c % d] : 0,
            (p, r, c) => At(p, r, c) is var (a, token) ? a.Tolerances[token, c % d] : 0,
            $"{launch.Kernel}, windows of {w}, map {height} x {width}, d {d}, half {halfOut}, gap {gap}, batch {batch}");
        use?.Invoke(bench.Read(y));
        return launch.Kernel;
    }
}
