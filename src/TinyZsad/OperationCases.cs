using System.Runtime.InteropServices;
using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Kernels;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad;

/// <summary>
/// A folder of single operations: <c>cases.json</c> says of each which inputs it takes and which values it gives,
/// <c>tensors.safetensors</c> holds them all. Each is built as a graph of the very operations that the networks are made of, and
/// run.
/// </summary>
internal static class OperationCases
{
    /// <summary>Compares every operation with its expected values, at the tolerance of each.</summary>
    public static IReadOnlyList<TapComparison> Run(ReferenceCase reference, double? tolerance, int threads)
    {
        using ThreadTeam team = new(new DetectorOptions { Threads = threads }.ThreadCount);
        using SafetensorsFile tensors = SafetensorsFile.Open(reference.Content["tensors"].FilePath());
        List<TapComparison> rows = [];
        foreach (ManifestValue element in reference.Content["cases"].Items())
        {
            string name = element["name"].Text();
            using OperationCase c = new(name, element["params"], tensors);
            string[] roles = [.. element["expected"].Items().Select(r => r.Text())];
            float[][] computed = Computed(c, element, team);
            if (roles.Length > computed.Length)
                throw element["expected"].Error($"{computed.Length} names at most");
            for (int i = 0; i < roles.Length; i++)
            {
                (int[] shape, float[] expected) = c.Tensor(roles[i]);
                ExpectedTap tap = new(roles.Length == 1 ? name : $"{name}.{roles[i]}", shape, 1, null, expected,
                    tolerance ?? element["tolerance"].Number());
                rows.Add(Verification.Compare(tap, computed[i], relative: true));
            }
        }
        return rows;
    }

    /// <summary>The graph checks what it is made of; that its errors are the case's is known here alone.</summary>
    private static float[][] Computed(OperationCase c, ManifestValue element, ThreadTeam team)
    {
        try
        {
            return c.Compute(element["op"].Text(), team);
        }
        catch (Exception e) when (e is ArgumentException or IndexOutOfRangeException or OverflowException)
        {
            throw new ModelFormatException(
                element["op"].Error($"an operation that fits its tensors and params ({e.Message})").Message, e);
        }
    }

    private sealed class OperationCase(string name, ManifestValue parameters, SafetensorsFile file) : IDisposable
    {
        private readonly List<nint> owned = [];

        /// <summary>A tensor of the case; pixels are stored as integers.</summary>
        public (int[] Shape, float[] Values) Tensor(string role)
        {
            if (!file.TryGet($"{name}.{role}", out TensorEntry? entry))
                throw new ModelFormatException(file.Name, $"tensor '{name}.{role}' is missing.");
            float[] values = entry.Type == ElementType.I32
                ? Array.ConvertAll(entry.AsSpan<int>().ToArray(), i => (float)i)
                : entry.AsSpan<float>().ToArray();
            return ([.. entry.Shape.Select(d => (int)d)], values);
        }

        public unsafe void Dispose()
        {
            foreach (nint p in owned) NativeMemory.Free((void*)p);
        }

        public float[][] Compute(string op, ThreadTeam team)
        {
            int[] shape = Tensor(
                op switch { "fold_batch_norm" => "conv.weight", "attention_bias_matrix" => "table", _ => "x" }).Shape;
            int height = shape[0], width = shape.Length > 1 ? shape[1] : 1, channels = shape[^1];
            ComputeGraph g = new();
            Value x = op is "bilinear" or "topk_mean" ? g.Input("x", (int)Tensor("x").Values.Length, 1)
                : op is "fold_batch_norm" or "attention_bias_matrix" ? g.Input("x", 1, 1)
                : g.Input("x", Tensor("x").Values.Length / channels, channels);
            float eps = parameters.TryGet("eps", out ManifestValue e) ? (float)e.Number() : 0;
            int stride = parameters.TryGet("stride", out ManifestValue s) ? s.Int(1, 2) : 1;
            switch (op)
            {
                case "fold_batch_norm":
                    (float[] kernel, float[] bias) = Folded("conv.weight", "bn", eps);
                    return [kernel, bias];
                case "attention_bias_matrix":
                    return [BiasMatrix(shape[0], Int("window", 32))];
                case "resize_bicubic_u8":
                    byte[] resized = new byte[3 * Int("width") * Int("height")];
                    BicubicResizer.Resize(
                        new ImageView(Array.ConvertAll(Tensor("x").Values, v => (byte)v), width, height, PixelFormat.Rgb24),
                        resized, Int("width"), Int("height"));
                    return [Array.ConvertAll(resized, b => (float)b)];
                case "dwconv3x3":
                    x = g.DepthwiseConv(x, height, width, stride, Turned("weight", Tensor("weight").Values, channels, 1),
                        Vector("bias"));
                    break;
                case "conv3x3":
                    x = g.Conv(x, height, width, stride,
                        Turned("weight", Tensor("weight").Values, Tensor("weight").Shape[0], channels), Vector("bias"));
                    break;
                case "mbconv" or "mbconv_folded":
                    Value y = g.Activate(Convolution(g, x, 1, height, width, 1, eps), ActivationKind.Gelu);
                    y = g.Activate(Convolution(g, y, 2, height, width, 1, eps), ActivationKind.Gelu);
                    x = g.Activate(g.Add(x, Convolution(g, y, 3, height, width, 1, eps)), ActivationKind.Gelu);
                    break;
                case "patch_merging" or "patch_merging_folded":
                    x = g.Activate(Convolution(g, x, 1, height, width, 1, eps), ActivationKind.Gelu);
                    x = g.Activate(Convolution(g, x, 2, height, width, 2, eps), ActivationKind.Gelu);
                    x = Convolution(g, x, 3, (height + 1) / 2, (width + 1) / 2, 1, eps);
                    break;
                case "window_attention":
                    int window = Int("window", 32), heads = Int("heads", 32);
                    Value n = g.LayerNorm(x, Vector("norm.weight"), Vector("norm.bias"), eps);
                    if (height % window != 0 || width % window != 0) n = g.PrependRows(n, Vector("norm.bias"));
                    int side = 2 * window - 1;
                    (int[] tableShape, float[] table) = Tensor("attention_biases");
                    Value attention = g.WindowAttention(Linear(g, n, "qkv"), heads, height, width, window,
                        Floats("attention_biases", TinyVit.MirrorBiases(table, heads, window), tableShape[0], side * side));
                    x = g.Add(x, Linear(g, attention, "proj"));
                    break;
                case "norm_mlp":
                    Value m = g.LayerNorm(x, Vector("norm.weight"), Vector("norm.bias"), eps);
                    x = g.Add(x, Linear(g, g.Activate(Linear(g, m, "fc1"), ActivationKind.Gelu), "fc2"));
                    break;
                case "gelu_erf":
                    x = g.Activate(x, ActivationKind.Gelu);
                    break;
                case "sigmoid":
                    x = g.Activate(x, ActivationKind.Sigmoid);
                    break;
                case "layer_norm":
                    x = g.LayerNorm(x, Vector("weight"), Vector("bias"), eps);
                    break;
                case "softmax":
                    return [Softmaxed(Tensor("x").Values, channels)];
                case "topk_mean":
                    x = g.TopKMean(x, Int("k"));
                    break;
                case "bilinear":
                    bool aligned = parameters["align_corners"].Truth();
                    x = g.Bilinear(x, height, width, Int("height"), Int("width"),
                        aligned ? BilinearMode.AlignCorners : BilinearMode.HalfPixel);
                    break;
                default:
                    throw new ModelFormatException(
                        file.Name, $"case '{name}' asks for the operation '{op}', which is not known.");
            }
            g.Output("y", x);
            CpuPlan plan = CpuPlan.Compile(g);
            using CpuRun run = plan.Rent(team.Size);
            Tensor("x").Values.CopyTo(run.Floats("x"));
            run.Execute(team);
            return [run.Output("y").ToArray()];
        }

        /// <summary>A size, which bounds what is computed.</summary>
        private int Int(string key, int max = 1024) => parameters[key].Int(1, max);

        private Parameter Vector(string role) => Floats(role, Tensor(role).Values, Tensor(role).Shape);

        private Value Linear(ComputeGraph g, Value x, string role) =>
            g.Linear(x, Floats(role, Tensor($"{role}.weight").Values, Tensor($"{role}.weight").Shape), Vector($"{role}.bias"));

        /// <summary>
        /// Convolution i of a bottleneck: pointwise, depthwise, pointwise; with the BatchNorm behind it, unless that is folded in
        /// already.
        /// </summary>
        private Value Convolution(ComputeGraph g, Value x, int i, int height, int width, int stride, float eps)
        {
            bool folded = !file.TryGet($"{name}.conv{i}.bn.weight", out _);
            string role = folded ? $"conv{i}.weight" : $"conv{i}.conv.weight";
            int[] shape = Tensor(role).Shape;
            (float[] kernel, float[] values) = folded
                ? (Tensor(role).Values, Tensor($"conv{i}.bias").Values)
                : Folded(role, $"conv{i}.bn", eps);
            Parameter bias = Floats(role, values, shape[0]);
            return i == 2
                ? g.DepthwiseConv(x, height, width, stride, Turned(role, kernel, shape[0], 1), bias)
                : g.Linear(x, Floats(role, kernel, shape[0], shape[1]), bias);
        }

        private (float[] Kernel, float[] Bias) Folded(string role, string norm, float eps) =>
            TinyVit.FoldBatchNorm(Tensor(role).Values, Tensor($"{norm}.weight").Values, Tensor($"{norm}.bias").Values,
                Tensor($"{norm}.running_mean").Values, Tensor($"{norm}.running_var").Values, eps);

        private Parameter Turned(string role, float[] kernel, int outputs, int inputs) =>
            inputs == 1
                ? Floats(role, TinyVit.Turn(kernel, outputs, 1), 3, 3, outputs)
                : Floats(role, TinyVit.Turn(kernel, outputs, inputs), 3, 3, inputs, outputs);

        private float[] BiasMatrix(int heads, int window)
        {
            float[] mirrored = TinyVit.MirrorBiases(Tensor("table").Values, heads, window);
            int tokens = window * window, side = 2 * window - 1;
            float[] matrix = new float[heads * tokens * tokens];
            for (int i = 0; i < matrix.Length; i++)
            {
                int head = i / (tokens * tokens), query = i / tokens % tokens, key = i % tokens;
                matrix[i] = mirrored[
                    head * side * side + (key / window - query / window + window - 1) * side
                    + key % window - query % window + window - 1];
            }
            return matrix;
        }

        private static unsafe float[] Softmaxed(float[] x, int columns)
        {
            float[] y = new float[x.Length];
            fixed (float* from = x, to = y) Softmax.Execute(from, columns, to, columns, x.Length / columns, columns);
            return y;
        }

        private unsafe Parameter Floats(string role, float[] values, params int[] shape)
        {
            float* p = (float*)NativeMemory.Alloc((nuint)values.Length, sizeof(float));
            owned.Add((nint)p);
            values.CopyTo(new Span<float>(p, values.Length));
            return new Parameter($"{name}.{role}", (nint)p, FloatType.F32, shape);
        }
    }
}
