using TinyZsad.Kernels;

namespace TinyZsad.Graph;

/// <summary>
/// The two phases of attention share their operands; the keys and values that the first lays out are a value of its own in the
/// arena.
/// </summary>
internal abstract unsafe class AttentionPhase(AttentionOperation attention, Value packed) : OperationStep(attention)
{
    public override nint ScratchFloats => Attention.ScratchFloats(Shape(attention));

    /// <summary>Floats of the laid-out keys and values.</summary>
    public static int PackedFloats(AttentionOperation attention) => checked((int)Attention.PackedFloats(Shape(attention)));

    protected static AttentionArgs Shape(AttentionOperation a) => new()
    {
        Batch = a.Batch,
        Heads = a.Heads,
        HeadDim = a.Q.Columns / a.Heads,
        HeadStride = a.Q.Columns / a.Heads,
        Queries = a.Q.Rows / a.Batch,
        Keys = a.K.Rows / a.Batch,
        Scale = 1 / MathF.Sqrt(a.Q.Columns / a.Heads),
    };

    protected AttentionArgs Args(in Frame frame)
    {
        AttentionArgs args = Shape(attention);
        args.LdQ = attention.Q.RowStride;
        args.LdK = attention.K.RowStride;
        args.LdV = attention.V.RowStride;
        args.LdY = attention.Output.RowStride;
        args.Q = frame.Floats(attention.Q);
        args.K = frame.Floats(attention.K);
        args.V = frame.Floats(attention.V);
        args.Packed = frame.Floats(packed);
        if (attention.RotateQueries is { } q)
        {
            args.QueryCos = q.Cos.Floats;
            args.QuerySin = q.Sin.Floats;
            args.RotaryPrefix = q.Prefix;
        }
        if (attention.RotateKeys is { } k)
        {
            args.KeyCos = k.Cos.Floats;
            args.KeySin = k.Sin.Floats;
            args.RotaryPrefix = k.Prefix;
        }
        return args;
    }
}

/// <summary>Lays out keys and values.</summary>
internal sealed unsafe class PackStep(AttentionOperation attention, Value packed) : AttentionPhase(attention, packed)
{
    public override IReadOnlyList<Value> Reads { get; } = [attention.K, attention.V];

    public override IReadOnlyList<Value> Writes { get; } = [packed];

    public override string Kind => "AttentionPack";

    public override long Flops => 0;

    public override int Items { get; } = Attention.PackItems(Shape(attention));

    public override void Run(in Frame frame, int item, int previous, float* scratch) => Attention.Pack(Args(frame), item, scratch);
}

/// <summary>Scores, weights and sums.</summary>
internal sealed unsafe class AttendStep(AttentionOperation attention, Value packed) : AttentionPhase(attention, packed)
{
    private readonly AttentionOperation attention = attention;

    public override IReadOnlyList<Value> Reads { get; } = [attention.Q, packed];

    public override int Items { get; } = Attention.AttendItems(Shape(attention));

    public override void Run(in Frame frame, int item, int previous, float* scratch)
    {
        AttentionArgs args = Args(frame);
        args.Y = frame.Floats(attention.Output);
        Attention.Attend(args, item, scratch);
    }
}
