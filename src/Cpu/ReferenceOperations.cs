using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Computes each operation by the reference implementation of its kernel. Rows of values are contiguous.</summary>
/// <param name="arena">The memory of the run.</param>
/// <param name="offsets">The offset in the arena of each value that owns memory, indexed by its ID.</param>
internal sealed unsafe class ReferenceOperations(byte* arena, long[] offsets)
{
    /// <summary>Rejects operations that only fusion creates.</summary>
    /// <exception cref="NotSupportedException">The operation is a fused one.</exception>
    public static void Check(Operation operation)
    {
        if (operation is BottleneckOperation
            or LinearOperation { Activation.Kind: not ActivationKind.None } or LinearOperation { Scale: not null }
            or LinearOperation { Residual: not null } or ConvolutionOperation { Activation.Kind: not ActivationKind.None }
            or AttentionOperation { RotateQueries: not null } or AttentionOperation { RotateKeys: not null })
        {
            throw new NotSupportedException($"The reference device does not execute the fused operation {operation.Kind}.");
        }
    }

    /// <summary>Gets the row stride in elements.</summary>
    public static int Stride(Value value) => value.Root.Columns;

    /// <summary>Gets the address of the first element of a value or of one of its rows.</summary>
    public float* Floats(Value value, int row = 0) => (float*)Bytes(value) + (nint)row * Stride(value);

    /// <summary>Computes the output of an operation that passed <see cref="Check"/>.</summary>
    public void Execute(Operation operation)
    {
        Value output = operation.Output;
        float* y = Floats(output);
        int rows = output.Rows, columns = output.Columns;
        switch (operation)
        {
            case LinearOperation o:
                MatMul.Scalar(new MatMulArgs
                {
                    X = Floats(o.X), LdX = Stride(o.X), M = rows, N = columns, K = o.X.Columns,
                    W = o.Weight.Pointer, Type = o.Weight.Type, Layout = o.Layout,
                    Bias = o.Bias is null ? null : o.Bias.Floats, Y = y, LdY = columns,
                }, default(Identity));
                break;
            case MatMulOperation o:
                MatMul.Scalar(new MatMulArgs
                {
                    X = Floats(o.A), LdX = Stride(o.A), M = rows, N = columns, K = o.A.Columns,
                    W = Floats(o.B), Type = FloatType.F32, Layout = o.Layout, Y = y, LdY = columns,
                }, default(Identity));
                break;
            case LayerNormOperation o:
                LayerNorm.Scalar(Floats(o.X), Stride(o.X), o.Weight.Floats, o.Bias.Floats, o.Eps, y, columns, rows, columns);
                break;
            case AttentionOperation o:
                Attend(o, y);
                break;
            case WindowAttentionOperation o:
                Attend(o, y);
                break;
            case RotaryOperation o:
                int prefix = o.Table.Prefix;
                for (int r = 0; r < prefix; r++) Copy(Floats(o.X, r), Floats(output, r), columns);
                Rotary.Scalar(Floats(o.X, prefix), Stride(o.X), o.Table.Cos.Floats, o.Table.Sin.Floats, 1,
                    Floats(output, prefix), columns, rows - prefix, o.Heads, columns / o.Heads);
                break;
            case ActivationOperation o:
                for (int r = 0; r < rows; r++)
                    for (int c = 0; c < columns; c++) Floats(output, r)[c] = (float)Activate(o.Activation, Floats(o.X, r)[c]);
                break;
            case ScaleOperation o:
                Scale.Scalar(Floats(o.X), Stride(o.X), o.Scale.Floats, y, columns, rows, columns);
                break;
            case AddOperation o:
                for (int r = 0; r < rows; r++)
                {
                    for (int c = 0; c < columns; c++)
                        Floats(output, r)[c] = Floats(o.A, r)[c] + (o.Subtract ? -1 : 1) * Floats(o.B, r)[c];
                }

                break;
            case MeanOperation o:
                float** terms = stackalloc float*[o.Values.Count];
                for (int i = 0; i < o.Values.Count; i++) terms[i] = Floats(o.Values[i]);
                Mean.Scalar(terms, o.Values.Count, y, (nint)rows * columns);
                break;
            case AddRowsOperation o:
                AddRows.Scalar(Floats(o.X), Stride(o.X), o.Table.Pointer, o.Table.Type, (nint)(o.Table.Count / columns), y,
                    columns, rows, columns);
                break;
            case EmbeddingOperation o:
                CheckIndexes(Ints(o.Ids), rows, o.Table.Shape[0]);
                Gather.Scalar(o.Table.Pointer, o.Table.Type, columns, Ints(o.Ids), rows, y, columns, columns);
                break;
            case GatherRowsOperation o:
                CheckIndexes(Ints(o.RowNumbers), rows, o.X.Rows);
                Gather.Scalar(Floats(o.X), FloatType.F32, Stride(o.X), Ints(o.RowNumbers), rows, y, columns, columns);
                break;
            case PrependRowsOperation o:
                foreach (Parameter p in o.PrependedRows)
                    for (nint i = 0; i < p.Count; i++) *y++ = p.Type.Read(p.Pointer, i);
                for (int r = 0; r < o.X.Rows; r++, y += columns) Copy(Floats(o.X, r), y, columns);
                break;
            case ConcatenateOperation o:
                for (int r = 0; r < rows; r++)
                    Copy(r < o.A.Rows ? Floats(o.A, r) : Floats(o.B, r - o.A.Rows), Floats(output, r), columns);
                break;
            case L2NormalizeOperation o:
                L2Normalize.Scalar(Floats(o.X), Stride(o.X), y, columns, rows, columns);
                break;
            case DotRowsOperation o:
                DotSmall.Scalar(Floats(o.X), Stride(o.X), Floats(o.T), o.T.Rows, o.Scale, y, columns, rows, o.X.Columns);
                break;
            case BilinearOperation o:
                Bilinear.Scalar(Floats(o.X), o.SourceWidth, o.SourceHeight, o.SourceWidth, y, o.Width, o.Height, o.Width, o.Mode);
                break;
            case NormalizeImageOperation o:
                NormalizeImage.Scalar(Bytes(o.X), [.. o.Mean.Select(Decimals.Shortest)], [.. o.Std.Select(Decimals.Shortest)], y,
                    rows);
                break;
            case PatchifyOperation o:
                Patchify.Scalar(Floats(o.X), o.Width, o.Patch, y, columns, 0, o.Height / o.Patch);
                break;
            case ConvOperation o:
                Conv.Scalar(Floats(o.X), o.Height, o.Width, o.X.Columns, o.Weight.Floats, o.Bias.Floats, columns, o.Stride, y,
                    default(Identity));
                break;
            case DepthwiseConvOperation o:
                DepthwiseConv.Scalar(Floats(o.X), o.Height, o.Width, columns, o.Weight.Floats, o.Bias.Floats, o.Stride, y,
                    default(Identity));
                break;
            case MeanRowsOperation o:
                MeanRows.Scalar(Floats(o.X), Stride(o.X), y, o.X.Rows, columns);
                break;
            case TopKMeanOperation o:
                *y = TopKMean.Scalar(Floats(o.X), (nint)o.X.Rows * o.X.Columns, o.K);
                break;
            case SoftmaxOperation o:
                Softmax.Scalar(Floats(o.X), Stride(o.X), y, columns, rows, columns);
                break;
            case ConstantOperation o:
                for (nint i = 0; i < o.Source.Count; i++) y[i] = o.Source.Type.Read(o.Source.Pointer, i);
                break;
            case GaussianBlurOperation o:
                GaussianBlur.Scalar(Floats(o.X), o.Width, o.Height, o.Width, Decimals.Shortest(o.Sigma), y, o.Width);
                break;
            default:
                throw new NotSupportedException($"The reference device does not execute the operation {operation.Kind}.");
        }
    }

    private byte* Bytes(Value value) => arena + offsets[value.Root.Id]
        + ((long)value.FirstRow * Stride(value) + value.FirstColumn) * value.ElementSize;

    private int* Ints(Value value) => (int*)Bytes(value);

    /// <summary>Checks row numbers. They come from the caller, and the reference implementation does not check them.</summary>
    private static void CheckIndexes(int* index, int count, int rows)
    {
        for (int i = 0; i < count; i++)
        {
            if ((uint)index[i] >= (uint)rows)
                throw new ArgumentOutOfRangeException(nameof(index), index[i], $"Row number {i} is not 0 to {rows - 1}.");
        }
    }

    private static void Copy(float* from, float* to, int count) =>
        new ReadOnlySpan<float>(from, count).CopyTo(new Span<float>(to, count));

    private static double Activate(ActivationFunction f, double x) => f.Kind switch
    {
        ActivationKind.None => x,
        ActivationKind.Gelu => default(Gelu).Scalar(x),
        ActivationKind.QuickGelu => default(QuickGelu).Scalar(x),
        ActivationKind.LeakyRelu => new LeakyRelu(f.Slope).Scalar(x),
        ActivationKind.Sigmoid => default(Sigmoid).Scalar(x),
        _ => throw new NotSupportedException($"The reference device does not compute the activation {f.Kind}."),
    };

    private void Attend(AttentionOperation o, float* y)
    {
        int d = o.Q.Columns / o.Heads;
        Attention.Scalar(new AttentionArgs
        {
            Batch = o.Batch, Heads = o.Heads, HeadDim = d, HeadStride = d, Queries = o.Q.Rows / o.Batch, Keys = o.K.Rows / o.Batch,
            Scale = 1 / MathF.Sqrt(d), Q = Floats(o.Q), LdQ = Stride(o.Q), K = Floats(o.K), LdK = Stride(o.K), V = Floats(o.V),
            LdV = Stride(o.V), Y = y, LdY = o.Output.Columns,
        });
    }

    private void Attend(WindowAttentionOperation o, float* y)
    {
        int d = o.Output.Columns / o.Heads, tokens = o.Window * o.Window, padding = o.Qkv.Rows - o.Height * o.Width;
        int[] input = new int[o.Windows * tokens], output = new int[o.Windows * tokens];
        int i = 0;
        for (int top = 0; top < o.Height; top += o.Window)
        {
            for (int left = 0; left < o.Width; left += o.Window)
            {
                for (int t = 0; t < tokens; t++, i++)
                {
                    int row = top + t / o.Window, column = left + t % o.Window;
                    bool inside = row < o.Height && column < o.Width;
                    output[i] = inside ? row * o.Width + column : -1;
                    input[i] = inside ? output[i] + padding : 0;
                }
            }
        }

        fixed (int* inputRows = input, outputRows = output)
        {
            Attention.Scalar(new AttentionArgs
            {
                Batch = o.Windows, Heads = o.Heads, HeadDim = d, HeadStride = 3 * d, Queries = tokens, Keys = tokens,
                Scale = 1 / MathF.Sqrt(d), Q = Floats(o.Qkv), K = Floats(o.Qkv) + d, V = Floats(o.Qkv) + 2 * d,
                LdQ = Stride(o.Qkv), LdK = Stride(o.Qkv), LdV = Stride(o.Qkv), Y = y, LdY = o.Output.Columns,
                InputRows = inputRows, OutputRows = outputRows, Bias = o.Bias.Floats, Window = o.Window,
            });
        }
    }
}
