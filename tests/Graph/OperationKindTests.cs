using System.Runtime.CompilerServices;
using NUnit.Framework;
using TinyZsad.Cpu;
using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Tests.Graph;

/// <summary>
/// Tests every kind of operation, found by reflection, on every device: it either computes the result of its reference
/// implementation or is rejected by name. The CPU pads rows of 1024 columns.
/// </summary>
[TestFixture]
internal sealed class OperationKindTests
{
    private const int Rows = 24, Columns = 1024, Narrow = 16, Side = 4;

    private static readonly Parameter Square = Numbers.Weight("square", 1, Columns, Columns),
        Vector = Numbers.Weight("vector", 2, Columns), Prefix = Numbers.Weight("prefix", 3, 2, Columns),
        Depthwise = Numbers.Weight("depthwise", 4, 3, 3, Columns), Dense = Numbers.Weight("dense", 5, 3, 3, Columns, Columns),
        Biases = Numbers.Weight("biases", 6, 2, 7 * 7), Small = Numbers.Weight("small", 9, Narrow, Narrow),
        Biased = Numbers.Weight("bias", 10, Narrow), SmallDepthwise = Numbers.Weight("small depthwise", 11, 3, 3, Narrow);

    private static readonly RotaryTable Table =
        new(Numbers.Weight("cos", 7, Rows - 1, Columns / 4), Numbers.Weight("sin", 8, Rows - 1, Columns / 4), 1);

    /// <summary>Provides the inputs of a graph with one operation.</summary>
    private sealed record Inputs(ComputeGraph Graph)
    {
        public Value X { get; } = Graph.Input("x", Rows, Columns);
        public Value Y { get; } = Graph.Input("y", Rows, Columns);
        public Value Numbers { get; } = Graph.Input("numbers", Rows, 1, ValueKind.Int);
        public Value Pixels { get; } = Graph.Input("pixels", Rows, 3, ValueKind.Byte);
        public Value Channel { get; } = Graph.Input("channel", Rows, 1);
        public Value Colours { get; } = Graph.Input("colours", Rows, 3);
        public Value Map { get; } = Graph.Input("map", Side * Side, Columns);
        public Value NarrowMap { get; } = Graph.Input("narrow", Side * Side, Narrow);
        public Value Qkv { get; } = Graph.Input("qkv", Side * Side, 3 * Columns);
    }

    /// <summary>The graphs of each kind of operation.</summary>
    private static readonly Dictionary<Type, Func<ComputeGraph, Inputs, Value>> Kinds = new()
    {
        [typeof(LinearOperation)] = (g, i) => g.Linear(i.X, Square, Vector),
        [typeof(LayerNormOperation)] = (g, i) => g.LayerNorm(i.X, Vector, Vector, 1e-5f),
        [typeof(AttentionOperation)] = (g, i) => g.Attention(i.X, i.Y, i.X, 2),
        [typeof(RotaryOperation)] = (g, i) => g.Rotary(i.X, 2, Table),
        [typeof(ActivationOperation)] = (g, i) => g.Activate(i.X, ActivationKind.Gelu),
        [typeof(ScaleOperation)] = (g, i) => g.Scale(i.X, Vector),
        [typeof(AddOperation)] = (g, i) => g.Subtract(i.X, i.Y),
        [typeof(MeanOperation)] = (g, i) => g.Mean(i.X, i.Y),
        [typeof(AddRowsOperation)] = (g, i) => g.AddRows(i.X, Prefix),
        [typeof(EmbeddingOperation)] = (g, i) => g.Embedding(i.Numbers, Square),
        [typeof(GatherRowsOperation)] = (g, i) => g.GatherRows(i.X, i.Numbers),
        [typeof(PrependRowsOperation)] = (g, i) => g.PrependRows(i.X, Prefix),
        [typeof(ConcatenateOperation)] = (g, i) => g.Concatenate(i.X, i.Y),
        [typeof(L2NormalizeOperation)] = (g, i) => g.L2Normalize(i.X),
        [typeof(DotRowsOperation)] = (g, i) => g.DotRows(i.X, g.Rows(i.Y, 1, 2), 3),
        [typeof(BilinearOperation)] = (g, i) => g.Bilinear(i.Channel, 4, 6, 9, 7, BilinearMode.HalfPixel),
        [typeof(NormalizeImageOperation)] = (g, i) => g.NormalizeImage(i.Pixels, [0.4f, 0.5f, 0.6f], [0.2f, 0.3f, 0.4f]),
        [typeof(PatchifyOperation)] = (g, i) => g.Patchify(i.Colours, 4, 6, 2),
        [typeof(ConvOperation)] = (g, i) => g.Conv(i.Map, Side, Side, 1, Dense, Vector),
        [typeof(DepthwiseConvOperation)] = (g, i) => g.DepthwiseConv(i.Map, Side, Side, 2, Depthwise, Vector),
        [typeof(BottleneckOperation)] = (g, i) => g.Linear(g.DepthwiseConv(g.Linear(i.NarrowMap, Small, Biased), Side, Side, 1,
            SmallDepthwise, Biased), Small, Biased),
        [typeof(WindowAttentionOperation)] = (g, i) => g.WindowAttention(i.Qkv, 2, Side, Side, 4, Biases),
        [typeof(MeanRowsOperation)] = (g, i) => g.MeanRows(i.X),
        [typeof(TopKMeanOperation)] = (g, i) => g.TopKMean(i.X, 5),
        [typeof(MatMulOperation)] = (g, i) => g.MatMul(i.X, i.Y, transposed: true),
        [typeof(SoftmaxOperation)] = (g, i) => g.Softmax(i.X),
        [typeof(ConstantOperation)] = (g, _) => g.Constant(Square),
        [typeof(GaussianBlurOperation)] = (g, i) => g.GaussianBlur(i.Channel, 4, 6, 0.8f),
    };

    public static IEnumerable<Type> AllKinds => typeof(Operation).Assembly.GetTypes()
        .Where(t => t.IsSubclassOf(typeof(Operation)) && !t.IsAbstract).OrderBy(t => t.Name);

    public static IEnumerable<Device> Devices => [Plans.Cpu(), Plans.Reference, Plans.EmulatedGpu];

    [Test]
    public void EachDeviceExecutesAKindOrSaysByNameThatItDoesNot(
        [ValueSource(nameof(AllKinds))] Type kind, [ValueSource(nameof(Devices))] Device device)
    {
        Assert.That(Kinds, Contains.Key(kind), "a new kind needs a graph here");
        string name = Operation.KindOf(kind);
        Plan? plan = null;
        try
        {
            plan = device.Compile(Graph(kind));
        }
        catch (NotSupportedException e)
        {
            Assert.That(e.Message, Does.Contain(name));
            return;
        }
        if (plan.Parts.Any(p => p.Kind == name))
        {
            using Plan plain = Plans.Reference.Compile(Graph(kind));
            float[] actual = Execute(plan), expected = Execute(plain);
            double largest = Math.Max(1, expected.Max(v => Math.Abs(v)));
            Assert.That(actual, Has.Length.EqualTo(expected.Length));
            // Halves err by 2^-12: of the inputs, of the weights and, in attention, of the powers.
            double tolerance = (device.ComputesInHalf ? Math.ScaleB(3, -12) : 1e-5) * largest;
            for (int i = 0; i < actual.Length; i++) Assert.That(actual[i], Is.EqualTo(expected[i]).Within(tolerance));
        }
        else
        {
            // Only fusion creates this operation, and this device does not fuse. It must reject the operation nevertheless.
            Assert.That(device, Is.InstanceOf<ReferenceDevice>().Or.SameAs(Plans.EmulatedGpu));
            if (device is not ReferenceDevice) return;
            Operation made = (Operation)RuntimeHelpers.GetUninitializedObject(kind);
            Assert.That(() => ReferenceOperations.Check(made), Throws.TypeOf<NotSupportedException>().With.Message.Contains(name));
        }
    }

    [Test]
    public void TheReferenceDeviceRefusesWhatFusionPutsIntoOperations()
    {
        Operation[] fused = [new LinearOperation(null!, null!, WeightLayout.OutIn, null) { Scale = Vector },
            new AttentionOperation(null!, null!, null!, 1, 1) { RotateKeys = Table },
            new DepthwiseConvOperation(null!, 1, 1, 1, null!, null!) { Activation = ActivationKind.Gelu }];
        foreach (Operation operation in fused)
        {
            Assert.That(() => ReferenceOperations.Check(operation),
                Throws.TypeOf<NotSupportedException>().With.Message.Contains(operation.Kind));
        }
    }

    private static ComputeGraph Graph(Type kind)
    {
        ComputeGraph g = new();
        g.Output("out", Kinds[kind](g, new Inputs(g)));
        return g;
    }

    private static float[] Execute(Plan plan)
    {
        byte[] pixels = new byte[Rows * 3];
        new Random(1).NextBytes(pixels);
        return Plans.Run(plan, new Dictionary<string, Array>
        {
            ["x"] = Numbers.Random(11, Rows * Columns),
            ["y"] = Numbers.Random(12, Rows * Columns),
            ["numbers"] = Enumerable.Range(0, Rows).Select(i => i * 5 % Rows).ToArray(),
            ["pixels"] = pixels,
            ["channel"] = Numbers.Random(13, Rows),
            ["colours"] = Numbers.Random(14, Rows * 3),
            ["map"] = Numbers.Random(15, Side * Side * Columns),
            ["narrow"] = Numbers.Random(17, Side * Side * Narrow),
            ["qkv"] = Numbers.Random(16, Side * Side * 3 * Columns),
        })["out.out"];
    }
}
