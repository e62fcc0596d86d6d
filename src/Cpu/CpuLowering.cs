using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Kernels;

namespace TinyZsad.Cpu;

/// <summary>Translates every operation for the CPU: selects the kernel and divides the work.</summary>
/// <param name="layout">The memory layout of the values.</param>
/// <param name="threads">The number of threads to divide the work for.</param>
internal sealed unsafe class CpuLowering(Layout layout, int threads)
{
    /// <summary>Creates the steps that compute an operation, in order.</summary>
    /// <exception cref="NotSupportedException">The CPU does not support this kind of operation.</exception>
    public IEnumerable<Step> Lower(Operation operation) => operation switch
    {
        LinearOperation o => [With(o.Activation, new LinearMaker(o, layout, threads))],
        AttentionOperation o => [new AttentionStep(o, layout)],
        LayerNormOperation o => [new RowsStep(o, (f, row, rows, _) =>
            LayerNorm.Execute(f.Floats(o.X, row), f.Stride(o.X), o.Weight.Floats, o.Bias.Floats, o.Eps, f.Floats(o.Output, row),
                f.Stride(o.Output), rows, o.X.Columns))],
        RotaryOperation o => [Rotation(o)],
        ActivationOperation o => [With(o.Activation, new ActivationMaker(o))],
        ScaleOperation o => [new RowsStep(o, (f, row, rows, _) =>
            Scale.Execute(f.Floats(o.X, row), f.Stride(o.X), o.Scale.Floats, f.Floats(o.Output, row), f.Stride(o.Output), rows,
                o.X.Columns), inPlace: o.X)],
        AddOperation o => [Sum(o)],
        MeanOperation o => [new RowsStep(o, (f, row, rows, _) =>
        {
            float** terms = stackalloc float*[o.Values.Count];
            for (int i = 0; i < o.Values.Count; i++) terms[i] = f.Floats(o.Values[i], row);
            Mean.Execute(terms, o.Values.Count, f.Floats(o.Output, row), (nint)rows * o.Output.Columns);
        })],
        AddRowsOperation o => [AddRows(o)],
        EmbeddingOperation o => [new RowsStep(o, (f, row, rows, _) =>
            Gather.Execute(o.Table.Pointer, o.Table.Type, o.Output.Columns, o.Table.Shape[0], f.Ints(o.Ids) + row, rows,
                f.Floats(o.Output, row), f.Stride(o.Output), o.Output.Columns))],
        GatherRowsOperation o => [new RowsStep(o, (f, row, rows, _) =>
            Gather.Execute(f.Floats(o.X), FloatType.F32, f.Stride(o.X), o.X.Rows, f.Ints(o.RowNumbers) + row, rows,
                f.Floats(o.Output, row), f.Stride(o.Output), o.Output.Columns))],
        PrependRowsOperation o => [PrependRows(o)],
        ConcatenateOperation o => [new RowsStep(o, (f, row, rows, _) =>
        {
            for (int r = row; r < row + rows; r++)
            {
                float* from = r < o.A.Rows ? f.Floats(o.A, r) : f.Floats(o.B, r - o.A.Rows);
                new ReadOnlySpan<float>(from, o.Output.Columns)
                    .CopyTo(new Span<float>(f.Floats(o.Output, r), o.Output.Columns));
            }
        })],
        L2NormalizeOperation o => [new RowsStep(o, (f, row, rows, _) =>
            L2Normalize.Execute(f.Floats(o.X, row), f.Stride(o.X), f.Floats(o.Output, row), f.Stride(o.Output), rows,
                o.X.Columns), inPlace: o.X)],
        DotRowsOperation o => [new RowsStep(o, (f, row, rows, _) =>
            DotSmall.Execute(f.Floats(o.X, row), f.Stride(o.X), f.Floats(o.T), o.T.Rows, o.Scale, f.Floats(o.Output, row),
                f.Stride(o.Output), rows, o.X.Columns), columns: o.X.Columns)],
        BilinearOperation o => [Resize(o)],
        NormalizeImageOperation o => [Normalize(o)],
        PatchifyOperation o => [new RowsStep(o, (f, row, rows, _) =>
            Patchify.Execute(f.Floats(o.X), o.Width, o.Patch, f.Floats(o.Output), f.Stride(o.Output), row, row + rows),
            rows: o.Height / o.Patch, columns: o.Width / o.Patch * o.Output.Columns)],
        ConvOperation o => [With(o.Activation, new ConvMaker(o))],
        DepthwiseConvOperation o => [With(o.Activation, new DepthwiseConvMaker(o))],
        BottleneckOperation o => [With(o.Depthwise.Activation, new BottleneckMaker(o, layout, threads))],
        WindowAttentionOperation o => [new WindowAttentionStep(o, layout)],
        MeanRowsOperation o => [new RowsStep(o, (f, _, _, _) =>
            MeanRows.Execute(f.Floats(o.X), f.Stride(o.X), f.Floats(o.Output), o.X.Rows, o.X.Columns))],
        TopKMeanOperation o => [new RowsStep(o, (f, _, _, _) =>
        {
            nint n = (nint)o.X.Rows * o.X.Columns;
            *f.Floats(o.Output) = o.K == 1 ? Max.Execute(f.Floats(o.X), n) : TopKMean.Execute(f.Floats(o.X), n, o.K);
        })],
        MatMulOperation o => [new MatMulStep(o, layout, threads)],
        SoftmaxOperation o => [new RowsStep(o, (f, row, rows, _) =>
            Softmax.Execute(f.Floats(o.X, row), f.Stride(o.X), f.Floats(o.Output, row), f.Stride(o.Output), rows, o.X.Columns),
                inPlace: o.X)],
        ConstantOperation o => [new RowsStep(o, (f, row, rows, _) =>
            Widen.Execute((byte*)o.Source.Pointer + (nint)row * o.Output.Columns * o.Source.Type.Size(), o.Source.Type,
                f.Floats(o.Output, row), (nint)rows * o.Output.Columns))],
        GaussianBlurOperation o => [Blur(o)],
        _ => throw new NotSupportedException($"The CPU does not execute the operation {operation.Kind}."),
    };

    /// <summary>
    /// Creates the step of an operation with its activation as a type argument, so that the kernel is compiled with the
    /// activation inlined.
    /// </summary>
    internal interface IWithActivation
    {
        Step Make<TActivation>(TActivation activation) where TActivation : struct, IActivation;
    }

    internal static Step With<TMaker>(ActivationFunction f, TMaker maker) where TMaker : struct, IWithActivation => f.Kind switch
    {
        ActivationKind.None => maker.Make(default(Identity)),
        ActivationKind.Gelu => maker.Make(default(Gelu)),
        ActivationKind.QuickGelu => maker.Make(default(QuickGelu)),
        ActivationKind.LeakyRelu => maker.Make(new LeakyRelu(f.Slope)),
        ActivationKind.Sigmoid => maker.Make(default(Sigmoid)),
        _ => throw new NotSupportedException($"Activation {f.Kind}."),
    };

    private readonly struct LinearMaker(LinearOperation o, Layout layout, int threads) : IWithActivation
    {
        public Step Make<TActivation>(TActivation activation)
            where TActivation : struct, IActivation => new LinearStep<TActivation>(o, layout, threads, activation);
    }

    private readonly struct ActivationMaker(ActivationOperation o) : IWithActivation
    {
        public Step Make<TActivation>(TActivation activation) where TActivation : struct, IActivation => Activate(o, activation);
    }

    private readonly struct ConvMaker(ConvOperation o) : IWithActivation
    {
        public Step Make<TActivation>(TActivation activation) where TActivation : struct, IActivation => Convolve(o, activation);
    }

    private readonly struct DepthwiseConvMaker(DepthwiseConvOperation o) : IWithActivation
    {
        public Step Make<TActivation>(TActivation activation) where TActivation : struct, IActivation => Convolve(o, activation);
    }

    private readonly struct BottleneckMaker(BottleneckOperation o, Layout layout, int threads) : IWithActivation
    {
        public Step Make<TActivation>(TActivation activation) where TActivation : struct, IActivation =>
            With(o.Project.Activation, new BottleneckMaker<TActivation>(o, layout, threads, activation));
    }

    private readonly struct BottleneckMaker<TInner>(BottleneckOperation o, Layout layout, int threads, TInner inner) : IWithActivation
        where TInner : struct, IActivation
    {
        public Step Make<TActivation>(TActivation activation) where TActivation : struct, IActivation =>
            new BottleneckStep<TInner, TActivation>(o, layout, threads, inner, activation);
    }

    private static RowsStep Activate<TActivation>(ActivationOperation o, TActivation activation)
        where TActivation : struct, IActivation =>
        new(o, (f, row, rows, _) =>
        {
            if (f.Stride(o.X) == o.X.Columns && f.Stride(o.Output) == o.X.Columns)
            {
                Kernels.Activate.Execute(f.Floats(o.X, row), f.Floats(o.Output, row), (nint)rows * o.X.Columns, activation);
                return;
            }
            for (int r = row; r < row + rows; r++)
                Kernels.Activate.Execute(f.Floats(o.X, r), f.Floats(o.Output, r), o.X.Columns, activation);
        }, inPlace: o.X);

    private static RowsStep Convolve<TActivation>(ConvOperation o, TActivation activation) where TActivation : struct, IActivation
    {
        int rows = Convolution.OutputSize(o.Height, o.Stride), columns = Convolution.OutputSize(o.Width, o.Stride);
        // Each item packs the weights again, so an item should cover several rows. A row therefore counts as an eighth of its
        // elements.
        return new RowsStep(o, (f, row, count, scratch) =>
            Conv.Execute(f.Floats(o.X), o.Height, o.Width, o.X.Columns, o.Weight.Floats, o.Bias.Floats, o.Output.Columns,
                o.Stride, f.Floats(o.Output), row, row + count, activation, scratch),
            rows: rows, columns: Math.Max(1, columns * o.Output.Columns / 8),
                scratch: Conv.ScratchFloats(o.X.Columns, o.Output.Columns));
    }

    private static RowsStep Convolve<TActivation>(DepthwiseConvOperation o, TActivation activation)
        where TActivation : struct, IActivation =>
        new(o, (f, row, count, _) =>
            DepthwiseConv.Execute(f.Floats(o.X), o.Height, o.Width, o.X.Columns, o.Weight.Floats, o.Bias.Floats, o.Stride,
                f.Floats(o.Output), row, row + count, activation),
            rows: Convolution.OutputSize(o.Height, o.Stride),
                columns: Convolution.OutputSize(o.Width, o.Stride) * o.Output.Columns);

    private static RowsStep Rotation(RotaryOperation o)
    {
        int width = o.X.Columns / o.Heads;
        return new RowsStep(o, (f, row, rows, _) =>
        {
            int prefix = Math.Clamp(o.Table.Prefix - row, 0, rows);
            for (int r = row; r < row + prefix; r++)
            {
                new ReadOnlySpan<float>(f.Floats(o.X, r), o.X.Columns)
                .CopyTo(new Span<float>(f.Floats(o.Output, r), o.X.Columns));
            }

            nint table = (nint)(row + prefix - o.Table.Prefix) * (width / 2);
            Rotary.Execute(f.Floats(o.X, row + prefix), f.Stride(o.X), o.Table.Cos.Floats + table, o.Table.Sin.Floats + table, 1,
                f.Floats(o.Output, row + prefix), f.Stride(o.Output), rows - prefix, o.Heads, width);
        });
    }

    private static RowsStep Sum(AddOperation o)
    {
        float[] factor = GC.AllocateUninitializedArray<float>(o.A.Columns, pinned: true);
        Array.Fill(factor, o.Subtract ? -1f : 1f);
        return new RowsStep(o, (f, row, rows, _) =>
        {
            fixed (float* b = factor)
            {
                ScaleAdd.Execute(f.Floats(o.A, row), f.Stride(o.A), b, f.Floats(o.B, row), f.Stride(o.B),
                    f.Floats(o.Output, row), f.Stride(o.Output), rows, o.A.Columns);
            }
        }, inPlace: o.A);
    }

    private static RowsStep AddRows(AddRowsOperation o)
    {
        int period = (int)(o.Table.Count / o.X.Columns);
        return new RowsStep(o, (f, row, rows, _) =>
        {
            // The kernel expects to start at the first row of the table, but an item may start at any row.
            for (int r = row; r < row + rows; r++)
            {
                Kernels.AddRows.Execute(f.Floats(o.X, r), f.Stride(o.X),
                    (byte*)o.Table.Pointer + (nint)(r % period) * o.X.Columns * o.Table.Type.Size(), o.Table.Type, 1,
                    f.Floats(o.Output, r), f.Stride(o.Output), 1, o.X.Columns);
            }
        }, inPlace: o.X);
    }

    private static RowsStep PrependRows(PrependRowsOperation o)
    {
        int columns = o.X.Columns, prefix = o.Output.Rows - o.X.Rows;
        Parameter[] sources = new Parameter[prefix];
        int[] rowOfSource = new int[prefix];
        int at = 0;
        foreach (Parameter source in o.PrependedRows)
            for (int i = 0; i < source.Count / columns; i++, at++) (sources[at], rowOfSource[at]) = (source, i);
        return new RowsStep(o, (f, row, rows, _) =>
        {
            for (int r = row; r < Math.Min(prefix, row + rows); r++)
            {
                Parameter p = sources[r];
                Widen.Execute((byte*)p.Pointer + (nint)rowOfSource[r] * columns * p.Type.Size(), p.Type, f.Floats(o.Output, r), columns);
            }
            for (int r = Math.Max(prefix, row); r < row + rows; r++)
            {
                new ReadOnlySpan<float>(f.Floats(o.X, r - prefix), columns)
                    .CopyTo(new Span<float>(f.Floats(o.Output, r), columns));
            }
        });
    }

    private static RowsStep Resize(BilinearOperation o)
    {
        int[] column = GC.AllocateUninitializedArray<int>(o.Width, pinned: true);
        float[] weight = GC.AllocateUninitializedArray<float>(o.Width, pinned: true);
        fixed (int* c = column)
        fixed (float* w = weight) Bilinear.FillColumns(o.SourceWidth, o.Width, o.Mode, c, w);
        return new RowsStep(o, (f, row, rows, scratch) =>
        {
            fixed (int* c = column)
            fixed (float* w = weight)
            {
                Bilinear.Execute(f.Floats(o.X), o.SourceWidth, o.SourceHeight, o.SourceWidth, c, w, f.Floats(o.Output), o.Width,
                    o.Height, o.Width, o.Mode, row, row + rows, scratch);
            }
        }, rows: o.Height, columns: o.Width, scratch: Bilinear.ScratchLength(o.Width));
    }

    private static RowsStep Normalize(NormalizeImageOperation o)
    {
        float[] table = GC.AllocateUninitializedArray<float>(NormalizeImage.TableLength, pinned: true);
        NormalizeImage.FillTable([.. o.Mean.Select(Decimals.Shortest)], [.. o.Std.Select(Decimals.Shortest)], table);
        return new RowsStep(o, (f, row, rows, _) =>
        {
            fixed (float* t = table) NormalizeImage.Execute(f.Bytes(o.X) + 3 * (nint)row, t, f.Floats(o.Output, row), rows);
        });
    }

    private static RowsStep Blur(GaussianBlurOperation o)
    {
        double sigma = Decimals.Shortest(o.Sigma);
        int radius = GaussianTaps.Radius(sigma);
        float[] weight = GC.AllocateUninitializedArray<float>(radius + 1, pinned: true);
        GaussianTaps.FillWeights(sigma, weight);
        return new RowsStep(o, (f, row, rows, scratch) =>
        {
            fixed (float* w = weight)
            {
                GaussianBlur.Execute(f.Floats(o.X), o.Width, o.Height, o.Width, w, radius, f.Floats(o.Output), o.Width, row,
                    row + rows, scratch);
            }
        }, rows: o.Height, columns: o.Width, scratch: GaussianBlur.ScratchLength(o.Width, radius));
    }
}
