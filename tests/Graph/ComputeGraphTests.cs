using NUnit.Framework;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Graph;

/// <summary>
/// Tests that operands which do not fit together are rejected when they are added, with the name of the operation.
/// </summary>
[TestFixture]
internal sealed class ComputeGraphTests
{
    private static readonly Parameter Vector8 = Numbers.Weight("v8", 1, 8);
    private static readonly Parameter Vector7 = Numbers.Weight("v7", 1, 7);
    private static readonly Parameter Half8 = Numbers.HalfWeight("h8", new float[8], 8);
    private static readonly Parameter Matrix = Numbers.Weight("m", 2, 5, 8);
    private static readonly Parameter Cube = Numbers.Weight("cube", 2, 2, 2, 2);
    private static readonly Parameter Dense = Numbers.Weight("dense", 3, 3, 3, 8, 8),
        Depthwise = Numbers.Weight("depthwise", 4, 3, 3, 8);
    private static readonly Parameter Biases = Numbers.Weight("biases", 5, 2, 9);

    private static RotaryTable Table(int rows, int width, int prefix) =>
        new(Numbers.Weight("cos", 1, rows, width), Numbers.Weight("sin", 2, rows, width), prefix);

    private static TestCaseData Case(string name, string says, Action<ComputeGraph, Value, Value, Value> add) =>
        new TestCaseData(says, add).SetArgDisplayNames(name);

    /// <summary>Lists invalid calls. x and y are floats [12, 8]; ids are integers [12, 1].</summary>
    private static IEnumerable<TestCaseData> Wrong() =>
    [
        Case("linear: columns", "Linear m", (g, x, y, ids) => g.Linear(g.Columns(x, 0, 7), Matrix)),
        Case("linear: layout", "Linear m", (g, x, y, ids) => g.Linear(x, Matrix, layout: WeightLayout.InOut)),
        Case("linear: bias", "v7", (g, x, y, ids) => g.Linear(x, Matrix, Vector7)),
        Case("linear: bias of halves", "h8", (g, x, y, ids) => g.Linear(x, Numbers.Weight("s", 1, 8, 8), Half8)),
        Case("linear: integers", "Linear", (g, x, y, ids) => g.Linear(ids, Numbers.Weight("s", 1, 8, 1))),
        Case("layer norm: weight", "v7", (g, x, y, ids) => g.LayerNorm(x, Vector7, Vector8, 1e-5f)),
        Case("layer norm: bias", "v7", (g, x, y, ids) => g.LayerNorm(x, Vector8, Vector7, 1e-5f)),
        Case("layer norm: integers", "LayerNorm",
            (g, x, y, ids) => g.LayerNorm(ids, Numbers.Weight("a", 1, 1), Numbers.Weight("b", 1, 1), 0)),
        Case("attention: heads", "Attention: 3 heads", (g, x, y, ids) => g.Attention(x, x, x, 3)),
        Case("attention: no heads", "Attention: 0 heads", (g, x, y, ids) => g.Attention(x, x, x, 0)),
        Case("attention: widths", "Attention", (g, x, y, ids) => g.Attention(x, g.Columns(x, 0, 4), g.Columns(x, 0, 4), 2)),
        Case("attention: keys and values", "Attention", (g, x, y, ids) => g.Attention(x, x, g.Rows(x, 0, 6), 2)),
        Case("attention: batch", "Attention: 5 sequences", (g, x, y, ids) => g.Attention(x, x, x, 2, 5)),
        Case("attention: no batch", "Attention: 0 sequences", (g, x, y, ids) => g.Attention(x, x, x, 2, 0)),
        Case("rotary: rows", "Rotary", (g, x, y, ids) => g.Rotary(x, 2, Table(12, 2, 1))),
        Case("rotary: width", "Rotary", (g, x, y, ids) => g.Rotary(x, 2, Table(11, 4, 1))),
        Case("rotary: odd width", "Rotary", (g, x, y, ids) => g.Rotary(x, 8, Table(12, 1, 0))),
        Case("rotary: negative prefix", "Rotary", (g, x, y, ids) => g.Rotary(x, 2, Table(13, 2, -1))),
        Case("rotary: sines", "Rotary", (g, x, y, ids) =>
            g.Rotary(x, 2, new RotaryTable(Numbers.Weight("cos", 1, 12, 2), Numbers.Weight("sin", 1, 11, 2), 0))),
        Case("rotary: halves", "Rotary", (g, x, y, ids) =>
            g.Rotary(x, 2, new RotaryTable(Numbers.HalfWeight("cos", new float[24], 12, 2), Numbers.Weight("sin", 1, 12, 2), 0))),
        Case("activation: integers", "Activation", (g, x, y, ids) => g.Activate(ids, ActivationKind.Gelu)),
        Case("scale", "v7", (g, x, y, ids) => g.Scale(x, Vector7)),
        Case("add: rows", "Add", (g, x, y, ids) => g.Add(x, g.Rows(y, 0, 11))),
        Case("add: columns", "Add", (g, x, y, ids) => g.Add(x, g.Columns(y, 0, 7))),
        Case("add: integers", "Add", (g, x, y, ids) => g.Add(ids, ids)),
        Case("subtract", "Add", (g, x, y, ids) => g.Subtract(x, g.Rows(y, 0, 11))),
        Case("mean: nothing", "Mean", (g, x, y, ids) => g.Mean()),
        Case("mean: shapes", "Mean", (g, x, y, ids) => g.Mean(x, g.Rows(y, 0, 11))),
        Case("mean: strided", "Mean", (g, x, y, ids) => g.Mean(g.Columns(x, 0, 7), g.Columns(y, 0, 7))),
        Case("add rows: width", "v7", (g, x, y, ids) => g.AddRows(x, Vector7)),
        Case("add rows: period", "m [5, 8]", (g, x, y, ids) => g.AddRows(x, Matrix)),
        Case("embedding: floats", "Embedding m", (g, x, y, ids) => g.Embedding(g.Columns(x, 0, 1), Matrix)),
        Case("embedding: several columns", "Embedding m", (g, x, y, ids) => g.Embedding(x, Matrix)),
        Case("embedding: vector", "Embedding v8", (g, x, y, ids) => g.Embedding(ids, Vector8)),
        Case("embedding: cube", "Embedding cube", (g, x, y, ids) => g.Embedding(ids, Cube)),
        Case("gather: floats", "GatherRows", (g, x, y, ids) => g.GatherRows(x, g.Columns(y, 0, 1))),
        Case("gather: of integers", "GatherRows", (g, x, y, ids) => g.GatherRows(ids, ids)),
        Case("prepend", "PrependRows", (g, x, y, ids) => g.PrependRows(x, Vector8, Vector7)),
        Case("concatenate", "Concatenate", (g, x, y, ids) => g.Concatenate(x, g.Columns(y, 0, 7))),
        Case("L2: integers", "L2Normalize", (g, x, y, ids) => g.L2Normalize(ids)),
        Case("dot: columns", "DotRows", (g, x, y, ids) => g.DotRows(x, g.Columns(g.Rows(y, 0, 2), 0, 7), 1)),
        Case("dot: too many", "DotRows", (g, x, y, ids) => g.DotRows(x, y, 1)),
        Case("dot: strided", "DotRows", (g, x, y, ids) => g.DotRows(g.Columns(x, 0, 7), g.Columns(g.Rows(y, 0, 2), 0, 7), 1)),
        Case("bilinear: area", "Bilinear",
            (g, x, y, ids) => g.Bilinear(g.Input("map", 12, 1), 3, 5, 6, 6, BilinearMode.HalfPixel)),
        Case("bilinear: channels", "Bilinear", (g, x, y, ids) => g.Bilinear(x, 3, 4, 6, 6, BilinearMode.HalfPixel)),
        Case("bilinear: strided", "Bilinear",
            (g, x, y, ids) => g.Bilinear(g.Columns(x, 0, 1), 3, 4, 6, 6, BilinearMode.HalfPixel)),
        Case("bilinear: no size", "Bilinear",
            (g, x, y, ids) => g.Bilinear(g.Input("map", 12, 1), 3, 4, 0, 6, BilinearMode.HalfPixel)),
        Case("bilinear: negative", "Bilinear",
            (g, x, y, ids) => g.Bilinear(g.Input("map", 12, 1), -3, -4, 6, 6, BilinearMode.HalfPixel)),
        Case("bilinear: integers", "Bilinear", (g, x, y, ids) => g.Bilinear(ids, 3, 4, 6, 6, BilinearMode.HalfPixel)),
        Case("normalise: floats", "NormalizeImage", (g, x, y, ids) => g.NormalizeImage(g.Columns(x, 0, 3), [0, 0, 0], [1, 1, 1])),
        Case("normalise: channels", "NormalizeImage",
            (g, x, y, ids) => g.NormalizeImage(g.Input("b", 12, 4, ValueKind.Byte), [0, 0, 0], [1, 1, 1])),
        Case("normalise: mean", "NormalizeImage",
            (g, x, y, ids) => g.NormalizeImage(g.Input("b", 12, 3, ValueKind.Byte), [0, 0], [1, 1, 1])),
        Case("patchify: area", "Patchify", (g, x, y, ids) => g.Patchify(x, 3, 5, 2)),
        Case("patchify: patch", "Patchify", (g, x, y, ids) => g.Patchify(x, 3, 4, 4)),
        Case("patchify: no patch", "Patchify", (g, x, y, ids) => g.Patchify(x, 3, 4, 0)),
        Case("patchify: strided", "Patchify", (g, x, y, ids) => g.Patchify(g.Columns(x, 0, 3), 3, 4, 2)),
        Case("patchify: bytes", "Patchify", (g, x, y, ids) => g.Patchify(g.Input("b", 12, 3, ValueKind.Byte), 3, 4, 2)),
        Case("conv: area", "Conv dense", (g, x, y, ids) => g.Conv(x, 3, 5, 1, Dense, Vector8)),
        Case("conv: negative area", "Conv dense", (g, x, y, ids) => g.Conv(x, -3, -4, 1, Dense, Vector8)),
        Case("conv: channels", "Conv", (g, x, y, ids) => g.Conv(x, 3, 4, 1, Numbers.Weight("w", 1, 3, 3, 7, 8), Vector8)),
        Case("conv: size of the kernel", "Conv w",
            (g, x, y, ids) => g.Conv(x, 3, 4, 1, Numbers.Weight("w", 1, 5, 5, 8, 8), Vector8)),
        Case("conv: one row of a kernel", "Conv w",
            (g, x, y, ids) => g.Conv(x, 3, 4, 1, Numbers.Weight("w", 1, 1, 3, 8, 8), Vector8)),
        Case("conv: rank", "Conv depthwise", (g, x, y, ids) => g.Conv(x, 3, 4, 1, Depthwise, Vector8)),
        Case("conv: halves", "Conv w",
            (g, x, y, ids) => g.Conv(x, 3, 4, 1, Numbers.HalfWeight("w", new float[9 * 64], 3, 3, 8, 8), Vector8)),
        Case("conv: bias", "v7", (g, x, y, ids) => g.Conv(x, 3, 4, 1, Dense, Vector7)),
        Case("conv: no stride", "Conv dense", (g, x, y, ids) => g.Conv(x, 3, 4, 0, Dense, Vector8)),
        Case("conv: stride", "Conv dense", (g, x, y, ids) => g.Conv(x, 3, 4, 3, Dense, Vector8)),
        Case("conv: strided", "Conv w",
            (g, x, y, ids) => g.Conv(g.Columns(x, 0, 7), 3, 4, 1, Numbers.Weight("w", 1, 3, 3, 7, 8), Vector8)),
        Case("conv: integers", "Conv", (g, x, y, ids) => g.Conv(ids, 3, 4, 1, Numbers.Weight("w", 1, 3, 3, 1, 8), Vector8)),
        Case("depthwise: area", "DepthwiseConv depthwise", (g, x, y, ids) => g.DepthwiseConv(x, 3, 5, 1, Depthwise, Vector8)),
        Case("depthwise: channels", "DepthwiseConv",
            (g, x, y, ids) => g.DepthwiseConv(x, 3, 4, 1, Numbers.Weight("w", 1, 3, 3, 7), Vector8)),
        Case("depthwise: size of the kernel", "DepthwiseConv w",
            (g, x, y, ids) => g.DepthwiseConv(x, 3, 4, 1, Numbers.Weight("w", 1, 3, 1, 8), Vector8)),
        Case("depthwise: rank", "DepthwiseConv dense", (g, x, y, ids) => g.DepthwiseConv(x, 3, 4, 1, Dense, Vector8)),
        Case("depthwise: halves", "DepthwiseConv w",
            (g, x, y, ids) => g.DepthwiseConv(x, 3, 4, 1, Numbers.HalfWeight("w", new float[72], 3, 3, 8), Vector8)),
        Case("depthwise: bias", "v7", (g, x, y, ids) => g.DepthwiseConv(x, 3, 4, 1, Depthwise, Vector7)),
        Case("depthwise: stride", "DepthwiseConv depthwise", (g, x, y, ids) => g.DepthwiseConv(x, 3, 4, 3, Depthwise, Vector8)),
        Case("depthwise: strided", "DepthwiseConv w",
            (g, x, y, ids) => g.DepthwiseConv(g.Columns(x, 0, 7), 3, 4, 1, Numbers.Weight("w", 1, 3, 3, 7), Vector7)),
        Case("depthwise: integers", "DepthwiseConv",
            (g, x, y, ids) => g.DepthwiseConv(ids, 3, 4, 1, Numbers.Weight("w", 1, 3, 3, 1), Numbers.Weight("b", 1, 1))),
        Case("windows: no heads", "WindowAttention: 0 heads",
            (g, x, y, ids) => g.WindowAttention(g.Columns(x, 0, 6), 0, 2, 6, 2, Biases)),
        Case("windows: heads", "WindowAttention: [12, 8], 2 heads", (g, x, y, ids) => g.WindowAttention(x, 2, 2, 6, 2, Biases)),
        Case("windows: none", "windows of 0", (g, x, y, ids) => g.WindowAttention(g.Columns(x, 0, 6), 2, 2, 6, 0, Biases)),
        Case("windows: area", "map 2 x 4", (g, x, y, ids) => g.WindowAttention(g.Columns(x, 0, 6), 2, 2, 4, 2, Biases)),
        Case("windows: no row for the padding", "map 3 x 4",
            (g, x, y, ids) => g.WindowAttention(g.Columns(x, 0, 6), 2, 3, 4, 2, Biases)),
        Case("windows: a row for no padding", "map 2 x 4",
            (g, x, y, ids) => g.WindowAttention(g.Columns(g.Rows(x, 0, 9), 0, 6), 2, 2, 4, 2, Biases)),
        Case("windows: biases", "m has 40 values", (g, x, y, ids) => g.WindowAttention(g.Columns(x, 0, 6), 2, 2, 6, 2, Matrix)),
        Case("windows: biases of halves", "half",
            (g, x, y, ids) => g.WindowAttention(g.Columns(x, 0, 6), 2, 2, 6, 2, Numbers.HalfWeight("half", new float[18], 2, 9))),
        Case("windows: integers", "WindowAttention",
            (g, x, y, ids) => g.WindowAttention(g.Input("i", 12, 6, ValueKind.Int), 2, 2, 6, 2, Biases)),
        Case("mean of rows: integers", "MeanRows", (g, x, y, ids) => g.MeanRows(ids)),
        Case("top k: none", "TopKMean: 0 of [12, 8]", (g, x, y, ids) => g.TopKMean(x, 0)),
        Case("top k: too many", "TopKMean: 97 of [12, 8]", (g, x, y, ids) => g.TopKMean(x, 97)),
        Case("top k: strided", "TopKMean", (g, x, y, ids) => g.TopKMean(g.Columns(x, 0, 7), 3)),
        Case("top k: integers", "TopKMean", (g, x, y, ids) => g.TopKMean(ids, 3)),
        Case("patchify: four channels", "3 channels", (g, x, y, ids) => g.Patchify(g.Input("four", 12, 4), 3, 4, 1)),
        Case("rows: after the end", "window", (g, x, y, ids) => g.Rows(x, 10, 3)),
        Case("rows: before the start", "window", (g, x, y, ids) => g.Rows(x, -1, 3)),
        Case("rows: none", "window", (g, x, y, ids) => g.Rows(x, 3, 0)),
        Case("rows: past what integers hold", "window", (g, x, y, ids) => g.Rows(x, int.MaxValue, int.MaxValue)),
        Case("columns: after the end", "window", (g, x, y, ids) => g.Columns(x, 5, 4)),
        Case("output: window", "Output 'o'", (g, x, y, ids) => g.Output("o", g.Rows(x, 0, 2))),
        Case("output: integers", "Output 'o'", (g, x, y, ids) => g.Output("o", ids)),
        Case("output: twice", "out", (g, x, y, ids) => g.Output("out", y)),
        Case("input: twice", "x", (g, x, y, ids) => g.Input("x", 1, 1)),
        Case("input: empty", "rows", (g, x, y, ids) => g.Input("e", 0, 1)),
        Case("tap: shape", "Tap 't'", (g, x, y, ids) => g.Tap("t", x, [12, 9])),
        Case("tap: heads", "Tap 't'", (g, x, y, ids) => g.Tap("t", x, null, TapLayout.HeadsFirst, 3)),
        Case("tap: integers", "Tap 't'", (g, x, y, ids) => g.Tap("t", ids)),
        Case("another graph's value", "another graph", (g, x, y, ids) => g.Add(x, new ComputeGraph().Input("x", 12, 8))),
        Case("another graph's output", "another graph", (g, x, y, ids) => g.Output("o", new ComputeGraph().Input("x", 12, 8))),
    ];

    [TestCaseSource(nameof(Wrong))]
    public void IsRefused(string says, Action<ComputeGraph, Value, Value, Value> add)
    {
        ComputeGraph g = new();
        Value x = g.Input("x", 12, 8), y = g.Input("y", 12, 8), ids = g.Input("ids", 12, 1, ValueKind.Int);
        g.Output("out", g.Add(x, y));
        Assert.That(() => add(g, x, y, ids), Throws.InstanceOf<ArgumentException>().With.Message.Contains(says));
        Assert.That(g.Operations, Has.Count.EqualTo(1), "what is refused leaves nothing behind");
    }

    [Test]
    public void OperationsCarryTheScopeTheyWereAddedIn()
    {
        ComputeGraph g = new() { Scope = "here" };
        Value x = g.Activate(g.Input("x", 2, 8), ActivationKind.Gelu);
        g.Scope = "there";
        g.Linear(g.Activate(x, ActivationKind.Sigmoid), Matrix);
        Assert.That(g.Operations.Select(o => o.Label), Is.EqualTo(new[] { "here", "there", "m" }));
    }

    [Test]
    public void OnceCompiledItIsFrozen()
    {
        ComputeGraph g = new();
        Value x = g.Input("x", 2, 8), y = g.Activate(x, ActivationKind.Gelu);
        g.Output("y", y);
        Assert.That(g.IsFrozen, Is.False);
        using Plan plan = Plans.Compile(g);
        Assert.That(g.IsFrozen, Is.True);
        Assert.That(() => g.Activate(x, ActivationKind.Gelu), Throws.InvalidOperationException.With.Message.Contains("compiled"));
        Assert.That(() => g.Input("z", 1, 1), Throws.InvalidOperationException);
        Assert.That(() => g.Rows(x, 0, 1), Throws.InvalidOperationException);
        Assert.That(() => g.Tap("y", y), Throws.InvalidOperationException);
        Assert.That(() => g.Output("z", x), Throws.InvalidOperationException);
        Assert.That((g.Operations.Count, g.Taps.Count, g.Outputs.Count, g.Inputs.Count), Is.EqualTo((1, 0, 1, 1)));
        Assert.That(() => Plans.Reference.Compile(g).Dispose(), Throws.Nothing, "it can be compiled again");
    }
}
