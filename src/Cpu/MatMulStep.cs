using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Computes the product of two values.</summary>
internal sealed unsafe class MatMulStep(MatMulOperation product, Layout layout, int threads) : OperationStep(product)
{
    private readonly MatMulArgs shape = new()
    {
        LdX = layout.Stride(product.A),
        M = product.A.Rows,
        N = product.Columns,
        K = product.A.Columns,
        Threads = threads,
        Type = FloatType.F32,
        Layout = product.Layout,
        LdY = layout.Stride(product.Output),
    };

    public override int Items { get; } = MatMul.Items(product.A.Rows, product.Columns, product.A.Columns, threads);

    public override int Groups { get; } = MatMul.Groups(product.A.Rows, product.Columns, product.A.Columns, threads);

    public override nint ScratchFloats => MatMul.ScratchFloats(shape.M, shape.N, shape.K, shape.Threads);

    public override void Run(in Frame frame, int item, int previous, float* scratch)
    {
        MatMulArgs args = shape;
        args.X = frame.Floats(product.A);
        args.W = frame.Floats(product.B);
        args.Y = frame.Floats(product.Output);
        MatMul.Execute(args, default(Identity), item, previous, scratch);
    }
}
