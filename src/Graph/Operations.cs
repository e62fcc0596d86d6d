using TinyZsad.Formats;
using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>
/// Tables of rotary positions, [rows, head width / 2] each (both halves of a head are turned by the same angles), for every row
/// after the first <paramref name="Prefix"/> of a sequence.
/// </summary>
/// <param name="Cos">Cosines.</param>
/// <param name="Sin">Sines.</param>
/// <param name="Prefix">Leading rows that are not rotated: class and register tokens.</param>
public sealed record RotaryTable(Parameter Cos, Parameter Sin, int Prefix);

/// <summary>
/// One step of a network, as a fact: what it reads, what it makes, with which weights. It knows neither where values lie nor what
/// computes it. The kinds are listed in this file; a backend is a translation of each of them.
/// </summary>
public abstract class Operation
{
    private protected Operation(params Value?[] inputs) => Inputs = [.. inputs.OfType<Value>()];

    /// <summary>What it reads.</summary>
    public IReadOnlyList<Value> Inputs { get; }

    /// <summary>What it makes.</summary>
    public Value Output { get; internal set; } = null!;

    /// <summary>Where in the network it stands, for profiles.</summary>
    public string Label { get; internal set; } = "";

    /// <summary>Whether its values must be one piece of memory each, without gaps between the rows.</summary>
    internal virtual bool TakesNoGaps => false;

    /// <summary>Floating-point operations, two a multiply-add; zero where memory bounds it.</summary>
    public virtual long Flops => 0;

    /// <summary>Bytes of weights read.</summary>
    public virtual long WeightBytes => 0;
}

/// <summary>
/// y = f(x Wᵀ + bias) * scale + residual; with <see cref="ActivateLast"/> f comes after the residual. The fused parts are put in
/// by <see cref="Fusion"/>.
/// </summary>
internal sealed class LinearOperation(
    Value x, Parameter weight, WeightLayout layout, Parameter? bias,
    ActivationFunction activation = default, Parameter? scale = null, Value? residual = null, bool activateLast = false)
    : Operation(x, residual)
{
    public Value X => x;
    public Parameter Weight => weight;
    public WeightLayout Layout => layout;
    public Parameter? Bias => bias;
    public ActivationFunction Activation => activation;
    public Parameter? Scale => scale;
    public Value? Residual => residual;
    public bool ActivateLast => activateLast;
    public bool Trunk { get; init; }
    public int Outputs => weight.Shape[layout == WeightLayout.OutIn ? 0 : 1];
    public override long Flops => 2L * x.Rows * x.Columns * Outputs;
    public override long WeightBytes => weight.Bytes;
}

/// <summary>y = (x - mean) / sqrt(variance + eps) * weight + bias, row by row.</summary>
internal sealed class LayerNormOperation(Value x, Parameter weight, Parameter bias, float eps) : Operation(x)
{
    public Value X => x;
    public Parameter Weight => weight;
    public Parameter Bias => bias;
    public float Eps => eps;
}

/// <summary>
/// softmax(q kᵀ / sqrt d) v a head and sequence, with rotary positions applied on the way in where a table is given.
/// </summary>
internal sealed class AttentionOperation(
    Value q, Value k, Value v, int heads, int batch, RotaryTable? rotateQueries = null, RotaryTable? rotateKeys = null)
    : Operation(q, k, v)
{
    public Value Q => q;
    public Value K => k;
    public Value V => v;
    public int Heads => heads;
    public int Batch => batch;
    public RotaryTable? RotateQueries => rotateQueries;
    public RotaryTable? RotateKeys => rotateKeys;
    public override long Flops => 4L * q.Rows * (k.Rows / batch) * q.Columns;
}

/// <summary>Rotary positions on every head of a single sequence.</summary>
internal sealed class RotaryOperation(Value x, int heads, RotaryTable table) : Operation(x)
{
    public Value X => x;
    public int Heads => heads;
    public RotaryTable Table => table;
}

/// <summary>y = f(x).</summary>
internal sealed class ActivationOperation(Value x, ActivationFunction activation) : Operation(x)
{
    public Value X => x;
    public ActivationFunction Activation => activation;
}

/// <summary>y = x * scale, one factor a column.</summary>
internal sealed class ScaleOperation(Value x, Parameter scale) : Operation(x)
{
    public Value X => x;
    public Parameter Scale => scale;
}

/// <summary>y = a + b, or a - b.</summary>
internal sealed class AddOperation(Value a, Value b, bool subtract) : Operation(a, b)
{
    public Value A => a;
    public Value B => b;
    public bool Subtract => subtract;
}

/// <summary>y = the mean of several values, element by element.</summary>
internal sealed class MeanOperation(Value[] values) : Operation(values)
{
    internal override bool TakesNoGaps => true;
    public IReadOnlyList<Value> Values => Inputs;
}

/// <summary>y[r] = x[r] + table[r mod rows of the table]: positions, the same for every sequence of a batch.</summary>
internal sealed class AddRowsOperation(Value x, Parameter table) : Operation(x)
{
    public Value X => x;
    public Parameter Table => table;
}

/// <summary>y[r] = table[ids[r]].</summary>
internal sealed class EmbeddingOperation(Value ids, Parameter table) : Operation(ids)
{
    public Value Ids => ids;
    public Parameter Table => table;
}

/// <summary>y[r] = x[rows[r]].</summary>
internal sealed class GatherRowsOperation(Value x, Value rows) : Operation(x, rows)
{
    public Value X => x;
    public Value RowNumbers => rows;
}

/// <summary>y = the parameters' rows, then x's.</summary>
internal sealed class PrependRowsOperation(Value x, Parameter[] rows) : Operation(x)
{
    public Value X => x;
    public IReadOnlyList<Parameter> PrependedRows => rows;
}

/// <summary>y = the rows of a, then those of b.</summary>
internal sealed class ConcatenateOperation(Value a, Value b) : Operation(a, b)
{
    public Value A => a;
    public Value B => b;
}

/// <summary>y = x / |x|, row by row.</summary>
internal sealed class L2NormalizeOperation(Value x) : Operation(x)
{
    public Value X => x;
}

/// <summary>y[r, j] = scale * (x[r] · t[j]) for a few vectors t that are themselves computed or given at run time.</summary>
internal sealed class DotRowsOperation(Value x, Value t, float scale) : Operation(x, t)
{
    internal override bool TakesNoGaps => true;
    public Value X => x;
    public Value T => t;
    public float Scale => scale;
    public override long Flops => 2L * x.Rows * x.Columns * t.Rows;
}

/// <summary>One channel of h x w resized to height x width.</summary>
internal sealed class BilinearOperation(Value x, int h, int w, int height, int width, BilinearMode mode) : Operation(x)
{
    internal override bool TakesNoGaps => true;
    public Value X => x;
    public int SourceHeight => h;
    public int SourceWidth => w;
    public int Height => height;
    public int Width => width;
    public BilinearMode Mode => mode;
}

/// <summary>Bytes [H * W, 3] to (v / 255 - mean) / std.</summary>
internal sealed class NormalizeImageOperation(Value x, float[] mean, float[] std) : Operation(x)
{
    internal override bool TakesNoGaps => true;
    public Value X => x;
    public float[] Mean => mean;
    public float[] Std => std;
}

/// <summary>[H * W, C] to a row a patch, its values in (channel, row, column) order as a convolution's kernel has them.</summary>
internal sealed class PatchifyOperation(Value x, int height, int width, int patch) : Operation(x)
{
    internal override bool TakesNoGaps => true;
    public Value X => x;
    public int Height => height;
    public int Width => width;
    public int Patch => patch;
}

/// <summary>y = f(a 3 x 3 convolution), one pixel of zeros around the map; the weight is floats.</summary>
internal abstract class ConvolutionOperation(
    Value x, int height, int width, int stride, Parameter weight, Parameter bias, ActivationFunction activation)
    : Operation(x)
{
    internal override bool TakesNoGaps => true;
    public Value X => x;
    public int Height => height;
    public int Width => width;
    public int Stride => stride;
    public Parameter Weight => weight;
    public Parameter Bias => bias;
    public ActivationFunction Activation => activation;
    public override long WeightBytes => weight.Bytes;

    /// <summary>The same convolution with another activation.</summary>
    public abstract ConvolutionOperation With(ActivationFunction activation);
}

/// <summary>The dense convolution; weight [3, 3, in, out].</summary>
internal sealed class ConvOperation(
    Value x, int height, int width, int stride, Parameter weight, Parameter bias, ActivationFunction activation = default)
    : ConvolutionOperation(x, height, width, stride, weight, bias, activation)
{
    public override long Flops => 18L * Output.Rows * Output.Columns * X.Columns;

    public override ConvolutionOperation With(ActivationFunction activation) =>
        new ConvOperation(X, Height, Width, Stride, Weight, Bias, activation);
}

/// <summary>The depthwise convolution; weight [3, 3, channels].</summary>
internal sealed class DepthwiseConvOperation(
    Value x, int height, int width, int stride, Parameter weight, Parameter bias, ActivationFunction activation = default)
    : ConvolutionOperation(x, height, width, stride, weight, bias, activation)
{
    public override long Flops => 18L * Output.Rows * Output.Columns;

    public override ConvolutionOperation With(ActivationFunction activation) =>
        new DepthwiseConvOperation(X, Height, Width, Stride, Weight, Bias, activation);
}

/// <summary>
/// A linear layer on every pixel of a map, a depthwise convolution and another linear layer, as one: made by <see cref="Fusion"/>
/// of three that nobody else reads from. The first two have the same activation.
/// </summary>
internal sealed class BottleneckOperation(LinearOperation expand, DepthwiseConvOperation depthwise, LinearOperation project)
    : Operation(expand.X, project.Residual)
{
    public LinearOperation Expand => expand;
    public DepthwiseConvOperation Depthwise => depthwise;
    public LinearOperation Project => project;
    public override long Flops => expand.Flops + depthwise.Flops + project.Flops;
    public override long WeightBytes => expand.WeightBytes + depthwise.WeightBytes + project.WeightBytes;
}

/// <summary>
/// Attention inside square windows of a map, with position biases. Columns of qkv are grouped by head, q k v each; its rows are
/// the map's, behind one that stands for the padding where the map is no whole number of windows.
/// </summary>
internal sealed class WindowAttentionOperation(Value qkv, int heads, int height, int width, int window, Parameter bias)
    : Operation(qkv)
{
    public Value Qkv => qkv;
    public int Heads => heads;
    public int Height => height;
    public int Width => width;
    public int Window => window;
    public Parameter Bias => bias;
    public int Windows => (height + window - 1) / window * ((width + window - 1) / window);
    public override long Flops => 4L * Windows * window * window * window * window * (qkv.Columns / 3);
}

/// <summary>y = the mean over all rows, [1, columns].</summary>
internal sealed class MeanRowsOperation(Value x) : Operation(x)
{
    public Value X => x;
}

/// <summary>y = the mean of the k largest elements, [1, 1].</summary>
internal sealed class TopKMeanOperation(Value x, int k) : Operation(x)
{
    internal override bool TakesNoGaps => true;
    public Value X => x;
    public int K => k;
}

/// <summary>y = a b, or a bᵀ, of two values.</summary>
internal sealed class MatMulOperation(Value a, Value b, WeightLayout layout) : Operation(a, b)
{
    internal override bool TakesNoGaps => true;
    public Value A => a;
    public Value B => b;
    public WeightLayout Layout => layout;
    public int Columns => layout == WeightLayout.OutIn ? b.Rows : b.Columns;
    public override long Flops => 2L * a.Rows * a.Columns * Columns;
}

/// <summary>y = exp(x - max x) over the sum of these, row by row.</summary>
internal sealed class SoftmaxOperation(Value x) : Operation(x)
{
    public Value X => x;
}

/// <summary>y = a parameter's rows, the same in every run.</summary>
internal sealed class ConstantOperation(Parameter source) : Operation()
{
    internal override bool TakesNoGaps => true;
    public Parameter Source => source;
    public override long WeightBytes => source.Bytes;
}

/// <summary>One channel of height x width smoothed by a Gaussian, borders mirrored.</summary>
internal sealed class GaussianBlurOperation(Value x, int height, int width, float sigma) : Operation(x)
{
    internal override bool TakesNoGaps => true;
    public Value X => x;
    public int Height => height;
    public int Width => width;
    public float Sigma => sigma;
}
