using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests <c>attention.ptx</c>.</summary>
[TestFixture]
internal sealed class AttentionKernelTests
{
    [Test]
    public void AttendsToAnyNumberOfKeysWithAnyWidth()
    {
        int seed = 1;
        using KernelBench bench = new();
        foreach (int d in (int[])[8, 16, 24, 32, 40, 64, 80, 128])
        {
            foreach ((int queries, int keys) in ((int, int)[])[(1, 1), (63, 5), (64, 64), (65, 63), (17, 65), (130, 130), (3, 200)])
                Assert.That(Check(queries, keys, d, heads: 2, seed++, new Options { Bench = bench }), Does.Not.EndWith("plain"));
        }
    }

    [Test]
    public void AttendsWithoutTensorCores()
    {
        int seed = 1000;
        using KernelBench bench = new();
        foreach (int d in (int[])[1, 7, 12, 33, 136, 200, 256, 257, 512, 520])
        {
            foreach ((int queries, int keys) in ((int, int)[])[(1, 1), (5, 9), (7, 66)])
                Assert.That(Check(queries, keys, d, heads: 2, seed++, new Options { Gap = 1, Bench = bench }), Does.EndWith("plain"));
        }

        // Formats and rows that only this entry takes.
        Assert.That(Check(9, 11, 32, 2, seed++, new Options { HalfIn = false }), Does.EndWith("plain"));
        Assert.That(Check(9, 11, 32, 2, seed++, new Options { Gap = 1 }), Does.EndWith("plain"));
    }

    [Test]
    public void TurnsQueriesAndKeysByTheirPositions()
    {
        int seed = 2000;
        using KernelBench bench = new();
        foreach (int d in (int[])[8, 16, 24, 32, 40, 64, 72, 80, 128, 6, 34, 300])
        {
            foreach (int prefix in (int[])[0, 1, 5])
            {
                // The entry without tensor cores takes its time here.
                int rows = AttentionKernel.Width(d) != 0 && d % 8 == 0 ? 70 : 20;
                Check(rows, rows, d, 2, seed++, new Options { TurnsQueries = true, TurnsKeys = true, Prefix = prefix, Bench = bench });
                Check(9, rows + 61, d, 1, seed++, new Options { TurnsKeys = true, Prefix = prefix, Bench = bench });
                Check(rows - 4, 9, d, 1, seed++, new Options { TurnsQueries = true, Prefix = prefix, Batch = 2, Bench = bench });
            }
        }
    }

    [Test]
    public void AttendsInEverySequenceOfABatch()
    {
        int seed = 3000;
        foreach (int d in (int[])[32, 64, 20])
        {
            foreach (bool halfOut in (bool[])[false, true])
                Check(70, 90, d, 3, seed++, new Options { Batch = 3, Gap = 8, HalfOut = halfOut });
        }
    }

    [Test]
    public void KeepsLargeProductsInRange()
    {
        // Products of some hundreds, all positive, all negative, and one key that outweighs all others.
        int seed = 4000;
        foreach (int d in (int[])[32, 64, 12])
        {
            foreach (double mean in (double[])[0, 3, -3])
                Check(20, 150, d, 2, seed++, new Options { Deviation = 5, Mean = mean });
        }
    }

    [Test]
    public void HidesNoNumberThatIsNotANumber()
    {
        // Key 70 of the second head is not a number: neither are the results of that head, and those of the first one are.
        foreach (int d in (int[])[16, 64, 128, 12])
        {
            using KernelBench bench = new();
            float[] keys = KernelBench.Normal(80 * 2 * d, d);
            keys[(70 * 2 + 1) * d] = float.NaN;
            TestMatrix x = bench.Input(KernelBench.Normal(80 * 2 * d, d + 1), 80, 2 * d, true);
            TestMatrix k = bench.Input(keys, 80, 2 * d, true), y = bench.Output(80, 2 * d);
            bench.Run(AttentionKernel.Create(new AttentionArgs
            {
                Q = x.Device, K = k.Device, V = x.Device, Y = y.Device, Heads = 2, Batch = 1,
            }));
            float[] values = bench.Read(y);
            for (int i = 0; i < values.Length; i++) Assert.That(float.IsNaN(values[i]), Is.EqualTo(i % (2 * d) >= d), $"{d}: {i}");
        }
    }

    [Test]
    public void GivesTheSameBitsInAnyOrderOfWarps()
    {
        foreach (int d in (int[])[32, 64, 128, 20])
        {
            List<float[]> results = [];
            foreach (int? warps in (int?[])[null, 1, 2, 3])
            {
                Check(70, 140, d, 1, 5000, new Options { TurnsQueries = true, TurnsKeys = true, Prefix = 1, Warps = warps, HalfOut = true },
                    results.Add);
            }

            Assert.That(results[1..], Has.All.EqualTo(results[0]), $"{d} columns");
        }
    }

    [Test]
    public void RefusesWhatDoesNotFit()
    {
        DeviceMatrix x = new(256, 4, 32, 32, Half: true);
        AttentionArgs right = new() { Q = x, K = x, V = x, Y = x, Heads = 2, Batch = 1 };
        Assert.That(() => AttentionKernel.Create(right), Throws.Nothing);
        Assert.That(() => AttentionKernel.Create(right with { Heads = 3 }), Throws.ArgumentException);
        Assert.That(() => AttentionKernel.Create(right with { Heads = 0 }), Throws.ArgumentException);
        Assert.That(() => AttentionKernel.Create(right with { Batch = 0 }), Throws.ArgumentException);
        Assert.That(() => AttentionKernel.Create(right with { K = x with { Rows = 3 } }), Throws.ArgumentException);
        Assert.That(() => AttentionKernel.Create(right with { Y = x with { Columns = 30 } }), Throws.ArgumentException);
        Assert.That(() => AttentionKernel.Create(right with { QueryCos = 256 }), Throws.ArgumentException);
        Assert.That(() => AttentionKernel.Create(right with { QueryCos = 256, QuerySin = 256, QueryPrefix = 5 }), Throws.ArgumentException);
        Assert.That(() => AttentionKernel.Create(right with { KeyCos = 256, KeySin = 256, Heads = 32 }), Throws.ArgumentException);
    }

    internal sealed record Options
    {
        public bool HalfIn { get; init; } = true;
        public bool HalfOut { get; init; }
        public bool TurnsQueries { get; init; }
        public bool TurnsKeys { get; init; }
        public int Prefix { get; init; }
        public int Batch { get; init; } = 1;
        public int Gap { get; init; }
        public double Deviation { get; init; } = 1;
        public double Mean { get; init; }
        public int? Warps { get; init; }

        /// <summary>Gets what is called with the counts of the launch.</summary>
        public Action<LaunchRecord>? OnLaunch { get; init; }

        /// <summary>Gets the emulated GPU; null for a new one.</summary>
        public KernelBench? Bench { get; init; }

        /// <summary>Gets the text to test in the place of <c>attention.ptx</c>.</summary>
        public string? Ptx { get; init; }
    }

    /// <summary>Computes attention, compares it with the definition, and gets the entry's name.</summary>
    internal static string Check(int queries, int keys, int d, int heads, int seed, Options? given = null, Action<float[]>? use = null)
    {
        Options o = given ?? new Options();
        using KernelBench? own = o.Bench is null ? new KernelBench(o.OnLaunch, o.Warps) : null;
        KernelBench bench = o.Bench ?? own!;
        if (o.Ptx is not null) bench.Load("attention", o.Ptx);
        int batch = o.Batch, columns = heads * d;
        float[] Numbers(int rows, int more) => KernelBench.Normal(batch * rows * columns, seed + 100_000 * more, o.Deviation, o.Mean);
        TestMatrix q = bench.Input(Numbers(queries, 1), queries, columns, o.HalfIn, o.Gap, batch);
        TestMatrix k = bench.Input(Numbers(keys, 2), keys, columns, o.HalfIn, o.Gap, batch);
        TestMatrix v = bench.Input(Numbers(keys, 3), keys, columns, o.HalfIn, o.Gap, batch);
        TestMatrix y = bench.Output(queries, columns, o.HalfOut, o.Gap, batch);
        (float[] Cos, float[] Sin) queryTable = Table(queries - o.Prefix, d), keyTable = Table(keys - o.Prefix, d);
        Launch launch = AttentionKernel.Create(new AttentionArgs
        {
            Q = q.Device, K = k.Device, V = v.Device, Y = y.Device, Heads = heads, Batch = batch,
            QueryCos = o.TurnsQueries ? bench.Upload(queryTable.Cos) : 0, QuerySin = o.TurnsQueries ? bench.Upload(queryTable.Sin) : 0,
            QueryPrefix = o.TurnsQueries ? o.Prefix : 0, KeyCos = o.TurnsKeys ? bench.Upload(keyTable.Cos) : 0,
            KeySin = o.TurnsKeys ? bench.Upload(keyTable.Sin) : 0, KeyPrefix = o.TurnsKeys ? o.Prefix : 0,
        });
        bench.Run(launch);

        bool plain = launch.Kernel == "attention_plain";
        AttentionDefinition[] definitions = new AttentionDefinition[batch * heads];
        for (int i = 0; i < definitions.Length; i++)
        {
            int picture = i / heads, head = i % heads;
            double[,] queryHead = Head(q, picture, head, d), keyHead = Head(k, picture, head, d);
            if (o.TurnsQueries) Turn(queryHead, queryTable, o.Prefix);
            if (o.TurnsKeys) Turn(keyHead, keyTable, o.Prefix);
            // An element that is turned errs by 3 e (|u cos| + |w sin|), e = 2^-24: a vector by 3 sqrt 2 e of its length. Those of a query
            // and a key change their product by 6 sqrt 2 e of both lengths.
            bool turned = o.TurnsQueries || o.TurnsKeys;
            definitions[i] = new AttentionDefinition(queryHead, keyHead, Head(v, picture, head, d), null,
                turned ? Math.ScaleB(9, -24) : 0, turned && !plain ? Math.ScaleB(1, -10) : 0, plain);
        }

        bench.Compare(y, (p, r, c) => definitions[p * heads + c / d].Values[r, c % d],
            (p, r, c) => definitions[p * heads + c / d].Tolerances[r, c % d], $"{launch.Kernel}, {queries} x {keys}, d {d}, {o}");
        use?.Invoke(bench.Read(y));
        return launch.Kernel;
    }

    private static (float[] Cos, float[] Sin) Table(int rows, int d)
    {
        float[] cos = new float[Math.Max(0, rows) * (d / 2)], sin = new float[cos.Length];
        for (int i = 0; i < cos.Length; i++)
        {
            double angle = (1 + i / (d / 2)) * Math.Pow(100, -(double)(i % (d / 2)) / (d / 2));
            (sin[i], cos[i]) = ((float)Math.Sin(angle), (float)Math.Cos(angle));
        }

        return (cos, sin);
    }

    private static double[,] Head(TestMatrix x, int picture, int head, int d)
    {
        double[,] result = new double[x.Device.Rows, d];
        for (int r = 0; r < x.Device.Rows; r++)
            for (int c = 0; c < d; c++) result[r, c] = x[picture, r, head * d + c];
        return result;
    }

    private static void Turn(double[,] x, (float[] Cos, float[] Sin) table, int prefix)
    {
        int d = x.GetLength(1);
        for (int r = prefix; r < x.GetLength(0); r++)
        {
            for (int c = 0; c < d / 2; c++)
            {
                double cos = table.Cos[(r - prefix) * (d / 2) + c], sin = table.Sin[(r - prefix) * (d / 2) + c];
                (x[r, c], x[r, c + d / 2]) = (x[r, c] * cos - x[r, c + d / 2] * sin, x[r, c + d / 2] * cos + x[r, c] * sin);
            }
        }
    }
}

/// <summary>Computes softmax(q kᵀ / sqrt d + biases) v of one head by the definition, and how far a kernel may be off.</summary>
internal sealed class AttentionDefinition
{
    /// <summary>Computes the result.</summary>
    /// <param name="q">The queries.</param>
    /// <param name="k">The keys.</param>
    /// <param name="v">The values.</param>
    /// <param name="bias">Gets the bias of a query and a key; null for none.</param>
    /// <param name="turned">The error of a product from computing positions in floats, relative to the product of the lengths.</param>
    /// <param name="rounded">The relative error of the products' terms, from rounding queries and keys to halves after it.</param>
    /// <param name="plain">Whether probabilities remain floats; otherwise they are rounded to halves.</param>
    public AttentionDefinition(
        double[,] q, double[,] k, double[,] v, Func<int, int, double>? bias, double turned, double rounded, bool plain)
    {
        int queries = q.GetLength(0), keys = k.GetLength(0), d = q.GetLength(1);
        double factor = 1 / Math.Sqrt(d);
        Values = new double[queries, d];
        Tolerances = new double[queries, d];
        double[] scores = new double[keys], errors = new double[keys];
        for (int i = 0; i < queries; i++)
        {
            double most = double.NegativeInfinity, largest = 0;
            for (int j = 0; j < keys; j++)
            {
                double sum = 0, size = 0, queryLength = 0, keyLength = 0;
                for (int c = 0; c < d; c++)
                {
                    sum += q[i, c] * k[j, c];
                    size += Math.Abs(q[i, c] * k[j, c]);
                    queryLength += q[i, c] * q[i, c];
                    keyLength += k[j, c] * k[j, c];
                }

                double added = bias is null ? 0 : bias(i, j);
                scores[j] = sum * factor + added;
                // A sum may be truncated at each term, 2^-23. The factor is a float times a float, log2 e, and is multiplied: 4 roundings
                // of the product, and of the bias 2, its product with log2 e and the sum.
                errors[j] = factor * (size * (d * Math.ScaleB(1, -23) + rounded) + turned * Math.Sqrt(queryLength * keyLength)) +
                    Math.ScaleB(4 * factor * Math.Abs(sum) + 2 * Math.Abs(added), -24);
                most = Math.Max(most, scores[j]);
                largest = Math.Max(largest, Math.Max(factor * Math.Abs(sum), Math.Abs(added)));
            }

            // What is common to all keys of a query cancels. Each tile of keys rounds the maximum's product anew: 2^-24 of it, and twice
            // that of the difference's.
            double common = Math.ScaleB(4 * largest, -24), total = 0, totalError = 0;
            double[] powers = new double[keys], powerErrors = new double[keys];
            for (int j = 0; j < keys; j++)
            {
                powers[j] = Math.Exp(scores[j] - most);
                // ex2.approx errs by 2 ulp, 2^-22, and once more for each tile whose maximum was smaller.
                double tiles = plain ? keys : (keys + 63) / 64;
                double relative = Math.Exp(errors[j] + common) - 1 + (1 + tiles) * Math.ScaleB(1, -22);
                // Powers below 2^-126 are flushed to 0.
                powerErrors[j] = powers[j] * relative + Math.ScaleB(1, -126);
                total += powers[j];
                totalError += powerErrors[j];
            }

            // Sums of the powers in floats, in any order; rcp.approx errs by 1 ulp, 2^-23.
            totalError += total * (keys + 4) * Math.ScaleB(1, -24);
            for (int c = 0; c < d; c++)
            {
                double sum = 0, size = 0, error = 0;
                for (int j = 0; j < keys; j++)
                {
                    sum += powers[j] * v[j, c];
                    size += powers[j] * Math.Abs(v[j, c]);
                    // A probability as half errs by 2^-11 of it, or by 2^-25 if it is subnormal.
                    double half = plain ? 0 : Math.ScaleB(powers[j] + powerErrors[j], -11) + Math.ScaleB(1, -25);
                    error += (powerErrors[j] + half) * Math.Abs(v[j, c]);
                }

                // Sums are truncated, 2^-23 a term, multiplied for each tile, merged, and multiplied by the reciprocal.
                error += size * (keys + 8) * Math.ScaleB(1, -23);
                double exact = sum / total;
                Values[i, c] = exact;
                Tolerances[i, c] = (error + Math.Abs(exact) * totalError) / (total - totalError) + Math.ScaleB(Math.Abs(exact), -22);
            }
        }
    }

    /// <summary>Gets the result.</summary>
    public double[,] Values { get; }

    /// <summary>Gets the largest errors in floats.</summary>
    public double[,] Tolerances { get; }
}
