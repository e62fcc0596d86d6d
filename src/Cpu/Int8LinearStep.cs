using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Quantizes the rows of a linear layer's input.</summary>
internal sealed unsafe class QuantizeStep(LinearOperation linear, Value quantized) : OperationStep(linear)
{
    private const int RowsOfItem = 32;

    private readonly Value x = linear.X;

    public override IReadOnlyList<Value> Reads { get; } = [linear.X];

    public override IReadOnlyList<Value> Writes { get; } = [quantized];

    public override string Kind => "Quantize";

    public override long Flops => 0;

    public override long WeightBytes => 0;

    public override int Items => (x.Rows + RowsOfItem - 1) / RowsOfItem;

    public override void Run(in Frame frame, int item, int previous, float* scratch)
    {
        int row = item * RowsOfItem;
        Int8Rows.Execute(frame.Floats(x, row), frame.Stride(x), Math.Min(RowsOfItem, x.Rows - row), x.Columns,
            frame.Bytes(quantized) + (nint)row * frame.Stride(quantized));
    }
}

/// <summary>Computes a linear layer with 8-bit integers, including its fused operations.</summary>
internal sealed unsafe class Int8LinearStep<TActivation> : OperationStep
    where TActivation : struct, IActivation
{
    private readonly LinearOperation linear;
    private readonly Value quantized;
    private readonly nint weights;
    private readonly TActivation activation;
    private readonly MatMulArgs shape;

    public Int8LinearStep(LinearOperation linear, Layout layout, int threads, Value quantized, nint weights,
        TActivation activation) : base(linear)
    {
        this.linear = linear;
        this.quantized = quantized;
        this.weights = weights;
        this.activation = activation;
        shape = LinearOperands.Of(linear, layout, threads);
        Reads = linear.Residual is null ? [quantized] : [quantized, linear.Residual];
        WeightBytes = Int8Weights.Bytes(shape.N, shape.K);
        Items = Int8MatMul.Items(shape.M, shape.N, shape.K);
    }

    public override IReadOnlyList<Value> Reads { get; }

    public override string Kind => "Int8Linear";

    public override long WeightBytes { get; }

    public override Value? InPlace => linear.Residual;

    public override int Items { get; }

    public override nint ScratchFloats => Int8MatMul.ScratchFloats(shape.K);

    public override void Run(in Frame frame, int item, int previous, float* scratch) =>
        Int8MatMul.Execute(LinearOperands.In(frame, linear, shape), frame.Bytes(quantized), (byte*)weights, activation, item,
            scratch);
}
