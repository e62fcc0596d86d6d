using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Holds the map row of every token of each window, computed once per plan.</summary>
internal sealed unsafe class WindowAttentionShape
{
    // The arrays are pinned, so that steps may keep their addresses.
    private readonly int[] input;
    private readonly int[] output;

    public WindowAttentionShape(WindowAttentionOperation o, Layout layout)
    {
        int window = o.Window, tokens = window * window, across = (o.Width + window - 1) / window, at = 0;
        int padding = o.Qkv.Rows - o.Height * o.Width;
        input = GC.AllocateUninitializedArray<int>(o.Windows * tokens, pinned: true);
        output = GC.AllocateUninitializedArray<int>(o.Windows * tokens, pinned: true);
        for (int w = 0; w < o.Windows; w++)
        {
            for (int t = 0; t < tokens; t++, at++)
            {
                int y = w / across * window + t / window, x = w % across * window + t % window;
                bool inside = y < o.Height && x < o.Width;
                output[at] = inside ? y * o.Width + x : -1;
                input[at] = inside ? output[at] + padding : 0;
            }
        }

        int d = o.Output.Columns / o.Heads;
        fixed (int* i = input, y = output)
        {
            Args = new AttentionArgs
            {
                Batch = o.Windows,
                Heads = o.Heads,
                HeadDim = d,
                HeadStride = 3 * d,
                Queries = tokens,
                Keys = tokens,
                Scale = 1 / MathF.Sqrt(d),
                LdQ = layout.Stride(o.Qkv),
                LdK = layout.Stride(o.Qkv),
                LdV = layout.Stride(o.Qkv),
                LdY = layout.Stride(o.Output),
                InputRows = i,
                OutputRows = y,
                Bias = o.Bias.Floats,
                Window = window,
            };
        }
    }

    /// <summary>Gets all operands except the addresses of the values.</summary>
    public AttentionArgs Args { get; }
}

/// <summary>Computes attention within the windows of a map.</summary>
internal sealed unsafe class WindowAttentionStep(WindowAttentionOperation attention, Layout layout)
    : OperationStep(attention)
{
    private readonly WindowAttentionShape shape = new(attention, layout);

    public override int Items => Attention.Items(shape.Args);

    public override nint ScratchFloats => Attention.ScratchFloats(shape.Args);

    public override void Run(in Frame frame, int item, int previous, float* scratch)
    {
        AttentionArgs args = shape.Args;
        args.Q = frame.Floats(attention.Qkv);
        args.K = args.Q + args.HeadDim;
        args.V = args.K + args.HeadDim;
        args.Y = frame.Floats(attention.Output);
        Attention.Execute(args, item, previous, scratch);
    }
}
