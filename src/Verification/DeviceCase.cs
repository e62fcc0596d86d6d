using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Verification;

/// <summary>Tells how a device computed a case.</summary>
/// <param name="Name">The name of the case.</param>
/// <param name="Error">The largest absolute error divided by the largest absolute value. NaN if a value is not a number.</param>
/// <param name="Tolerance">The limit of the error.</param>
/// <param name="Time">The time of the operation; null if it was not measured.</param>
/// <param name="Flops">The number of floating-point operations, two per multiply-add; 0 if memory bounds the operation.</param>
/// <param name="Bytes">The number of bytes read and written, including weights, each counted once.</param>
internal sealed record DeviceCaseResult(string Name, double Error, double Tolerance, TimeSpan? Time, long Flops, long Bytes)
{
    /// <summary>Gets whether the error is within the limit.</summary>
    public bool Passed => Error <= Tolerance;
}

/// <summary>
/// Represents one operation with random numbers, at the size that it has in a network or at an edge of what a device supports. A device
/// is compared with another one. Inputs and weights are halves, so that devices that store halves begin with the same numbers.
/// </summary>
/// <param name="Name">The operation and its size.</param>
/// <param name="Typical">Whether the size is that of a network. Such cases are worth timing.</param>
/// <param name="Tolerance">The limit of the error on a device that multiplies halves.</param>
/// <param name="Build">Adds the operation to a graph and returns its value.</param>
internal sealed record DeviceCase(string Name, bool Typical, double Tolerance, Func<ComputeGraph, DeviceCaseNumbers, Value> Build)
{
    /// <summary>
    /// The limit where products are from halves and sums are floats: attention rounds its weights to halves, which moves a result by up to
    /// 2^-11 of the largest value. Products err by less.
    /// </summary>
    private const double Products = 1e-3;

    /// <summary>The limit of everything else: sums of some thousand floats, and functions with an error of a few ulp.</summary>
    private const double Floats = 2e-5;

    /// <summary>Gets all cases.</summary>
    public static IReadOnlyList<DeviceCase> All { get; } =
    [
        // LiZAD's layers.
        Linear(1029, 384, 1152), Linear(1029, 384, 384, scaled: true), Linear(1029, 384, 1536, ActivationKind.Gelu),
        Linear(1029, 1536, 384, scaled: true), Linear(1024, 768, 384), Linear(2695, 512, 2048, ActivationKind.Gelu),
        // VisualAD's and EdgeZSAD's.
        Linear(1372, 1024, 4096, ActivationKind.QuickGelu), Linear(1372, 4096, 1024), Linear(16384, 96, 384, ActivationKind.Gelu),
        Linear(4096, 192, 576), Linear(256, 576, 2304, ActivationKind.Gelu),
        .. from m in (int[])[1, 17, 65] from n in (int[])[1, 9, 130] from k in (int[])[1, 33, 72] select Linear(m, k, n, typical: false),
        Attention(1029, 1029, 6, 64, prefix: 5), Attention(1372, 1372, 16, 64), Attention(77, 77, 8, 64, batch: 35),
        .. from q in (int[])[1, 63, 66] from d in (int[])[8, 20, 32, 64, 80] select Attention(q, 70, 2, d, typical: false),
        Windows(64, 16, 6), Windows(32, 32, 12), Windows(16, 16, 18), Windows(18, 7, 3, typical: false), Windows(5, 4, 2, typical: false),
        Case("LayerNorm 1029 x 384", Floats, true, (g, n) => g.LayerNorm(n.Input(g, 1029, 384), n.Vector(384), n.Vector(384), 1e-6f)),
        Case("LayerNorm 1372 x 1024", Floats, true, (g, n) => g.LayerNorm(n.Input(g, 1372, 1024), n.Vector(1024), n.Vector(1024), 1e-6f)),
        .. from c in (int[])[1, 33, 100, 1030]
           select Case($"LayerNorm 3 x {c}", Floats, false, (g, n) => g.LayerNorm(n.Input(g, 3, c), n.Vector(c), n.Vector(c), 1e-5f)),
        Case("Conv 512 x 512, 3 to 48", Products, true, (g, n) =>
            g.Conv(n.Input(g, 512 * 512, 3), 512, 512, 2, n.Floats(3, 3, 3, 48), n.Vector(48))),
        Case("Conv 256 x 256, 48 to 96", Products, true, (g, n) =>
            g.Conv(n.Input(g, 256 * 256, 48), 256, 256, 2, n.Floats(3, 3, 48, 96), n.Vector(96))),
        Case("Conv 7 x 5, 3 to 9", Products, false, (g, n) => g.Conv(n.Input(g, 35, 3), 7, 5, 1, n.Floats(3, 3, 3, 9), n.Vector(9))),
        Case("DepthwiseConv 128 x 128 of 384", Floats, true, (g, n) =>
            g.DepthwiseConv(n.Input(g, 128 * 128, 384), 128, 128, 1, n.Floats(3, 3, 384), n.Vector(384))),
        Case("DepthwiseConv 9 x 6 of 11, stride 2", Floats, false, (g, n) =>
            g.DepthwiseConv(n.Input(g, 54, 11), 9, 6, 2, n.Floats(3, 3, 11), n.Vector(11))),
        Case("Softmax 4 x 1369", Floats, true, (g, n) => g.Softmax(n.Input(g, 4, 1369))),
        Case("L2Normalize 1024 x 256", Floats, true, (g, n) => g.L2Normalize(n.Input(g, 1024, 256))),
        Case("DotRows 1024 x 256 by 2", Floats, true, (g, n) => g.DotRows(n.Input(g, 1024, 256), n.Input(g, 2, 256), 100)),
        Case("MatMul 4 x 1024 by 1369 transposed", Floats, true, (g, n) =>
            g.MatMul(n.Input(g, 4, 1024), n.Input(g, 1369, 1024), transposed: true)),
        Case("MatMul 4 x 1369 by 1024", Floats, true, (g, n) => g.MatMul(n.Input(g, 4, 1369), n.Input(g, 1369, 1024))),
        Case("MeanRows 256 x 576", Floats, true, (g, n) => g.MeanRows(n.Input(g, 256, 576))),
        Case("TopKMean 2683 of 268324", Floats, true, (g, n) => g.TopKMean(n.Input(g, 518 * 518, 1), 2683)),
        Case("TopKMean 3 of 7", Floats, false, (g, n) => g.TopKMean(n.Input(g, 7, 1), 3)),
        Case("Bilinear 32 to 518, corners", Floats, true, (g, n) =>
            g.Bilinear(n.Input(g, 1024, 1), 32, 32, 518, 518, BilinearMode.AlignCorners)),
        Case("Bilinear 37 to 518", Floats, true, (g, n) => g.Bilinear(n.Input(g, 1369, 1), 37, 37, 518, 518, BilinearMode.HalfPixel)),
        Case("GaussianBlur 518 x 518, sigma 4", Floats, true, (g, n) => g.GaussianBlur(n.Input(g, 518 * 518, 1), 518, 518, 4)),
        Case("NormalizeImage + Patchify 518 x 518 by 14", Floats, true, (g, n) => g.Patchify(g.NormalizeImage(
            n.Pixels(g, 518 * 518), [0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f]), 518, 518, 14)),
        Case("Mean of 4 maps of 518 x 518", Floats, true, (g, n) =>
            g.Mean(n.Input(g, 518 * 518, 1), n.Input(g, 518 * 518, 1), n.Input(g, 518 * 518, 1), n.Input(g, 518 * 518, 1))),
        Case("Mean of 9 values of 3 x 5", Floats, false, (g, n) =>
            g.Mean([.. Enumerable.Range(0, 9).Select(_ => n.Input(g, 3, 5))])),
    ];

    /// <summary>Computes the case on two devices and compares the results.</summary>
    /// <param name="device">The device.</param>
    /// <param name="definition">The device to compare with.</param>
    /// <param name="repeats">The number of times to repeat the operation for its time; 0 for no time.</param>
    public DeviceCaseResult Run(Device device, Device definition, int repeats = 0)
    {
        DeviceCaseNumbers numbers = new();
        ComputeGraph graph = new();
        graph.Output("y", Build(graph, numbers));
        using Plan plan = device.Compile(graph), exact = definition.Compile(graph);
        using Run run = plan.Rent(), exactRun = exact.Rent();
        numbers.Fill(run);
        numbers.Fill(exactRun);
        run.Execute();
        exactRun.Execute();
        double error = ErrorOf(run.Output("y"), exactRun.Output("y"));
        numbers.Fill(run);
        return new DeviceCaseResult(Name, error, Tolerance, repeats == 0 ? null : run.Measure(repeats),
            plan.Parts.Sum(p => p.Flops), plan.Parts.Sum(p => p.Bytes));
    }

    /// <summary>Computes the largest absolute error divided by the largest absolute expected value. NaN is the largest error.</summary>
    internal static double ErrorOf(ReadOnlySpan<float> actual, ReadOnlySpan<float> expected)
    {
        double error = 0, largest = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            double off = Math.Abs((double)actual[i] - expected[i]);
            if (off > error || (double.IsNaN(off) && !double.IsNaN(error))) error = off;
            largest = Math.Max(largest, Math.Abs(expected[i]));
        }

        return error / Math.Max(largest, 1e-6);
    }

    private static DeviceCase Case(string name, double tolerance, bool typical, Func<ComputeGraph, DeviceCaseNumbers, Value> build) =>
        new(name, typical, tolerance, build);

    private static DeviceCase Linear(int m, int k, int n, ActivationKind activation = ActivationKind.None, bool scaled = false,
        bool typical = true) =>
        new($"Linear {m} x {k} to {n}{(activation == ActivationKind.None ? "" : $", {activation}")}{(scaled ? ", scale, residual" : "")}",
            typical, Products, (g, numbers) =>
        {
            Value y = g.Linear(numbers.Input(g, m, k), numbers.Weight(n, k), numbers.Vector(n));
            if (activation != ActivationKind.None) y = g.Activate(y, activation);
            return scaled ? g.Add(numbers.Input(g, m, n), g.Scale(y, numbers.Vector(n))) : y;
        });

    private static DeviceCase Attention(int queries, int keys, int heads, int d, int? prefix = null, int batch = 1, bool typical = true) =>
        new($"Attention {batch} x {heads} heads of {d}, {queries} by {keys}{(prefix is null ? "" : ", positions")}", typical, Products,
            (g, n) =>
        {
            Value q = n.Input(g, batch * queries, heads * d), k = n.Input(g, batch * keys, heads * d);
            if (prefix is { } first)
            {
                RotaryTable table = new(n.Floats(queries - first, d / 2), n.Floats(queries - first, d / 2), first);
                (q, k) = (g.Rotary(q, heads, table), g.Rotary(k, heads, table));
            }

            return g.Attention(q, k, n.Input(g, batch * keys, heads * d), heads, batch);
        });

    private static DeviceCase Windows(int side, int window, int heads, bool typical = true) =>
        new($"WindowAttention {side} x {side} by {window}, {heads} heads of 32", typical, Products, (g, n) => g.WindowAttention(
            n.Input(g, side * side + (side % window == 0 ? 0 : 1), heads * 96), heads, side, side, window,
            n.Floats(heads, (2 * window - 1) * (2 * window - 1))));
}
