using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Computes attention over sequences of rows.</summary>
internal sealed unsafe class AttentionStep(AttentionOperation attention, Layout layout)
    : OperationStep(attention)
{
    // The shape only. The addresses of the operands are known only in a run.
    private readonly AttentionArgs shape = Shape(attention, layout);

    public override int Items => Attention.Items(shape);

    public override nint ScratchFloats => Attention.ScratchFloats(shape);

    public override void Run(in Frame frame, int item, int previous, float* scratch)
    {
        AttentionArgs args = shape;
        args.Q = frame.Floats(attention.Q);
        args.K = frame.Floats(attention.K);
        args.V = frame.Floats(attention.V);
        args.Y = frame.Floats(attention.Output);
        Attention.Execute(args, item, previous, scratch);
    }

    private static AttentionArgs Shape(AttentionOperation a, Layout layout)
    {
        int d = a.Q.Columns / a.Heads;
        return new()
        {
            Batch = a.Batch,
            Heads = a.Heads,
            HeadDim = d,
            HeadStride = d,
            Queries = a.Q.Rows / a.Batch,
            Keys = a.K.Rows / a.Batch,
            Scale = 1 / MathF.Sqrt(d),
            LdQ = layout.Stride(a.Q),
            LdK = layout.Stride(a.K),
            LdV = layout.Stride(a.V),
            LdY = layout.Stride(a.Output),
            QueryCos = a.RotateQueries is { } q ? q.Cos.Floats : null,
            QuerySin = a.RotateQueries is { } q1 ? q1.Sin.Floats : null,
            KeyCos = a.RotateKeys is { } k ? k.Cos.Floats : null,
            KeySin = a.RotateKeys is { } k1 ? k1.Sin.Floats : null,
            RotaryPrefix = a.RotateQueries?.Prefix ?? a.RotateKeys?.Prefix ?? 0,
        };
    }
}
