using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>Quantises the rows of a linear layer's input.</summary>
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
        Int8Rows.Execute(frame.Floats(x, row), x.RowStride, Math.Min(RowsOfItem, x.Rows - row), x.Columns,
            frame.Bytes(quantized) + (nint)row * quantized.RowStride);
    }
}

/// <summary>A linear layer over integers, with everything fused into it.</summary>
internal sealed unsafe class Int8LinearStep<TActivation>(LinearOperation linear, Value quantized, nint weights,
    TActivation activation) : OperationStep(linear)
    where TActivation : struct, IActivation
{
    public override IReadOnlyList<Value> Reads { get; } = linear.Residual is null ? [quantized] : [quantized, linear.Residual];

    public override string Kind => "Int8Linear";

    public override long WeightBytes { get; } = Int8Weights.Bytes(linear.Outputs, linear.X.Columns);

    public override Value? InPlace => linear.Residual;

    public override int Items { get; } = Int8MatMul.Items(linear.X.Rows, linear.Outputs, linear.X.Columns);

    public override nint ScratchFloats => Int8MatMul.ScratchFloats;

    public override void Run(in Frame frame, int item, int previous, float* scratch) =>
        Int8MatMul.Execute(LinearOperands.Of(linear, frame), frame.Bytes(quantized), (byte*)weights, activation, item, scratch);
}
