using TinyZsad.Formats;
using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>A product of two values.</summary>
internal sealed unsafe class MatMulStep(MatMulOperation product) : OperationStep(product)
{
    public override int Items { get; } =
        MatMul.Items(product.A.Rows, product.Columns, product.A.Columns, Environment.ProcessorCount);

    public override int Groups { get; } =
        MatMul.Groups(product.A.Rows, product.Columns, product.A.Columns, Environment.ProcessorCount);

    public override nint ScratchFloats =>
        MatMul.ScratchFloats(product.A.Rows, product.Columns, product.A.Columns, Environment.ProcessorCount);

    public override void Run(in Frame frame, int item, int previous, float* scratch) => MatMul.Execute(new MatMulArgs
    {
        X = frame.Floats(product.A),
        LdX = product.A.RowStride,
        M = product.A.Rows,
        N = product.Columns,
        K = product.A.Columns,
        W = frame.Floats(product.B),
        Type = FloatType.F32,
        Layout = product.Layout,
        Y = frame.Floats(product.Output),
        LdY = product.Output.RowStride,
        Threads = Environment.ProcessorCount,
    }, default(Identity), item, previous, scratch);
}
