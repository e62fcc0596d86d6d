using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Formats;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>matmul.ptx</c>.</summary>
[TestFixture]
internal sealed class MatMulKernelTests
{
    private static readonly int[] Edges = [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129];

    private static readonly bool[] Both = [false, true];

    [Test]
    public void MultipliesAnyNumberOfRowsColumnsAndTerms()
    {
        int seed = 1;
        using KernelBench bench = new();
        Options options = new() { Bench = bench };
        foreach (MatMulTile tile in MatMulKernel.Tiles)
        {
            // Each size with others of which none has a divisor in common with the tiles, and all three together.
            foreach (int size in Edges)
            {
                Check(tile, size, 37, 43, seed++, options);
                Check(tile, 37, size, 43, seed++, options);
                Check(tile, 37, 43, size, seed++, options);
                Check(tile, size, size, size, seed++, options);
            }

            // More stages than the pipeline has, full and with tails, and several tiles of the result.
            foreach (int k in (int[])[191, 192, 256, 257, 383, 384, 448, 520]) Check(tile, 33, 40, k, seed++, options);
            Check(tile, 300, 200, 100, seed++, options);
        }
    }

    [Test]
    public void AppliesEveryCombinationOfWhatALinearLayerAdds()
    {
        int seed = 10_000;
        using KernelBench bench = new();
        foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
        {
            foreach (Added added in Enum.GetValues<Added>())
            {
                for (int bits = 0; bits < 16; bits++)
                {
                    MatMulTile tile = MatMulKernel.Tiles[seed % MatMulKernel.Tiles.Count];
                    Options options = new()
                    {
                        Bias = (bits & 1) != 0, Scale = (bits & 2) != 0, Added = added, Kind = kind, Last = (bits & 4) != 0,
                        HalfOut = (bits & 8) != 0, Bench = bench,
                    };
                    // Rows that four elements fit, and rows that they do not.
                    Check(tile, 19, 44, 24, seed++, options);
                    Check(tile, 19, 45, 24, seed++, options with { Gap = 2 });
                }
            }
        }
    }

    [Test]
    public void MultipliesEveryPictureOfABatch()
    {
        int seed = 20_000;
        foreach (MatMulTile tile in MatMulKernel.Tiles)
        {
            foreach (bool shared in Both)
                Check(tile, 35, 21, 50, seed++, new Options { Batch = 3, SharedWeights = shared, Added = Added.Floats, Bias = true });
        }
    }

    [Test]
    public void MultipliesALayerOfTheNetwork()
    {
        int seed = 30_000;
        foreach ((int m, int n, int k) in ((int, int, int)[])[(1029, 384, 384), (257, 1536, 384), (257, 384, 1536)])
        {
            foreach (int multiprocessors in (int[])[16, 108, 132])
            {
                Options options = new() { Bias = true, Kind = ActivationKind.Gelu, HalfOut = true, Multiprocessors = multiprocessors };
                Check(null, m, n, k, seed++, options, only: 4096);
            }
        }
    }

    [Test]
    public void GivesTheSameBitsInAnyOrderOfWarps()
    {
        foreach (MatMulTile tile in MatMulKernel.Tiles)
        {
            float[][] results = new float[4][];
            for (int i = 0; i < results.Length; i++)
                results[i] = Check(tile, 70, 90, 300, 40_000, new Options { Bias = true, Scale = true }, warps: i == 0 ? null : i);
            Assert.That(results[1..], Has.All.EqualTo(results[0]), tile.Kernel);
        }
    }

    [Test]
    public void LeavesNoNumberThatIsNotANumber()
    {
        foreach (ActivationKind kind in Enum.GetValues<ActivationKind>())
        {
            using KernelBench bench = new();
            TestMatrix x = bench.Input([float.NaN, 1, 2, 3], 2, 2, true, 6), w = bench.Input([1, 1], 1, 2, true, 6);
            TestMatrix y = bench.Output(2, 1);
            bench.Run(MatMulKernel.Create(new MatMulArgs(x.Device, w.Device, y.Device) { Activation = kind }, 108));
            float[] values = bench.Read(y);
            Assert.That(float.IsNaN(values[0]), Is.True, $"{kind}");
            Assert.That(float.IsNaN(values[1]), Is.False, $"{kind}");
        }
    }

    [Test]
    public void ChoosesTilesThatFillTheMultiprocessors()
    {
        // The small layers of a picture need small tiles, the large ones of a batch large ones.
        Assert.That(Rows(1029, 384, 384, 108), Is.LessThan(128));
        Assert.That(Rows(8 * 1029, 1536, 384, 108), Is.EqualTo(128));
        Assert.That(Rows(1, 384, 384, 108), Is.EqualTo(32));

        static int Rows(int m, int n, int k, int multiprocessors) =>
            MatMulKernel.Tiles.MinBy(t => MatMulKernel.Cycles(t, m, n, k, 1, multiprocessors)).Rows;
    }

    [Test]
    public void RefusesWhatDoesNotFit()
    {
        DeviceMatrix x = new(256, 4, 16, 16, Half: true), w = new(512, 6, 16, 16, Half: true), y = new(1024, 4, 6, 6);
        Assert.That(() => Create(x, w, y), Throws.Nothing);
        Assert.That(() => Create(x with { Columns = 15 }, w, y), Throws.ArgumentException);
        Assert.That(() => Create(x, w, y with { Rows = 3 }), Throws.ArgumentException);
        Assert.That(() => Create(x, w, y with { Columns = 7, Stride = 7 }), Throws.ArgumentException);
        Assert.That(() => Create(x with { Half = false }, w, y), Throws.ArgumentException);
        Assert.That(() => Create(x with { Address = 258 }, w, y), Throws.ArgumentException);
        Assert.That(() => Create(x, w with { Stride = 17 }, y), Throws.ArgumentException);
        Assert.That(() => Create(x with { Rows = 0 }, w, y with { Rows = 0 }), Throws.ArgumentException);
        Assert.That(() => MatMulKernel.Create(new MatMulArgs(x, w, y) { Residual = w }, 108), Throws.ArgumentException);
        Assert.That(() => MatMulKernel.Create(new MatMulArgs(x, w, y) { Batch = 0 }, 108), Throws.ArgumentException);

        static Launch Create(DeviceMatrix x, DeviceMatrix w, DeviceMatrix y) => MatMulKernel.Create(new MatMulArgs(x, w, y), 108);
    }

    /// <summary>Specifies what is added to a product.</summary>
    internal enum Added
    {
        Nothing,
        Halves,
        Floats,

        /// <summary>What y holds.</summary>
        InPlace,
    }

    internal sealed record Options
    {
        public bool Bias { get; init; }
        public bool Scale { get; init; }
        public Added Added { get; init; }
        public ActivationKind Kind { get; init; }
        public bool Last { get; init; }
        public bool HalfOut { get; init; }
        public bool SharedWeights { get; init; } = true;
        public int Batch { get; init; } = 1;
        public int Gap { get; init; }
        public int Multiprocessors { get; init; } = 108;

        /// <summary>Gets what is called with the counts of the launch.</summary>
        public Action<LaunchRecord>? OnLaunch { get; init; }

        /// <summary>Gets the emulated GPU; null for a new one.</summary>
        public KernelBench? Bench { get; init; }

        /// <summary>Gets the text to test in the place of <c>matmul.ptx</c>.</summary>
        public string? Ptx { get; init; }
    }

    /// <summary>Computes a product and compares it with the definition.</summary>
    internal static float[] Check(
        MatMulTile? tile, int m, int n, int k, int seed, Options? given = null, int? warps = null, int only = int.MaxValue)
    {
        Options o = given ?? new Options();
        using KernelBench? own = o.Bench is null ? new KernelBench(o.OnLaunch, warps) : null;
        KernelBench bench = o.Bench ?? own!;
        if (o.Ptx is not null) bench.Load("matmul", o.Ptx);
        int batch = o.Batch, weights = o.SharedWeights ? 1 : batch;
        // Rows of halves begin at multiples of 8 elements. The gap in between is never written.
        int gap = (8 - k % 8) % 8 + (seed % 2 == 0 ? 8 : 0);
        TestMatrix x = bench.Input(KernelBench.Normal(batch * m * k, seed), m, k, true, gap, batch);
        TestMatrix w = bench.Input(KernelBench.Normal(weights * n * k, seed + 1, 1 / Math.Sqrt(k)), n, k, true, gap, weights);
        float[] bias = KernelBench.Normal(n, seed + 2), scale = KernelBench.Normal(n, seed + 3);
        float[] residuals = KernelBench.Normal(batch * m * n, seed + 4);
        TestMatrix? residual = o.Added switch
        {
            Added.Nothing => null,
            Added.InPlace => bench.Input(residuals, m, n, o.HalfOut, o.Gap, batch),
            _ => bench.Input(residuals, m, n, o.Added == Added.Halves, o.Gap, batch),
        };
        TestMatrix y = o.Added == Added.InPlace ? residual! : bench.Output(m, n, o.HalfOut, o.Gap, batch);
        MatMulArgs args = new(x.Device, o.SharedWeights ? w.Device with { BatchStride = 0 } : w.Device, y.Device)
        {
            Bias = o.Bias ? bench.Upload(bias) : 0, Scale = o.Scale ? bench.Upload(scale) : 0, Residual = residual?.Device ?? default,
            Activation = new ActivationFunction(o.Kind, 0.01f), ActivateLast = o.Last, Batch = batch,
        };
        Launch launch = tile is { } t ? MatMulKernel.Create(args, t) : MatMulKernel.Create(args, o.Multiprocessors);
        bench.Run(launch);

        // The definition, and the size of what is added up.
        double[] exact = new double[batch * m * n], tolerances = new double[batch * m * n];
        int step = Math.Max(1, exact.Length / only);
        for (int i = 0; i < exact.Length; i += step)
        {
            int picture = i / (m * n), row = i / n % m, column = i % n;
            double sum = o.Bias ? bias[column] : 0, size = Math.Abs(sum);
            for (int j = 0; j < k; j++)
            {
                double term = x[picture, row, j] * w[o.SharedWeights ? 0 : picture, column, j];
                sum += term;
                size += Math.Abs(term);
            }

            // Products are exact. A tensor core may truncate sums, an error of 2^-23 of the sum so far for each term. Groups of warps
            // and the bias add at most 5 roundings.
            double error = (k + 5) * Math.ScaleB(size, -23), factor = o.Scale ? scale[column] : 1;
            double added = residual is null ? 0 : residual[picture, row, column];
            if (!o.Last) (sum, error) = Activate(o.Kind, sum, error);
            sum = sum * factor + added;
            error = error * Math.Abs(factor) + Math.ScaleB(Math.Abs(sum) + error * Math.Abs(factor), -24);
            if (o.Last) (sum, error) = Activate(o.Kind, sum, error);
            (exact[i], tolerances[i]) = (sum, error);
        }

        if (step == 1)
        {
            bench.Compare(y, (p, r, c) => exact[(p * m + r) * n + c], (p, r, c) => tolerances[(p * m + r) * n + c],
                $"{launch.Kernel}, {m} x {n}, k {k}, {o}");
        }
        else
        {
            bench.Compare(y, (p, r, c) => ((p * m + r) * n + c) % step == 0 ? exact[(p * m + r) * n + c] : 0,
                (p, r, c) => ((p * m + r) * n + c) % step == 0 ? tolerances[(p * m + r) * n + c] : double.MaxValue,
                $"{launch.Kernel}, {m} x {n}, k {k}, {o}");
        }

        return bench.Read(y);
    }

    /// <summary>Computes an activation of a number with an error, and the error of the result.</summary>
    private static (double Value, double Error) Activate(ActivationKind kind, double x, double error)
    {
        // The greatest slopes: GELU's is 1.129 at the square root of 2, QuickGELU's 1.1, sigmoid's 1/4.
        double slope = kind switch { ActivationKind.None or ActivationKind.LeakyRelu => 1, ActivationKind.Sigmoid => 0.25, _ => 1.13 };
        double own = kind == ActivationKind.None ? 0 : ElementwiseKernelTests.Tolerance(kind, Math.Abs(x) + error);
        return (ElementwiseKernelTests.Exact(kind, x), slope * error + own);
    }
}
