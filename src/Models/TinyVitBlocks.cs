using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// Represents a convolution in the layout of the kernels, with its BatchNorm folded in: pointwise [outputs, inputs], depthwise
/// [3, 3, channels], or dense [3, 3, inputs, outputs].
/// </summary>
internal sealed record FoldedConvolution(Parameter Weight, Parameter Bias)
{
    /// <summary>Reads a pointwise convolution: a linear layer on each pixel.</summary>
    public static FoldedConvolution Pointwise(WeightCursor w, int outputs, int inputs, double eps) =>
        Read(w, [outputs, inputs, 1, 1], eps, kernel => (kernel, [outputs, inputs]));

    /// <summary>Reads a depthwise 3 x 3 convolution.</summary>
    public static FoldedConvolution Depthwise(WeightCursor w, int channels, double eps) =>
        Read(w, [channels, 1, 3, 3], eps, kernel => (Turn(kernel, channels, 1), [3, 3, channels]));

    /// <summary>Reads a dense 3 x 3 convolution.</summary>
    public static FoldedConvolution Dense(WeightCursor w, int outputs, int inputs, double eps) =>
        Read(w, [outputs, inputs, 3, 3], eps, kernel => (Turn(kernel, outputs, inputs), [3, 3, inputs, outputs]));

    /// <summary>
    /// Folds a BatchNorm into the preceding convolution, [outputs, ...], which has no bias. The result has a bias. The computation uses
    /// double precision.
    /// </summary>
    public static (float[] Kernel, float[] Bias) Fold(
        ReadOnlySpan<float> kernel, ReadOnlySpan<float> weight, ReadOnlySpan<float> bias,
        ReadOnlySpan<float> mean, ReadOnlySpan<float> variance, double eps)
    {
        float[] folded = new float[kernel.Length], shift = new float[weight.Length];
        int inputs = kernel.Length / weight.Length;
        for (int n = 0; n < weight.Length; n++)
        {
            double scale = weight[n] / Math.Sqrt(variance[n] + eps);
            shift[n] = (float)(bias[n] - mean[n] * scale);
            for (int i = n * inputs; i < (n + 1) * inputs; i++) folded[i] = (float)(kernel[i] * scale);
        }
        return (folded, shift);
    }

    /// <summary>Reads <c>conv.weight</c> and <c>bn.*</c>, or <c>weight</c> and <c>bias</c> if they are already folded.</summary>
    private static FoldedConvolution Read(
        WeightCursor w, int[] shape, double eps, Func<float[], (float[] Values, int[] Shape)> layout)
    {
        if (w.Has("weight"))
        {
            Parameter stored = w.Tensor("weight", shape);
            (float[] same, int[] asTaken) = layout(stored.ToFloats());
            return new FoldedConvolution(w.Store.Floats(stored.Name, same, asTaken), w.Vector("bias", shape[0]));
        }
        WeightCursor norm = w.At("bn");
        Parameter kernel = w.At("conv").Tensor("weight", shape);
        float[] Norm(string leaf) => norm.Vector(leaf, shape[0]).ToFloats();
        (float[] folded, float[] bias) = Fold(
            kernel.ToFloats(), Norm("weight"), Norm("bias"), Norm("running_mean"), Norm("running_var"), eps);
        (float[] values, int[] turned) = layout(folded);
        return new FoldedConvolution(
            w.Store.Floats(kernel.Name, values, turned), w.Store.Floats($"{kernel.Name}.bias", bias, shape[0]));
    }

    /// <summary>
    /// Transposes a 3 x 3 kernel, [outputs, inputs, 3, 3], to [3, 3, inputs, outputs], so that vector lanes are output channels.
    /// </summary>
    private static float[] Turn(ReadOnlySpan<float> kernel, int outputs, int inputs)
    {
        float[] turned = new float[kernel.Length];
        for (int i = 0; i < turned.Length; i++)
            turned[(i % 9 * inputs + i / 9 % inputs) * outputs + i / (9 * inputs)] = kernel[i];
        return turned;
    }
}

/// <summary>Represents a pointwise, a depthwise and a pointwise convolution, as in MBConv and PatchMerging of TinyViT.</summary>
internal sealed record InvertedBottleneck(FoldedConvolution Expand, FoldedConvolution Depthwise, FoldedConvolution Project)
{
    /// <summary>Reads <c>conv1</c>, <c>conv2</c> and <c>conv3</c> at the cursor.</summary>
    public static InvertedBottleneck Read(WeightCursor w, int inputs, int middle, int outputs, double eps) => new(
        FoldedConvolution.Pointwise(w.At("conv1"), middle, inputs, eps),
        FoldedConvolution.Depthwise(w.At("conv2"), middle, eps),
        FoldedConvolution.Pointwise(w.At("conv3"), outputs, middle, eps));

    /// <summary>Adds gelu(x + project(gelu(depthwise(gelu(expand(x)))))) to a graph. The last activation follows the residual.</summary>
    public Value MbConv(ComputeGraph g, Value x, int height, int width)
    {
        Value y = g.Activate(g.Linear(x, Expand.Weight, Expand.Bias), ActivationKind.Gelu);
        y = g.Activate(g.DepthwiseConv(y, height, width, 1, Depthwise.Weight, Depthwise.Bias), ActivationKind.Gelu);
        return g.Activate(g.Add(x, g.Linear(y, Project.Weight, Project.Bias)), ActivationKind.Gelu);
    }

    /// <summary>Adds project(gelu(depthwise(gelu(expand(x))))) to a graph, at half the size, rounded up.</summary>
    public Value PatchMerging(ComputeGraph g, Value x, int height, int width)
    {
        x = g.Activate(g.Linear(x, Expand.Weight, Expand.Bias, trunk: true), ActivationKind.Gelu);
        x = g.Activate(g.DepthwiseConv(x, height, width, 2, Depthwise.Weight, Depthwise.Bias), ActivationKind.Gelu);
        return g.Linear(x, Project.Weight, Project.Bias, trunk: true);
    }
}

/// <summary>
/// Represents x + proj(attention(norm(x))) in square windows, with position biases that depend on the distance.
/// </summary>
internal sealed record WindowBlock(
    NormWeights Norm, LinearWeights Qkv, Parameter Biases, LinearWeights Projection, int Heads, int Window)
{
    /// <summary>Reads <c>norm</c>, <c>qkv</c>, <c>attention_biases</c> and <c>proj</c> at the cursor.</summary>
    public static WindowBlock Read(WeightCursor w, int channels, int heads, int window)
    {
        NormWeights norm = w.Norm("norm", channels);
        LinearWeights qkv = w.Linear("qkv", 3 * channels, channels);
        Parameter table = w.Vector("attention_biases", heads, window * window);
        int side = 2 * window - 1;
        return new WindowBlock(norm, qkv,
            w.Store.Floats(table.Name, MirrorBiases(table.ToFloats(), heads, window), heads, side * side),
            w.Linear("proj", channels, channels), heads, window);
    }

    /// <summary>Adds the block to a graph.</summary>
    public Value Build(ComputeGraph g, Value x, int height, int width, float eps)
    {
        Value n = g.LayerNorm(x, Norm.Weight, Norm.Bias, eps);
        // Windows are padded with zeros before the norm, so each padded token is the bias of the norm. One row represents all of them.
        if (height % Window != 0 || width % Window != 0) n = g.PrependRows(n, Norm.Bias);
        Value attention = g.WindowAttention(g.Linear(n, Qkv.Weight, Qkv.Bias), Heads, height, width, Window, Biases);
        return g.Add(x, g.Linear(attention, Projection.Weight, Projection.Bias));
    }

    /// <summary>
    /// Mirrors the position biases by distance, [heads, w * w], to [heads, (2 w - 1)²], so that the biases of a row of keys are
    /// contiguous.
    /// </summary>
    public static float[] MirrorBiases(ReadOnlySpan<float> table, int heads, int window)
    {
        int side = 2 * window - 1;
        float[] mirrored = new float[heads * side * side];
        for (int i = 0; i < mirrored.Length; i++)
        {
            int dy = Math.Abs(i / side % side - (window - 1)), dx = Math.Abs(i % side - (window - 1));
            mirrored[i] = table[i / (side * side) * window * window + dy * window + dx];
        }
        return mirrored;
    }
}

/// <summary>Represents x + fc2(gelu(fc1(norm(x)))).</summary>
internal sealed record MlpBlock(NormWeights Norm, LinearWeights Up, LinearWeights Down)
{
    /// <summary>Reads <c>norm</c>, <c>fc1</c> and <c>fc2</c> at the cursor.</summary>
    public static MlpBlock Read(WeightCursor w, int channels, int hidden) =>
        new(w.Norm("norm", channels), w.Linear("fc1", hidden, channels), w.Linear("fc2", channels, hidden));

    /// <summary>Adds the block to a graph.</summary>
    public Value Build(ComputeGraph g, Value x, float eps)
    {
        Value n = g.LayerNorm(x, Norm.Weight, Norm.Bias, eps);
        return g.Add(x, g.Linear(g.Activate(g.Linear(n, Up.Weight, Up.Bias), ActivationKind.Gelu), Down.Weight, Down.Bias));
    }
}
