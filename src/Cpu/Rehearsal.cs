using System.Runtime.InteropServices;
using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// Warms up the JIT compiler. Kernels are compiled, fully optimized, when they are first used, which takes some 60 ms for the
/// kernels of a detection. A rehearsal does this on a background thread while a model is loaded and an image is read. It runs a
/// tiny network with the operations of the models, wide enough for integer layers. A kernel that it has not reached in time is
/// compiled when it is first used.
/// </summary>
internal static unsafe class Rehearsal
{
    private const int Side = 8, Pixels = Side * Side, Width = 64, Narrow = 32;
    private static int begun;

    /// <summary>An upper bound of the size of any operation's weights. All weights share the same zeros.</summary>
    internal const int MostWeightBytes = 32 << 10;

    /// <summary>Starts the rehearsal, once per process. Further calls have no effect.</summary>
    /// <param name="precision">The precision of linear layers.</param>
    public static void Begin(Precision precision)
    {
        if (Interlocked.Exchange(ref begun, 1) != 0) return;
        new Thread(() => Try(precision)) { IsBackground = true, Name = "TinyZsad rehearsal" }.Start();
    }

    private static void Try(Precision precision)
    {
        try
        {
            Run(precision);
        }
        catch (Exception)
        {
            // For example, out of memory. Nothing waits for the rehearsal or depends on it.
        }
    }

    /// <summary>Runs the rehearsal on the calling thread.</summary>
    internal static void Run(Precision precision)
    {
        void* zeros = NativeMemory.AllocZeroed(MostWeightBytes);
        try
        {
            using CpuDevice alone = new(1);
            using Plan plan = alone.Compile(Network(zeros), new CompileOptions { Precision = precision });
            using Run run = plan.Rent();
            run.Bytes("pixels").Clear();
            run.Execute();
        }
        finally
        {
            NativeMemory.Free(zeros);
        }
    }

    /// <summary>Builds the network. All weights share the same memory.</summary>
    internal static ComputeGraph Network(void* zeros)
    {
        Parameter Weight(FloatType type, params int[] shape) => new("rehearsal", (nint)zeros, type, shape);
        Parameter vector = Weight(FloatType.F32, Width);
        Parameter rotary = Weight(FloatType.F32, Pixels - 1, Width / 4);
        ComputeGraph g = new();
        Value Linear(Value x, int outputs, bool trunk = false) =>
            g.Linear(x, Weight(FloatType.F16, outputs, x.Columns), Weight(FloatType.F32, outputs), trunk: trunk);
        Value Gelu(Value x) => g.Activate(x, ActivationKind.Gelu);
        Value Bottleneck(Value x, int stride)
        {
            int middle = 2 * x.Columns;
            Value expanded = Gelu(Linear(x, middle, trunk: true));
            Parameter depthwise = Weight(FloatType.F32, 3, 3, middle), bias = Weight(FloatType.F32, middle);
            return Linear(Gelu(g.DepthwiseConv(expanded, Side, Side, stride, depthwise, bias)), x.Columns, trunk: true);
        }

        Value image = g.NormalizeImage(g.Input("pixels", Pixels, 3, ValueKind.Byte), new float[3], [1, 1, 1]);
        Value stem = g.Conv(image, Side, Side, 1, Weight(FloatType.F32, 3, 3, 3, 3), Weight(FloatType.F32, 3));
        Value x = Gelu(g.Conv(stem, Side, Side, 1, Weight(FloatType.F32, 3, 3, 3, Narrow), Weight(FloatType.F32, Narrow)));
        x = Linear(Gelu(Linear(Gelu(g.Add(x, Bottleneck(x, 1))), Narrow, trunk: true)), Width);
        x = g.Add(x, Linear(Gelu(Linear(g.LayerNorm(x, vector, vector, 1e-5f), 2 * Width)), Width));

        Value qkv = Linear(x, 3 * Width), q = g.Columns(qkv, 0, Width), k = g.Columns(qkv, Width, Width);
        RotaryTable table = new(rotary, rotary, 1);
        x = g.Attention(g.Rotary(q, 2, table), g.Rotary(k, 2, table), g.Columns(qkv, 2 * Width, Width), 2);
        Value attended = g.WindowAttention(Linear(x, 3 * Width), 1, Side, Side, Side, Weight(FloatType.F32, 1, 15 * 15));
        x = g.DepthwiseConv(g.Add(x, attended), Side, Side, 1, Weight(FloatType.F32, 3, 3, Width), vector);

        Value patches = g.PrependRows(Linear(g.Patchify(image, Side, Side, 2), Width, trunk: true), vector);
        Value adapted = g.Activate(Linear(patches, Width, trunk: true), new ActivationFunction(ActivationKind.LeakyRelu, 0.1f));
        Value mean = g.MeanRows(x);
        Value scores = g.DotRows(g.L2Normalize(x), g.L2Normalize(g.Concatenate(mean, g.Rows(adapted, 0, 1))), 1);
        Value difference = g.Subtract(g.Columns(scores, 1, 1), g.Columns(scores, 0, 1));
        Value map = g.Activate(
            g.Bilinear(difference, Side, Side, 2 * Side, 2 * Side, BilinearMode.HalfPixel), ActivationKind.Sigmoid);
        map = g.Mean(map, map);
        Value best = g.TopKMean(map, Side);
        g.Output("map", map);
        g.Output("score", g.Add(best, g.Scale(best, Weight(FloatType.F32, 1))));
        g.Output("down", Bottleneck(x, 2));
        return g;
    }
}
