using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>Represents the case of an operation or of a block of a model, with its inputs.</summary>
/// <param name="name">The name of the case, which is the prefix of its tensors.</param>
/// <param name="parameters">The sizes and settings.</param>
/// <param name="tensors">The tensors of all cases.</param>
internal sealed class OperationCase(string name, ManifestValue parameters, WeightStore tensors)
{
    private readonly WeightCursor weights = tensors.Root.At(name);

    private float Eps => parameters.TryGet("eps", out ManifestValue e) ? (float)e.Number() : 0;

    private int Stride => parameters.TryGet("stride", out ManifestValue s) ? s.Int(1, 2) : 1;

    /// <summary>Gets a tensor of the case as floats. Pixels are stored as integers.</summary>
    public (int[] Shape, float[] Values) Tensor(string role)
    {
        if (!tensors.File.TryGet($"{name}.{role}", out TensorEntry? entry))
            throw tensors.TensorError($"{name}.{role}", $"tensor '{name}.{role}' is missing.");
        float[] values = entry.Type == ElementType.I32
            ? Array.ConvertAll(entry.AsSpan<int>().ToArray(), i => (float)i)
            : entry.AsSpan<float>().ToArray();
        return ([.. entry.Shape.Select(d => (int)d)], values);
    }

    /// <summary>Computes the results of the case, one array each.</summary>
    public float[][] Compute(string op, Device device)
    {
        switch (op)
        {
            case "fold_batch_norm":
                float[] Values(string role) => Tensor(role).Values;
                (float[] kernel, float[] bias) = FoldedConvolution.Fold(Values("conv.weight"), Values("bn.weight"),
                    Values("bn.bias"), Values("bn.running_mean"), Values("bn.running_var"), Eps);
                return [kernel, bias];
            case "attention_bias_matrix":
                return [BiasMatrix(Int("window", 32))];
            case "resize_bicubic_u8":
                return [Resized(Int("width"), Int("height"))];
            default:
                return [Execute(op, device)];
        }
    }

    private float[] Execute(string op, Device device)
    {
        (int[] shape, float[] values) = Tensor("x");
        int height = shape[0], width = shape.Length > 1 ? shape[1] : 1;
        // The input is a map of one channel for some operations, and rows of channels for the others.
        int channels = op is "bilinear" or "topk_mean" ? 1 : shape[^1];
        ComputeGraph g = new();
        Value x = g.Input("x", values.Length / channels, channels);
        g.Output("y", Build(op, g, x, height, width));
        using Plan plan = device.Compile(g);
        using Run run = plan.Rent();
        values.CopyTo(run.Floats("x"));
        run.Execute();
        return run.Output("y").ToArray();
    }

    private Value Build(string op, ComputeGraph g, Value x, int height, int width)
    {
        int channels = x.Columns;
        switch (op)
        {
            case "dwconv3x3":
                FoldedConvolution depthwise = FoldedConvolution.Depthwise(weights, channels, Eps);
                return g.DepthwiseConv(x, height, width, Stride, depthwise.Weight, depthwise.Bias);
            case "conv3x3":
                FoldedConvolution dense = FoldedConvolution.Dense(weights, Outputs("weight"), channels, Eps);
                return g.Conv(x, height, width, Stride, dense.Weight, dense.Bias);
            case "mbconv" or "mbconv_folded":
                return Bottleneck(channels).MbConv(g, x, height, width);
            case "patch_merging" or "patch_merging_folded":
                return Bottleneck(channels).PatchMerging(g, x, height, width);
            case "window_attention":
                return WindowBlock.Read(weights, channels, Int("heads", 32), Int("window", 32)).Build(g, x, height, width, Eps);
            case "norm_mlp":
                return MlpBlock.Read(weights, channels, Outputs("fc1.weight")).Build(g, x, Eps);
            case "gelu_erf":
                return g.Activate(x, ActivationKind.Gelu);
            case "sigmoid":
                return g.Activate(x, ActivationKind.Sigmoid);
            case "layer_norm":
                return g.LayerNorm(x, weights.Vector("weight", channels), weights.Vector("bias", channels), Eps);
            case "softmax":
                return g.Softmax(x);
            case "topk_mean":
                return g.TopKMean(x, Int("k"));
            case "bilinear":
                BilinearMode mode = parameters["align_corners"].Truth() ? BilinearMode.AlignCorners : BilinearMode.HalfPixel;
                return g.Bilinear(x, height, width, Int("height"), Int("width"), mode);
            default:
                throw new ModelFormatException(
                    tensors.File.Name, $"case '{name}' asks for the operation '{op}', which is not known.");
        }
    }

    private InvertedBottleneck Bottleneck(int channels)
    {
        string suffix = weights.Has("conv1.weight") ? "weight" : "conv.weight";
        return InvertedBottleneck.Read(weights, channels, Outputs($"conv1.{suffix}"), Outputs($"conv3.{suffix}"), Eps);
    }

    /// <summary>Gets the first dimension of a weight.</summary>
    private int Outputs(string role) => Tensor(role).Shape[0];

    /// <summary>Gets a size. Its limit bounds the computation.</summary>
    private int Int(string key, int max = 1024) => parameters[key].Int(1, max);

    private float[] Resized(int width, int height)
    {
        (int[] shape, float[] values) = Tensor("x");
        byte[] resized = new byte[3 * width * height];
        Resampler.Resize(
            new ImageView(Array.ConvertAll(values, v => (byte)v), shape[1], shape[0], PixelFormat.Rgb24), resized, width, height);
        return Array.ConvertAll(resized, b => (float)b);
    }

    /// <summary>Computes the bias of each pair of tokens of a window, [heads, tokens, tokens].</summary>
    private float[] BiasMatrix(int window)
    {
        (int[] shape, float[] table) = Tensor("table");
        float[] mirrored = WindowBlock.MirrorBiases(table, shape[0], window);
        int tokens = window * window, side = 2 * window - 1;
        float[] matrix = new float[shape[0] * tokens * tokens];
        for (int i = 0; i < matrix.Length; i++)
        {
            int head = i / (tokens * tokens), query = i / tokens % tokens, key = i % tokens;
            matrix[i] = mirrored[
                head * side * side + (key / window - query / window + window - 1) * side
                + key % window - query % window + window - 1];
        }
        return matrix;
    }
}
