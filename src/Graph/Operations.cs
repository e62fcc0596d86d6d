using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Graph;

/// <summary>
/// Tables of rotary positions, [rows, head width / 2] each (both halves of a head are turned by the same angles), for every row
/// after the first <paramref name="Prefix"/> of a sequence.
/// </summary>
/// <param name="Cos">Cosines.</param>
/// <param name="Sin">Sines.</param>
/// <param name="Prefix">Leading rows that are not rotated: class and register tokens.</param>
internal sealed record RotaryTable(Parameter Cos, Parameter Sin, int Prefix);

/// <summary>
/// One step of a network, as a fact: what it reads, what it makes, with which weights. It knows neither where values lie nor what
/// computes it. The kinds are listed in this file; a device is a translation of each of them. Immutable; a changed copy is made by
/// <c>with</c>, and two operations are equal only if they are the same one.
/// </summary>
internal abstract record Operation
{
    private protected Operation() { }

    /// <summary>What it reads.</summary>
    public abstract IReadOnlyList<Value> Inputs { get; }

    /// <summary>What it makes.</summary>
    public Value Output { get; internal init; } = null!;

    /// <summary>Where in the network it stands, for profiles.</summary>
    public string Label { get; internal init; } = "";

    /// <summary>Its name without "Operation", for messages and profiles.</summary>
    public string Kind => KindOf(GetType());

    /// <summary>Floating-point operations, two a multiply-add; zero where memory bounds it.</summary>
    public virtual long Flops => 0;

    /// <summary>Bytes of weights read.</summary>
    public virtual long WeightBytes => 0;

    /// <summary>Whether it is the same operation.</summary>
    public virtual bool Equals(Operation? other) => ReferenceEquals(this, other);

    /// <inheritdoc/>
    public override int GetHashCode() => RuntimeHelpers.GetHashCode(this);

    internal static string KindOf(Type operation) => operation.Name.Replace(nameof(Operation), "", StringComparison.Ordinal);
}

/// <summary>
/// y = f(x Wᵀ + bias) * scale + residual; with <see cref="ActivateLast"/> f comes after the residual. What follows the bias is put
/// in by <see cref="Fusion"/>.
/// </summary>
internal sealed record LinearOperation(Value X, Parameter Weight, WeightLayout Layout, Parameter? Bias) : Operation
{
    /// <summary>Whether it is computed in floats at any precision; see <see cref="ComputeGraph.Linear"/>.</summary>
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

/// <summary>y = (x - mean) / sqrt(variance + eps) * weight + bias, row by row.</summary>
internal sealed record LayerNormOperation(Value X, Parameter Weight, Parameter Bias, float Eps) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>
/// softmax(q kᵀ / sqrt d) v a head and sequence, with rotary positions applied on the way in where a table is given.
/// </summary>
internal sealed record AttentionOperation(Value Q, Value K, Value V, int Heads, int Batch) : Operation
{
    public RotaryTable? RotateQueries { get; init; }
    public RotaryTable? RotateKeys { get; init; }
    public override IReadOnlyList<Value> Inputs => [Q, K, V];
    public override long Flops => 4L * Q.Rows * (K.Rows / Batch) * Q.Columns;
}

/// <summary>Rotary positions on every head of a single sequence.</summary>
internal sealed record RotaryOperation(Value X, int Heads, RotaryTable Table) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = f(x).</summary>
internal sealed record ActivationOperation(Value X, ActivationFunction Activation) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = x * scale, one factor a column.</summary>
internal sealed record ScaleOperation(Value X, Parameter Scale) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = a + b, or a - b.</summary>
internal sealed record AddOperation(Value A, Value B, bool Subtract) : Operation
{
    public override IReadOnlyList<Value> Inputs => [A, B];
}

/// <summary>y = the mean of several values, element by element.</summary>
internal sealed record MeanOperation(IReadOnlyList<Value> Values) : Operation
{
    public override IReadOnlyList<Value> Inputs => Values;
}

/// <summary>y[r] = x[r] + table[r mod rows of the table]: positions, the same for every sequence of a batch.</summary>
internal sealed record AddRowsOperation(Value X, Parameter Table) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y[r] = table[ids[r]].</summary>
internal sealed record EmbeddingOperation(Value Ids, Parameter Table) : Operation
{
    public override IReadOnlyList<Value> Inputs => [Ids];
}

/// <summary>y[r] = x[rows[r]].</summary>
internal sealed record GatherRowsOperation(Value X, Value RowNumbers) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X, RowNumbers];
}

/// <summary>y = the parameters' rows, then x's.</summary>
internal sealed record PrependRowsOperation(Value X, IReadOnlyList<Parameter> PrependedRows) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = the rows of a, then those of b.</summary>
internal sealed record ConcatenateOperation(Value A, Value B) : Operation
{
    public override IReadOnlyList<Value> Inputs => [A, B];
}

/// <summary>y = x / |x|, row by row.</summary>
internal sealed record L2NormalizeOperation(Value X) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y[r, j] = scale * (x[r] · t[j]) for a few vectors t that are themselves computed or given at run time.</summary>
internal sealed record DotRowsOperation(Value X, Value T, float Scale) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X, T];
    public override long Flops => 2L * X.Rows * X.Columns * T.Rows;
}

/// <summary>One channel of h x w resized to height x width.</summary>
internal sealed record BilinearOperation(
    Value X, int SourceHeight, int SourceWidth, int Height, int Width, BilinearMode Mode) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>Bytes [H * W, 3] to (v / 255 - mean) / std.</summary>
internal sealed record NormalizeImageOperation(Value X, float[] Mean, float[] Std) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>[H * W, 3] to a row a patch, its values in (channel, row, column) order as a convolution's kernel has them.</summary>
internal sealed record PatchifyOperation(Value X, int Height, int Width, int Patch) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = f(a 3 x 3 convolution), one pixel of zeros around the map; the weight is floats.</summary>
internal abstract record ConvolutionOperation(
    Value X, int Height, int Width, int Stride, Parameter Weight, Parameter Bias) : Operation
{
    public ActivationFunction Activation { get; init; }
    public override IReadOnlyList<Value> Inputs => [X];
    public override long WeightBytes => Weight.Bytes;
}

/// <summary>The dense convolution; weight [3, 3, in, out].</summary>
internal sealed record ConvOperation(Value X, int Height, int Width, int Stride, Parameter Weight, Parameter Bias)
    : ConvolutionOperation(X, Height, Width, Stride, Weight, Bias)
{
    public override long Flops => 18L * Output.Rows * Output.Columns * X.Columns;
}

/// <summary>The depthwise convolution; weight [3, 3, channels].</summary>
internal sealed record DepthwiseConvOperation(Value X, int Height, int Width, int Stride, Parameter Weight, Parameter Bias)
    : ConvolutionOperation(X, Height, Width, Stride, Weight, Bias)
{
    public override long Flops => 18L * Output.Rows * Output.Columns;
}

/// <summary>
/// A linear layer on every pixel of a map, a depthwise convolution and another linear layer, as one: made by <see cref="Fusion"/>
/// of three that nobody else reads from. The first two have the same activation.
/// </summary>
internal sealed record BottleneckOperation(LinearOperation Expand, DepthwiseConvOperation Depthwise, LinearOperation Project)
    : Operation
{
    public override IReadOnlyList<Value> Inputs => Project.Residual is null ? [Expand.X] : [Expand.X, Project.Residual];
    public override long Flops => Expand.Flops + Depthwise.Flops + Project.Flops;
    public override long WeightBytes => Expand.WeightBytes + Depthwise.WeightBytes + Project.WeightBytes;
}

/// <summary>
/// Attention inside square windows of a map, with position biases. Columns of qkv are grouped by head, q k v each; its rows are
/// the map's, behind one that stands for the padding where the map is no whole number of windows.
/// </summary>
internal sealed record WindowAttentionOperation(Value Qkv, int Heads, int Height, int Width, int Window, Parameter Bias)
    : Operation
{
    public int Windows => (Height + Window - 1) / Window * ((Width + Window - 1) / Window);
    public override IReadOnlyList<Value> Inputs => [Qkv];
    public override long Flops => 4L * Windows * Window * Window * Window * Window * (Qkv.Columns / 3);
}

/// <summary>y = the mean over all rows, [1, columns].</summary>
internal sealed record MeanRowsOperation(Value X) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = the mean of the k largest elements, [1, 1].</summary>
internal sealed record TopKMeanOperation(Value X, int K) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = a b, or a bᵀ, of two values.</summary>
internal sealed record MatMulOperation(Value A, Value B, WeightLayout Layout) : Operation
{
    public int Columns => Layout == WeightLayout.OutIn ? B.Rows : B.Columns;
    public override IReadOnlyList<Value> Inputs => [A, B];
    public override long Flops => 2L * A.Rows * A.Columns * Columns;
}

/// <summary>y = exp(x - max x) over the sum of these, row by row.</summary>
internal sealed record SoftmaxOperation(Value X) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}

/// <summary>y = a parameter's rows, the same in every run.</summary>
internal sealed record ConstantOperation(Parameter Source) : Operation
{
    public override IReadOnlyList<Value> Inputs => [];
    public override long WeightBytes => Source.Bytes;
}

/// <summary>One channel of height x width smoothed by a Gaussian, borders mirrored.</summary>
internal sealed record GaussianBlurOperation(Value X, int Height, int Width, float Sigma) : Operation
{
    public override IReadOnlyList<Value> Inputs => [X];
}
