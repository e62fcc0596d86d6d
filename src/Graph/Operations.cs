using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Graph;

/// <summary>
/// Holds tables of rotary positions, [rows, head width / 2] each, for every row after the first <paramref name="Prefix"/> rows of
/// a sequence. Both halves of a head are rotated by the same angles.
/// </summary>
/// <param name="Cos">The cosines.</param>
/// <param name="Sin">The sines.</param>
/// <param name="Prefix">The number of leading rows that are not rotated: class and register tokens.</param>
internal sealed record RotaryTable(Parameter Cos, Parameter Sin, int Prefix);

/// <summary>
/// Represents one operation of a network: what it reads, what it computes, and its weights. It knows neither the memory layout of
/// values nor the device. All kinds of operations are in this file; a device translates each of them. Operations are immutable;
/// <c>with</c> creates a modified copy. Two operations are equal only if they are the same object.
/// </summary>
internal abstract record Operation
{
    private protected Operation() { }

    /// <summary>Gets the values that the operation reads.</summary>
    public abstract IReadOnlyList<Value> Inputs { get; }

    /// <summary>Gets the value that the operation computes.</summary>
    public Value Output { get; internal init; } = null!;

    /// <summary>Gets the position in the network, for profiles.</summary>
    public string Label { get; internal init; } = "";

    /// <summary>Gets the type name without "Operation", for messages and profiles.</summary>
    public string Kind => KindOf(GetType());

    /// <summary>
    /// Gets the number of floating-point operations, two per multiply-add; 0 if the operation is bound by memory.
    /// </summary>
    public virtual long Flops => 0;

    /// <summary>Gets the number of bytes of weights read.</summary>
    public virtual long WeightBytes => 0;

    /// <summary>Determines whether the other operation is the same object.</summary>
    public virtual bool Equals(Operation? other) => ReferenceEquals(this, other);

    /// <inheritdoc/>
    public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);

    internal static string KindOf(Type operation) => operation.Name.Replace(nameof(Operation), "", StringComparison.Ordinal);
}

/// <summary>
/// Computes y = f(x Wᵀ + bias) * scale + residual. With <see cref="ActivateLast"/>, f follows the residual. <see cref="Fusion"/>
/// adds everything after the bias.
/// </summary>
internal sealed record LinearOperation(Value X, Parameter Weight, WeightLayout Layout, Parameter? Bias) : Operation
{
    /// <summary>Gets whether the layer is computed in floats at any precision; see <see cref="ComputeGraph.Linear"/>.</summary>
    public bool Trunk { get; init; }
    public ActivationFunction Activation { get; init; }
    public Parameter? Scale { get; init; }
    public Value? Residual { get; init; }
    public bool ActivateLast { get; init; }
    public int Outputs => Weight.Shape[Layout == WeightLayout.OutIn ? 0 : 1];
    public override IReadOnlyList<Value> Inputs => Residual is null ? [X] : [X, Residual];
    public override long Flops => 2L * X.Rows * X.Columns * Outputs;
    public override long WeightBytes => Weight.Bytes;
}

/// <summary>Computes y = (x - mean) / sqrt(variance + eps) * weight + bias for each row.</summary>
internal sealed record LayerNormOperation(Value X, Parameter Weight, Parameter Bias, float Eps) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>
/// Computes softmax(q kᵀ / sqrt d) v for each head and sequence. If a table is given, rotary positions are applied to the inputs.
/// </summary>
internal sealed record AttentionOperation(Value Q, Value K, Value V, int Heads, int Batch) : Operation
{
    public RotaryTable? RotateQueries { get; init; }
    public RotaryTable? RotateKeys { get; init; }
    public override IReadOnlyList<Value> Inputs => [Q, K, V];
    public override long Flops => 4L * Q.Rows * (K.Rows / Batch) * Q.Columns;
}

/// <summary>Applies rotary positions to every head of a single sequence.</summary>
internal sealed record RotaryOperation(Value X, int Heads, RotaryTable Table) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Computes y = f(x).</summary>
internal sealed record ActivationOperation(Value X, ActivationFunction Activation) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Computes y = x * scale, with one factor per column.</summary>
internal sealed record ScaleOperation(Value X, Parameter Scale) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Computes y = a + b, or a - b.</summary>
internal sealed record AddOperation(Value A, Value B, bool Subtract) : Operation
{
    public override IReadOnlyList<Value> Inputs => [A, B];
}

/// <summary>Computes the element-wise mean of several values.</summary>
internal sealed record MeanOperation(IReadOnlyList<Value> Values) : Operation
{
    public override IReadOnlyList<Value> Inputs => Values;
}

/// <summary>
/// Computes y[r] = x[r] + table[r mod rows of the table]: positions that are the same for every sequence of a batch.
/// </summary>
internal sealed record AddRowsOperation(Value X, Parameter Table) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Looks up y[r] = table[ids[r]].</summary>
internal sealed record EmbeddingOperation(Value Ids, Parameter Table) : Operation
{
    public override IReadOnlyList<Value> Inputs => [Ids];
}

/// <summary>Selects y[r] = x[rows[r]].</summary>
internal sealed record GatherRowsOperation(Value X, Value RowNumbers) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X, RowNumbers];
}

/// <summary>Concatenates the rows of the parameters and the rows of x.</summary>
internal sealed record PrependRowsOperation(Value X, IReadOnlyList<Parameter> PrependedRows) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Concatenates the rows of a and the rows of b.</summary>
internal sealed record ConcatenateOperation(Value A, Value B) : Operation
{
    public override IReadOnlyList<Value> Inputs => [A, B];
}

/// <summary>Computes y = x / |x| for each row.</summary>
internal sealed record L2NormalizeOperation(Value X) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Computes y[r, j] = scale * (x[r] · t[j]) for a few vectors t that are computed or given at run time.</summary>
internal sealed record DotRowsOperation(Value X, Value T, float Scale) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X, T];
    public override long Flops => 2L * X.Rows * X.Columns * T.Rows;
}

/// <summary>Resizes one channel from h x w to height x width.</summary>
internal sealed record BilinearOperation(
    Value X, int SourceHeight, int SourceWidth, int Height, int Width, BilinearMode Mode) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Normalizes bytes, [H * W, 3], to (v / 255 - mean) / std.</summary>
internal sealed record NormalizeImageOperation(Value X, float[] Mean, float[] Std) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>
/// Divides [H * W, 3] into patches, one row per patch, with values in (channel, row, column) order like a convolution kernel.
/// </summary>
internal sealed record PatchifyOperation(Value X, int Height, int Width, int Patch) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Computes y = f(3 x 3 convolution of x), with zero padding of one pixel. The weight is in floats.</summary>
internal abstract record ConvolutionOperation(
    Value X, int Height, int Width, int Stride, Parameter Weight, Parameter Bias) : Operation
{
    public ActivationFunction Activation { get; init; }
    public override IReadOnlyList<Value> Inputs => [X];
    public override long WeightBytes => Weight.Bytes;
}

/// <summary>Computes the dense convolution. The weight is [3, 3, in, out].</summary>
internal sealed record ConvOperation(Value X, int Height, int Width, int Stride, Parameter Weight, Parameter Bias)
    : ConvolutionOperation(X, Height, Width, Stride, Weight, Bias)
{
    public override long Flops => 18L * Output.Rows * Output.Columns * X.Columns;
}

/// <summary>Computes the depthwise convolution. The weight is [3, 3, channels].</summary>
internal sealed record DepthwiseConvOperation(Value X, int Height, int Width, int Stride, Parameter Weight, Parameter Bias)
    : ConvolutionOperation(X, Height, Width, Stride, Weight, Bias)
{
    public override long Flops => 18L * Output.Rows * Output.Columns;
}

/// <summary>
/// Computes a linear layer on every pixel of a map, a depthwise convolution and another linear layer as one operation.
/// <see cref="Fusion"/> creates it from three operations whose intermediate values no other operation reads. The first two have
/// the same activation.
/// </summary>
internal sealed record BottleneckOperation(LinearOperation Expand, DepthwiseConvOperation Depthwise, LinearOperation Project)
    : Operation
{
    public override IReadOnlyList<Value> Inputs => Project.Residual is null ? [Expand.X] : [Expand.X, Project.Residual];
    public override long Flops => Expand.Flops + Depthwise.Flops + Project.Flops;
    public override long WeightBytes => Expand.WeightBytes + Depthwise.WeightBytes + Project.WeightBytes;
}

/// <summary>
/// Computes attention within square windows of a map, with position biases. The columns of qkv are grouped by head: q, k and v of
/// each. Its rows are the rows of the map. If the map is not a whole number of windows, a row in front stands for the padding.
/// </summary>
internal sealed record WindowAttentionOperation(Value Qkv, int Heads, int Height, int Width, int Window, Parameter Bias)
    : Operation
{
    public int Windows => (Height + Window - 1) / Window * ((Width + Window - 1) / Window);
    public override IReadOnlyList<Value> Inputs => [Qkv];
    public override long Flops => 4L * Windows * Window * Window * Window * Window * (Qkv.Columns / 3);
}

/// <summary>Computes the mean over all rows, [1, columns].</summary>
internal sealed record MeanRowsOperation(Value X) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Computes the mean of the k largest elements, [1, 1].</summary>
internal sealed record TopKMeanOperation(Value X, int K) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Computes y = a b, or a bᵀ, of two values.</summary>
internal sealed record MatMulOperation(Value A, Value B, WeightLayout Layout) : Operation
{
    public int Columns => Layout == WeightLayout.OutIn ? B.Rows : B.Columns;
    public override IReadOnlyList<Value> Inputs => [A, B];
    public override long Flops => 2L * A.Rows * A.Columns * Columns;
}

/// <summary>Computes the softmax of each row: exp(x - max x) divided by its sum.</summary>
internal sealed record SoftmaxOperation(Value X) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Provides the rows of a parameter, the same in every run.</summary>
internal sealed record ConstantOperation(Parameter Source) : Operation
{
    public override IReadOnlyList<Value> Inputs => [];
    public override long WeightBytes => Source.Bytes;
}

/// <summary>Smooths one channel of height x width by a Gaussian, with mirrored borders.</summary>
internal sealed record GaussianBlurOperation(Value X, int Height, int Width, float Sigma) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}
