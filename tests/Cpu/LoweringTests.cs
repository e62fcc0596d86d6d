using NUnit.Framework;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;
using TinyZsad.Tests.Graph;

namespace TinyZsad.Tests.Cpu;

/// <summary>
/// Tests each operation on the CPU against a plain computation in double precision: on whole values and on windows, with sizes
/// that are divided into several items, with one thread and with three. The kernels have their own tests for error bounds. A
/// tolerance of 1e-5 of the largest value, about a hundred roundings, is enough to detect wrong wiring.
/// </summary>
[TestFixture]
internal sealed class LoweringTests
{
    private const double Tolerance = 1e-5;

    /// <summary>Represents an operation on matrices of random numbers.</summary>
    /// <param name="Sizes">The sizes of its inputs.</param>
    /// <param name="Build">Adds the operation to a graph.</param>
    /// <param name="Expected">Computes the expected result.</param>
    /// <param name="Strided">Whether its inputs may be windows on some columns.</param>
    public sealed record Case(string Name, (int Rows, int Columns)[] Sizes, Func<ComputeGraph, Value[], Value> Build,
        Func<double[][,], double[,]> Expected, bool Strided = true)
    {
        public override string ToString() => Name;
    }

    private static readonly float[] Weights24x40 = Numbers.Random(1, 24 * 40), Weights40x24 = Numbers.Random(2, 40 * 24),
        HalfWeights = Numbers.Random(3, 24 * 40);
    private static readonly float[] Vector40 = Numbers.Random(4, 40), OtherVector40 = Numbers.Random(5, 40),
        Vector24 = Numbers.Random(6, 24);
    private static readonly float[] Table = Numbers.Random(7, 44 * 40), Prefix = Numbers.Random(8, 3 * 40);
    private static readonly float[] Cos = Numbers.Random(9, 36 * 5), Sin = Numbers.Random(10, 36 * 5);

    private static Parameter Matrix(float[] values, int rows, int columns) => Numbers.Weight("w", values, rows, columns);

    private static Parameter Vector(float[] values) => Numbers.Weight("v", values, values.Length);

    public static IEnumerable<Case> Cases()
    {
        Parameter half = Numbers.HalfWeight("w", HalfWeights, 24, 40);
        yield return new("linear", [(700, 40)], (g, x) => g.Linear(x[0], Matrix(Weights24x40, 24, 40), Vector(Vector24)),
            x => Make(700, 24, (r, c) => Vector24[c] + Dot(40, k => x[0][r, k] * Weights24x40[c * 40 + k])));
        yield return new("linear of halves, no bias", [(700, 40)], (g, x) => g.Linear(x[0], half),
            x => Make(700, 24, (r, c) => Dot(40, k => x[0][r, k] * HalfWeights[c * 40 + k])));
        yield return new("linear [in, out]", [(700, 40)],
            (g, x) => g.Linear(x[0], Matrix(Weights40x24, 40, 24), Vector(Vector24), WeightLayout.InOut),
            x => Make(700, 24, (r, c) => Vector24[c] + Dot(40, k => x[0][r, k] * Weights40x24[k * 24 + c])));
        yield return new("layer norm", [(700, 40)], (g, x) => g.LayerNorm(x[0], Vector(Vector40), Vector(OtherVector40), 1e-3f),
            x => LayerNorm(x[0], Vector40, OtherVector40, 1e-3f));
        foreach (ActivationFunction f in new ActivationFunction[] { ActivationKind.None, ActivationKind.Gelu,
            ActivationKind.QuickGelu, ActivationKind.Sigmoid, new(ActivationKind.LeakyRelu, 0.2f) })
        {
            yield return new($"{f.Kind}", [(700, 40)], (g, x) => g.Activate(x[0], f),
                x => Make(700, 40, (r, c) => Activate(f, x[0][r, c])));
            yield return new($"linear, {f.Kind}", [(60, 40)],
                (g, x) => g.Activate(g.Linear(x[0], Matrix(Weights24x40, 24, 40)), f),
                x => Make(60, 24, (r, c) => Activate(f, Dot(40, k => x[0][r, k] * Weights24x40[c * 40 + k]))));
        }
        yield return new("scale", [(700, 40)], (g, x) => g.Scale(x[0], Vector(Vector40)),
            x => Make(700, 40, (r, c) => x[0][r, c] * Vector40[c]));
        yield return new("add", [(700, 40), (700, 40)], (g, x) => g.Add(x[0], x[1]),
            x => Make(700, 40, (r, c) => x[0][r, c] + x[1][r, c]));
        yield return new("add itself", [(700, 40)], (g, x) => g.Add(x[0], x[0]), x => Make(700, 40, (r, c) => 2 * x[0][r, c]));
        yield return new("subtract", [(700, 40), (700, 40)], (g, x) => g.Subtract(x[0], x[1]),
            x => Make(700, 40, (r, c) => x[0][r, c] - x[1][r, c]));
        yield return new("mean of one", [(700, 40)], (g, x) => g.Mean(x[0]), x => x[0], Strided: false);
        yield return new("mean of three", [(700, 40), (700, 40), (700, 40)], (g, x) => g.Mean(x),
            x => Make(700, 40, (r, c) => (x[0][r, c] + x[1][r, c] + x[2][r, c]) / 3), Strided: false);
        yield return new("add rows", [(704, 40)], (g, x) => g.AddRows(x[0], Matrix(Table, 44, 40)),
            x => Make(704, 40, (r, c) => x[0][r, c] + Table[r % 44 * 40 + c]));
        yield return new("add one row", [(700, 40)], (g, x) => g.AddRows(x[0], Vector(Vector40)),
            x => Make(700, 40, (r, c) => x[0][r, c] + Vector40[c]));
        yield return new("prepend rows", [(700, 40)], (g, x) => g.PrependRows(x[0], Matrix(Prefix, 3, 40), Vector(Vector40)),
            x => Make(704, 40, (r, c) => r < 3 ? Prefix[r * 40 + c] : r == 3 ? Vector40[c] : x[0][r - 4, c]));
        yield return new("concatenate", [(500, 40), (410, 40)], (g, x) => g.Concatenate(x[0], x[1]),
            x => Make(910, 40, (r, c) => r < 500 ? x[0][r, c] : x[1][r - 500, c]));
        yield return new("L2 normalise", [(700, 40)], (g, x) => g.L2Normalize(x[0]),
            x => Make(700, 40, (r, c) => x[0][r, c] / Math.Sqrt(Dot(40, k => x[0][r, k] * x[0][r, k]))));
        yield return new("dot rows", [(900, 40), (3, 40)], (g, x) => g.DotRows(x[0], x[1], 2.5f),
            x => Make(900, 3, (r, j) => 2.5 * Dot(40, k => x[0][r, k] * x[1][j, k])), Strided: false);
        yield return new("bilinear, aligned corners", [(30, 1)],
            (g, x) => g.Bilinear(x[0], 5, 6, 161, 143, BilinearMode.AlignCorners),
            x => Bilinear(x[0], 5, 6, 161, 143, (i, n, m) => i * (n - 1.0) / (m - 1)), Strided: false);
        yield return new("bilinear, half pixels", [(30, 1)], (g, x) => g.Bilinear(x[0], 5, 6, 161, 143, BilinearMode.HalfPixel),
            x => Bilinear(x[0], 5, 6, 161, 143, (i, n, m) => Math.Max(0, (i + 0.5) * n / m - 0.5)), Strided: false);
        yield return new("patchify", [(70 * 85, 3)], (g, x) => g.Patchify(x[0], 70, 85, 8),
            x => Make(80, 192, (p, i) => x[0][(p / 10 * 8 + i % 64 / 8) * 85 + p % 10 * 8 + i % 8, i / 64]), Strided: false);
        yield return new("rotary", [(39, 40)],
            (g, x) => g.Rotary(x[0], 4, new RotaryTable(Matrix(Cos, 36, 5), Matrix(Sin, 36, 5), 3)), x => Rotate(x[0], 4, 3));
        yield return new("attention", [(37, 40), (37, 40), (37, 40)], (g, x) => g.Attention(x[0], x[1], x[2], 4),
            x => Attend(x[0], x[1], x[2], 4, 1));
        yield return new("attention of a batch, fewer queries than keys", [(15, 40), (60, 40), (60, 40)],
            (g, x) => g.Attention(x[0], x[1], x[2], 2, 5), x => Attend(x[0], x[1], x[2], 2, 5));
        yield return new("attention, rotated", [(39, 40), (39, 40), (39, 40)],
            (g, x) => g.Attention(Rotary(g, x[0]), Rotary(g, x[1]), x[2], 4),
            x => Attend(Rotate(x[0], 4, 3), Rotate(x[1], 4, 3), x[2], 4, 1));
        yield return new("attention, keys rotated", [(39, 40), (39, 40), (39, 40)],
            (g, x) => g.Attention(x[0], Rotary(g, x[1]), x[2], 4), x => Attend(x[0], Rotate(x[1], 4, 3), x[2], 4, 1));
        yield return new("attention, rotated in other heads", [(39, 40), (39, 40), (39, 40)],
            (g, x) => g.Attention(Rotary(g, x[0]), Rotary(g, x[1]), x[2], 2),
            x => Attend(Rotate(x[0], 4, 3), Rotate(x[1], 4, 3), x[2], 2, 1));
        yield return new("attention of a batch, rotated as a whole", [(39, 40), (39, 40), (39, 40)],
            (g, x) => g.Attention(Rotary(g, x[0]), Rotary(g, x[1]), x[2], 4, 3),
            x => Attend(Rotate(x[0], 4, 3), Rotate(x[1], 4, 3), x[2], 4, 3));
        yield return new("attention, prefixes that differ", [(39, 40), (37, 40), (37, 40)],
            (g, x) => g.Attention(Rotary(g, x[0]), Rotary(g, x[1], 1), x[2], 4),
            x => Attend(Rotate(x[0], 4, 3), Rotate(x[1], 4, 1), x[2], 4, 1));
    }

    /// <summary>Lists the operations on maps, [height * width, channels].</summary>
    public static IEnumerable<Case> MapCases()
    {
        // Some are large enough for several items; one is a single pixel.
        foreach ((int height, int width, int inputs, int outputs) in new[] { (70, 61, 5, 18), (61, 70, 3, 24), (1, 1, 3, 2),
            (1, 9, 4, 3), (9, 2, 1, 1) })
        {
            foreach (int stride in new[] { 1, 2 })
            {
                float[] dense = Numbers.Random(11, 9 * inputs * outputs), bias = Numbers.Random(12, outputs),
                    depthwise = Numbers.Random(13, 9 * inputs), shift = Numbers.Random(14, inputs);
                Parameter w = Numbers.Weight("w", dense, 3, 3, inputs, outputs), b = Vector(bias),
                    d = Numbers.Weight("d", depthwise, 3, 3, inputs), e = Vector(shift);
                string size = $"{height} x {width} by {stride}";
                yield return new($"conv {size}", [(height * width, inputs)], (g, x) => g.Conv(x[0], height, width, stride, w, b),
                    x => Convolve(height, width, stride, outputs,
                        (p, v, n) => Dot(inputs, k => x[0][p, k] * dense[(v * inputs + k) * outputs + n]), bias), Strided: false);
                yield return new($"conv {size}, Gelu", [(height * width, inputs)],
                    (g, x) => g.Activate(g.Conv(x[0], height, width, stride, w, b), ActivationKind.Gelu),
                    x =>
                        Gelu(
                            Convolve(height, width, stride, outputs, (p, v, n) =>
                            Dot(inputs, k => x[0][p, k] * dense[(v * inputs + k) * outputs + n]), bias)), Strided: false);
                yield return new($"depthwise {size}", [(height * width, inputs)],
                    (g, x) => g.DepthwiseConv(x[0], height, width, stride, d, e),
                    x => Convolve(height, width, stride, inputs, (p, v, n) => x[0][p, n] * depthwise[v * inputs + n], shift),
                    Strided: false);
                yield return new($"depthwise {size}, Gelu", [(height * width, inputs)],
                    (g, x) => g.Activate(g.DepthwiseConv(x[0], height, width, stride, d, e), ActivationKind.Gelu),
                    x =>
                        Gelu(Convolve(height, width, stride, inputs, (p, v, n) => x[0][p, n] * depthwise[v * inputs + n], shift)),
                            Strided: false);
            }
        }
        // Windows that fit; padding on the right, at the bottom, or both; a window larger than the map.
        foreach ((int height, int width, int window, int heads, int d) in new[] { (8, 12, 4, 2, 8), (6, 6, 6, 3, 5),
            (8, 9, 4, 2, 16), (7, 8, 4, 1, 32), (7, 5, 3, 2, 4), (3, 5, 8, 2, 8), (4, 4, 1, 1, 3) })
        {
            int rows = height * width + (height % window != 0 || width % window != 0 ? 1 : 0), side = 2 * window - 1;
            float[] bias = Numbers.Random(15, heads * side * side);
            yield return new($"windows of {window} on {height} x {width}", [(rows, heads * 3 * d)],
                (g, x) =>
                    g.WindowAttention(x[0], heads, height, width, window, Numbers.Weight("biases", bias, heads, side * side)),
                x => AttendWindows(x[0], height, width, window, heads, bias));
        }
        yield return new("mean of rows", [(700, 40)], (g, x) => g.MeanRows(x[0]),
            x => Make(1, 40, (_, c) => Dot(700, r => x[0][r, c]) / 700));
        yield return new("mean of one row", [(1, 40)], (g, x) => g.MeanRows(x[0]), x => x[0]);
        foreach (int k in new[] { 1, 17, 2799, 2800 })
        {
            yield return new($"mean of the {k} largest", [(70, 40)], (g, x) => g.TopKMean(x[0], k),
                x => Make(1, 1, (_, _) => x[0].Cast<double>().OrderDescending().Take(k).Average()), Strided: false);
        }
    }

    private static Value Rotary(ComputeGraph g, Value x, int prefix = 3) =>
        g.Rotary(x, 4, new RotaryTable(Matrix(Cos, 36, 5), Matrix(Sin, 36, 5), prefix));

    [TestCaseSource(nameof(Cases)), TestCaseSource(nameof(MapCases))]
    public void GivesWhatItsDefinitionGives(Case operation)
    {
        foreach (bool windows in new[] { false, true })
        {
            foreach (int threads in new[] { 1, 3 })
            {
                ComputeGraph g = new();
                Value[] values = new Value[operation.Sizes.Length];
                double[][,] numbers = new double[values.Length][,];
                Dictionary<string, Array> inputs = [];
                for (int i = 0; i < values.Length; i++)
                {
                    (int rows, int columns) = operation.Sizes[i];
                    (int above, int left, int right) = (
                        windows ? 2 : 0, windows && operation.Strided ? 3 : 0, windows && operation.Strided ? 2 : 0);
                    int stride = left + columns + right;
                    float[] x = Numbers.Random(100 + i, (above + rows + above) * stride);
                    inputs[$"x{i}"] = x;
                    Value whole = g.Input($"x{i}", above + rows + above, stride);
                    values[i] = windows ? g.Columns(g.Rows(whole, above, rows), left, columns) : whole;
                    numbers[i] = Make(rows, columns, (r, c) => x[(above + r) * stride + left + c]);
                }
                g.Output("y", operation.Build(g, values));
                Compare(Plans.Run(Plans.Compile(g, threads: threads), inputs)["out.y"], operation.Expected(numbers),
                    $"windows {windows}, {threads} threads");
            }
        }
    }

    [Test]
    public void EmbeddingFetchesRowsOfATable()
    {
        int[] ids = [.. Enumerable.Range(0, 900).Select(i => i * 7 % 44)];
        ComputeGraph g = new();
        g.Output("y", g.Embedding(g.Input("ids", 900, 1, ValueKind.Int), Matrix(Table, 44, 40)));
        Compare(Plans.Run(Plans.Compile(g, threads: 3), new Dictionary<string, Array> { ["ids"] = ids })["out.y"],
            Make(900, 40, (r, c) => Table[ids[r] * 40 + c]), "");
    }

    [Test]
    public void GatheredQueriesAttendToTheirOwnSequence()
    {
        int[] rows = [3, 14, 25];
        float[] x = Numbers.Random(1, 30 * 40);
        ComputeGraph g = new();
        Value value = g.Input("x", 30, 40);
        g.Output("y", g.Attention(g.GatherRows(value, g.Input("rows", 3, 1, ValueKind.Int)), value, value, 2, 3));
        double[,] all = Make(30, 40, (r, c) => x[r * 40 + c]);
        Compare(Plans.Run(Plans.Compile(g), new Dictionary<string, Array> { ["x"] = x, ["rows"] = rows })["out.y"],
            Attend(Make(3, 40, (r, c) => all[rows[r], c]), all, all, 2, 3), "");
    }

    [Test]
    public void PixelsBecomeNormalisedChannels()
    {
        byte[] pixels = new byte[9000 * 3];
        new Random(1).NextBytes(pixels);
        float[] mean = [0.485f, 0.456f, 0.406f], std = [0.229f, 0.224f, 0.225f];
        ComputeGraph g = new();
        g.Output("y", g.NormalizeImage(g.Input("pixels", 9000, 3, ValueKind.Byte), mean, std));
        Compare(Plans.Run(Plans.Compile(g, threads: 3), new Dictionary<string, Array> { ["pixels"] = pixels })["out.y"],
            Make(9000, 3, (r, c) => (pixels[r * 3 + c] / 255.0 - mean[c]) / std[c]), "");
    }

    [Test]
    public void ARowOfZeroesStaysZeroWhenNormalised()
    {
        ComputeGraph g = new();
        g.Output("y", g.L2Normalize(g.Input("x", 1, 8)));
        Assert.That(Plans.Run(Plans.Compile(g), new Dictionary<string, Array> { ["x"] = new float[8] })["out.y"],
            Is.All.Zero);
    }

    [Test]
    public void TapsComeInTheOrderOfTheirLayout()
    {
        ComputeGraph g = new();
        Value x = g.Input("x", 2, 4);
        g.Output("y", g.Add(x, x));
        g.Tap("rows", x);
        g.Tap("channels", x, [4, 2], TapLayout.ChannelsFirst);
        g.Tap("heads", x, [2, 2, 2], TapLayout.HeadsFirst, 2);
        g.Tap("window", g.Columns(x, 1, 2));
        Dictionary<string, float[]> given = Plans.Run(
            Plans.Compile(g, _ => true), new Dictionary<string, Array> { ["x"] = new float[] { 1, 2, 3, 4, 5, 6, 7, 8 } });
        Assert.That(given["rows"], Is.EqualTo(new float[] { 1, 2, 3, 4, 5, 6, 7, 8 }));
        Assert.That(given["channels"], Is.EqualTo(new float[] { 1, 5, 2, 6, 3, 7, 4, 8 }));
        Assert.That(given["heads"], Is.EqualTo(new float[] { 1, 2, 5, 6, 3, 4, 7, 8 }));
        Assert.That(given["window"], Is.EqualTo(new float[] { 2, 3, 6, 7 }));
    }

    private static void Compare(float[] actual, double[,] expected, string what)
    {
        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        double largest = expected.Cast<double>().Max(Math.Abs), worst = 0;
        int i = 0;
        foreach (double e in expected)
            worst = Math.Max(worst, Math.Abs(e - actual[i++]) is var error && double.IsNaN(error) ? double.MaxValue : error);
        Assert.That(worst, Is.LessThanOrEqualTo(Tolerance * largest), what);
    }

    private static double[,] Make(int rows, int columns, Func<int, int, double> value)
    {
        double[,] y = new double[rows, columns];
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) y[r, c] = value(r, c);
        return y;
    }

    private static double Dot(int n, Func<int, double> term)
    {
        double sum = 0;
        for (int k = 0; k < n; k++) sum += term(k);
        return sum;
    }

    private static double[,] LayerNorm(double[,] x, float[] weight, float[] bias, float eps)
    {
        int n = x.GetLength(1);
        return Make(x.GetLength(0), n, (r, c) =>
        {
            double mean = Dot(n, k => x[r, k]) / n, variance = Dot(n, k => (x[r, k] - mean) * (x[r, k] - mean)) / n;
            return (x[r, c] - mean) / Math.Sqrt(variance + eps) * weight[c] + bias[c];
        });
    }

    private static double Activate(ActivationFunction f, double x) => f.Kind switch
    {
        ActivationKind.Gelu => default(Gelu).Scalar(x),
        ActivationKind.QuickGelu => x / (1 + Math.Exp(-1.702 * x)),
        ActivationKind.LeakyRelu => x > 0 ? x : f.Slope * x,
        ActivationKind.Sigmoid => 1 / (1 + Math.Exp(-x)),
        _ => x,
    };

    private static double[,] Bilinear(double[,] x, int h, int w, int height, int width, Func<int, int, int, double> source) =>
        Make(height * width, 1, (i, _) =>
    {
        double y = source(i / width, h, height), at = source(i % width, w, width);
        int y0 = (int)y, y1 = Math.Min(y0 + 1, h - 1), x0 = (int)at, x1 = Math.Min(x0 + 1, w - 1);
        double fy = y - y0, fx = at - x0;
        return (1 - fy) * ((1 - fx) * x[y0 * w + x0, 0] + fx * x[y0 * w + x1, 0])
            + fy * ((1 - fx) * x[y1 * w + x0, 0] + fx * x[y1 * w + x1, 0]);
    });

    private static double[,] Rotate(double[,] x, int heads, int prefix)
    {
        int width = x.GetLength(1) / heads;
        return Make(x.GetLength(0), x.GetLength(1), (r, c) =>
        {
            if (r < prefix) return x[r, c];
            int j = c % width, t = (r - prefix) * (width / 2) + j % (width / 2);
            double other = j < width / 2 ? -x[r, c + width / 2] : x[r, c - width / 2];
            return x[r, c] * Cos[t] + other * Sin[t];
        });
    }

    private static double[,] Attend(double[,] q, double[,] k, double[,] v, int heads, int batch)
    {
        int width = q.GetLength(1) / heads, queries = q.GetLength(0) / batch, keys = k.GetLength(0) / batch;
        return Make(q.GetLength(0), q.GetLength(1), (r, c) =>
        {
            int head = c / width * width, first = r / queries * keys;
            double[] weights = [.. Enumerable.Range(first, keys)
                .Select(j => Math.Exp(Dot(width, i => q[r, head + i] * k[j, head + i]) / Math.Sqrt(width)))];
            return Dot(keys, j => weights[j] / weights.Sum() * v[first + j, c]);
        });
    }

    /// <summary>
    /// Computes a 3 x 3 convolution with zero padding of one pixel, with term(pixel, tap of the kernel, output).
    /// </summary>
    private static double[,] Convolve(
        int height, int width, int stride, int outputs, Func<int, int, int, double> term, float[] bias)
    {
        int across = (width + stride - 1) / stride;
        return Make((height + stride - 1) / stride * across, outputs, (r, n) => bias[n] + Dot(9, v =>
        {
            int y = r / across * stride + v / 3 - 1, x = r % across * stride + v % 3 - 1;
            return y < 0 || y >= height || x < 0 || x >= width ? 0 : term(y * width + x, v, n);
        }));
    }

    private static double[,] Gelu(double[,] x) =>
        Make(x.GetLength(0), x.GetLength(1), (r, c) => Activate(ActivationKind.Gelu, x[r, c]));

    /// <summary>
    /// Computes window attention. Columns are [head][q k v][d]. If windows do not fit, row 0 stands for the padding and the map
    /// follows.
    /// </summary>
    private static double[,] AttendWindows(double[,] qkv, int height, int width, int window, int heads, float[] bias)
    {
        int d = qkv.GetLength(1) / heads / 3, map = qkv.GetLength(0) - height * width, side = 2 * window - 1;
        return Make(height * width, heads * d, (r, c) =>
        {
            int y = r / width, x = r % width, top = y / window * window, left = x / window * window, head = c / d;
            double[] weights = new double[window * window];
            int[] keys = new int[window * window];
            for (int i = 0; i < weights.Length; i++)
            {
                int v = top + i / window, u = left + i % window;
                int key = keys[i] = v < height && u < width ? map + v * width + u : 0;
                double score = Dot(d, k => qkv[map + r, head * 3 * d + k] * qkv[key, (head * 3 + 1) * d + k]) / Math.Sqrt(d);
                weights[i] = Math.Exp(score + bias[(head * side + v - y + window - 1) * side + u - x + window - 1]);
            }
            return Dot(weights.Length, i => weights[i] * qkv[keys[i], (head * 3 + 2) * d + c % d]) / weights.Sum();
        });
    }
}
