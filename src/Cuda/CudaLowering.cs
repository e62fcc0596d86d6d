using TinyZsad.Cuda.Kernels;
using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>
/// Translates the operations of a graph into steps of launches, uploads their weights and lays out the values. Linear layers that read
/// the same value become one product, the bytes of a picture are normalized and divided into patches in one step, and a dense convolution
/// is a product with the patches around each pixel.
/// </summary>
internal sealed class CudaLowering
{
    private readonly int batch;
    private readonly DeviceWeights.Lease weights;
    private readonly GpuProperties gpu;
    private readonly HashSet<Value> kept;
    private readonly Dictionary<Value, int> readers = [];
    private readonly List<CudaStep> steps = [];

    /// <summary>Translates a graph.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="operations">Its operations after fusion.</param>
    /// <param name="taps">The taps to provide.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <param name="weights">Receives the weights.</param>
    /// <param name="gpu">The GPU.</param>
    public CudaLowering(ComputeGraph graph, List<Operation> operations, IReadOnlyList<Tap> taps, int batch,
        DeviceWeights.Lease weights, GpuProperties gpu)
    {
        this.batch = batch;
        this.weights = weights;
        this.gpu = gpu;
        kept = [.. graph.Outputs.Values, .. taps.Select(t => t.Value.Root)];
        foreach (Value input in operations.SelectMany(o => o.Inputs)) readers[input.Root] = readers.GetValueOrDefault(input.Root) + 1;
        Layout = new CudaLayout(graph, operations, batch);

        List<(Value, Value)> inputs = [];
        foreach (Value input in graph.Inputs.Values)
        {
            Value uploaded = input;
            if (Layout.IsHalf(input))
            {
                uploaded = Layout.Add(input.Rows, input.Columns, half: false);
                steps.Add(Copy("input", uploaded, input));
            }

            inputs.Add((input, uploaded));
        }

        Inputs = inputs;
        for (int i = 0; i < operations.Count;)
        {
            LinearOperation[] siblings = Siblings(operations, i);
            if (siblings.Length > 1)
            {
                steps.Add(Together(siblings));
                i += siblings.Length;
                continue;
            }

            if (operations[i] is NormalizeImageOperation normalize && i + 1 < operations.Count
                && operations[i + 1] is PatchifyOperation patchify && patchify.X == normalize.Output && IsOnlyReadBy(normalize.Output))
            {
                steps.Add(new CudaStep(patchify.Label, "NormalizeImage + Patchify", [normalize.X], [patchify.Output], f =>
                [
                    ImageKernel.NormalizePatchify(f[normalize.X], patchify.Height, patchify.Width, patchify.Patch, normalize.Mean,
                        normalize.Std, f[patchify.Output], batch),
                ]));
                i += 2;
                continue;
            }

            Lower(operations[i++]);
        }

        List<(Value, Value)> outputs = [];
        foreach (Value output in graph.Outputs.Values.Distinct())
        {
            Value downloaded = output;
            if (Layout.IsHalf(output))
            {
                downloaded = Layout.Add(output.Rows, output.Columns, half: false);
                steps.Add(Copy("output", output, downloaded));
            }

            outputs.Add((output, downloaded));
        }

        Outputs = outputs;
        RowNumbers =
        [
            .. operations.OfType<EmbeddingOperation>().Select(o => (o.Ids, o.Table.Shape[0])),
            .. operations.OfType<GatherRowsOperation>().Select(o => (o.RowNumbers, o.X.Rows)),
        ];
        Place(graph, taps, inputs.ConvertAll(i => i.Item2), outputs.ConvertAll(o => o.Item2));
    }

    /// <summary>Gets the layout of the values.</summary>
    public CudaLayout Layout { get; }

    /// <summary>Gets the steps in order of execution.</summary>
    public IReadOnlyList<CudaStep> Steps => steps;

    /// <summary>Gets the inputs and the values to which they are copied from the host.</summary>
    public IReadOnlyList<(Value Input, Value Uploaded)> Inputs { get; }

    /// <summary>Gets the outputs and the values from which they are copied to the host.</summary>
    public IReadOnlyList<(Value Output, Value Downloaded)> Outputs { get; }

    /// <summary>Gets the inputs that are row numbers, with the number of rows that they choose from.</summary>
    public IReadOnlyList<(Value Input, int Rows)> RowNumbers { get; }

    /// <summary>Assigns the places in the arena. Every step is a moment; the first and the last moment are the copies.</summary>
    private void Place(ComputeGraph graph, IReadOnlyList<Tap> taps, IReadOnlyList<Value> uploaded, IReadOnlyList<Value> downloaded)
    {
        List<Access> accesses = [new(0, [], [.. uploaded.Where(v => !graph.Inputs.Values.Contains(v))], null)];
        foreach (CudaStep step in steps)
        {
            // A value in some columns of another is not yet there when the first of them is written, so the product writes the storage.
            Value[] reads = [.. step.Reads.Select(v => Layout.Storage(v))];
            Value[] writes = [.. step.Writes.Select(v => Layout.Storage(v)).Distinct()];
            Value[] handedOut = [.. taps.Where(t => step.Writes.Contains(t.Value.Root)).Select(t => Layout.Storage(t.Value))];
            Value? inPlace = step.InPlace is { } v && Layout.Storage(v) == v && writes is [var w] && Layout.IsHalf(v) == Layout.IsHalf(w)
                ? v : null;
            accesses.Add(new Access(accesses.Count, [.. reads, .. handedOut.Except(writes)], writes, inPlace));
        }

        accesses.Add(new Access(accesses.Count, [.. downloaded], [], null));
        Layout.Place(graph, accesses);
    }

    private bool IsOnlyReadBy(Value value) => readers[value] == 1 && !kept.Contains(value);

    /// <summary>Gets the linear layers from one on that read the same value and do nothing else, and so can be one product.</summary>
    private LinearOperation[] Siblings(List<Operation> operations, int first)
    {
        List<LinearOperation> siblings = [];
        for (int i = first; i < operations.Count && operations[i] is LinearOperation linear; i++)
        {
            if (linear is not { Activation.Kind: ActivationKind.None, Scale: null, Residual: null } || linear.Outputs % 8 != 0
                || kept.Contains(linear.Output) || !Layout.IsHalf(linear.Output)
                || (siblings.Count > 0 && linear.X != siblings[0].X))
            {
                break;
            }

            siblings.Add(linear);
        }

        return [.. siblings];
    }

    /// <summary>Makes one product of several linear layers. Their outputs are columns of one value.</summary>
    private CudaStep Together(LinearOperation[] siblings)
    {
        Value x = Aligned(siblings[0].X), storage = Layout.Add(x.Rows, siblings.Sum(s => s.Outputs), half: true);
        int column = 0;
        foreach (LinearOperation sibling in siblings)
        {
            Layout.Share(sibling.Output, storage, column);
            column += sibling.Outputs;
        }

        DeviceMatrix w = weights.Matrix([.. siblings.Select(s => (s.Weight, s.Layout))]);
        ulong bias = siblings.All(s => s.Bias is null) ? 0 : weights.Vector([.. siblings.Select(s => (s.Bias, s.Outputs))]);
        return new CudaStep(string.Join(" + ", siblings.Select(s => s.Label)), siblings[0].Kind, [x], [.. siblings.Select(s => s.Output)],
            f => [Product(f[x], w, bias, f[storage])])
        {
            Flops = siblings.Sum(s => s.Flops),
            WeightBytes = siblings.Sum(s => s.WeightBytes),
        };
    }

    private void Lower(Operation operation)
    {
        switch (operation)
        {
            case LinearOperation o:
                Lower(o);
                break;
            case MatMulOperation o:
                Add(o, f => RowsKernel.MatMul(f[o.A], f[o.B], o.Layout == WeightLayout.OutIn, f[o.Output], batch));
                break;
            case AttentionOperation o:
                Lower(o);
                break;
            case WindowAttentionOperation o:
                ulong biases = weights.Vector(o.Bias);
                Add(o, f => WindowAttentionKernel.Create(new WindowAttentionArgs
                {
                    Qkv = f[o.Qkv], Y = f[o.Output], Heads = o.Heads, Height = o.Height, Width = o.Width, Window = o.Window, Bias = biases,
                    Batch = batch,
                }));
                break;
            case LayerNormOperation o:
                ulong normWeight = weights.Vector(o.Weight), normBias = weights.Vector(o.Bias);
                AddRowwise(o, o.X, null, (x, y, images) => LayerNormKernel.Create(x, normWeight, normBias, o.Eps, y, images));
                break;
            case RotaryOperation o:
                ulong cos = weights.Vector(o.Table.Cos), sin = weights.Vector(o.Table.Sin);
                Add(o, f => ElementwiseKernel.Rotary(f[o.X], cos, sin, o.Table.Prefix, o.Heads, f[o.Output], batch), o.X);
                break;
            case ActivationOperation o:
                AddRowwise(o, o.X, o.X, (x, y, images) => ElementwiseKernel.Activation(x, o.Activation, y, images));
                break;
            case ScaleOperation o:
                ulong factors = weights.Vector(o.Scale);
                AddRowwise(o, o.X, o.X, (x, y, images) => ElementwiseKernel.Scale(x, factors, y, images));
                break;
            case AddOperation o:
                Add(o, f =>
                {
                    (DeviceMatrix[] folded, int images) = Fold(f[o.A], f[o.B], f[o.Output]);
                    return ElementwiseKernel.Add(folded[0], folded[1], o.Subtract, folded[2], images);
                }, o.A);
                break;
            case MeanOperation o:
                Lower(o);
                break;
            case AddRowsOperation o:
                DeviceMatrix added = weights.Table(o.Table, o.X.Columns);
                AddRowwise(o, o.X, o.X, (x, y, images) => ElementwiseKernel.AddRows(x, added, y, images));
                break;
            case EmbeddingOperation o:
                DeviceMatrix table = weights.Table(o.Table, o.Output.Columns);
                Add(o, f => ElementwiseKernel.Gather(table, f[o.Ids], f[o.Output], batch));
                break;
            case GatherRowsOperation o:
                Add(o, f => ElementwiseKernel.Gather(f[o.X], f[o.RowNumbers], f[o.Output], batch));
                break;
            case PrependRowsOperation o:
                DeviceMatrix[] rows = [.. o.PrependedRows.Select(p => weights.Table(p, o.X.Columns))];
                Add(o, f => Stack(f[o.Output], [.. rows, f[o.X]]));
                break;
            case ConcatenateOperation o:
                Add(o, f => Stack(f[o.Output], [f[o.A], f[o.B]]));
                break;
            case ConstantOperation o:
                DeviceMatrix source = weights.Table(o.Source, o.Output.Columns);
                Add(o, f => Stack(f[o.Output], [source]));
                break;
            case L2NormalizeOperation o:
                AddRowwise(o, o.X, o.X, (x, y, images) => RowsKernel.L2Normalize(x, y, images));
                break;
            case SoftmaxOperation o:
                AddRowwise(o, o.X, o.X, (x, y, images) => RowsKernel.Softmax(x, y, images));
                break;
            case DotRowsOperation o:
                Add(o, f => RowsKernel.DotRows(f[o.X], f[o.T], o.Scale, f[o.Output], batch));
                break;
            case MeanRowsOperation o:
                Add(o, f => RowsKernel.MeanRows(f[o.X], f[o.Output], batch));
                break;
            case TopKMeanOperation o:
                Add(o, f => ImageKernel.TopKMean(f[o.X], o.K, f[o.Output], batch));
                break;
            case BilinearOperation o:
                Add(o, f => ImageKernel.Bilinear(
                    f[o.X], o.SourceHeight, o.SourceWidth, f[o.Output], o.Height, o.Width, o.Mode, batch));
                break;
            case GaussianBlurOperation o:
                Lower(o);
                break;
            case NormalizeImageOperation o:
                Add(o, f => ImageKernel.Normalize(f[o.X], o.Mean, o.Std, f[o.Output], batch));
                break;
            case PatchifyOperation o:
                Add(o, f => ImageKernel.Patchify(f[o.X], o.Height, o.Width, o.Patch, f[o.Output], batch));
                break;
            case DepthwiseConvOperation o:
                ulong kernel = weights.Vector(o.Weight), shift = weights.Vector(o.Bias);
                Add(o, f => ConvolutionKernel.Depthwise(
                    f[o.X], o.Height, o.Width, o.Stride, kernel, shift, o.Activation, f[o.Output], batch));
                break;
            case ConvOperation o:
                Lower(o);
                break;
            default:
                throw new NotSupportedException($"A GPU does not execute the operation {operation.Kind}.");
        }
    }

    private void Lower(LinearOperation o)
    {
        DeviceMatrix w = weights.Matrix((o.Weight, o.Layout));
        ulong bias = o.Bias is null ? 0 : weights.Vector(o.Bias), scale = o.Scale is null ? 0 : weights.Vector(o.Scale);
        Value x = Aligned(o.X);
        Add(o, f => Product(f[x], w, bias, f[o.Output], o.Activation, scale, o.Residual is null ? null : f[o.Residual], o.ActivateLast));
    }

    private void Lower(AttentionOperation o)
    {
        // A sequence is a picture to the kernel. Whole values hold the sequences of all pictures one after the other.
        if (o.Batch > 1 && batch > 1)
            throw new NotSupportedException("A GPU does not compute several pictures together whose attention has several sequences.");
        ulong Table(Parameter? table) => table is null ? 0 : weights.Vector(table);
        ulong queryCos = Table(o.RotateQueries?.Cos), querySin = Table(o.RotateQueries?.Sin);
        ulong keyCos = Table(o.RotateKeys?.Cos), keySin = Table(o.RotateKeys?.Sin);
        Add(o, f => AttentionKernel.Create(new AttentionArgs
        {
            Q = Sequences(f[o.Q]), K = Sequences(f[o.K]), V = Sequences(f[o.V]), Y = Sequences(f[o.Output]),
            Heads = o.Heads, Batch = Math.Max(batch, o.Batch), QueryCos = queryCos, QuerySin = querySin,
            QueryPrefix = o.RotateQueries?.Prefix ?? 0, KeyCos = keyCos, KeySin = keySin, KeyPrefix = o.RotateKeys?.Prefix ?? 0,
        }));

        DeviceMatrix Sequences(DeviceMatrix m) => o.Batch == 1 ? m
            : m with { Rows = m.Rows / o.Batch, BatchStride = m.Rows / o.Batch * m.Stride };
    }

    /// <summary>Computes a mean. Of more values than the kernel takes, the sum is computed and divided.</summary>
    private void Lower(MeanOperation o)
    {
        bool many = o.Values.Count > ElementwiseKernel.MostValues;
        float[] share = new float[o.Output.Columns];
        Array.Fill(share, 1f / o.Values.Count);
        ulong factors = many ? weights.Floats($"1/{o.Values.Count} x {share.Length}", share) : 0;
        Add(o, f =>
        {
            (DeviceMatrix[] v, int images) = Fold([.. o.Values.Select(v => f[v]), f[o.Output]]);
            DeviceMatrix y = v[^1];
            if (!many) return [ElementwiseKernel.Mean(v.AsSpan(..^1), y, images)];
            return
            [
                ElementwiseKernel.Add(v[0], v[1], subtract: false, y, images),
                .. v[2..^1].Select(next => ElementwiseKernel.Add(y, next, subtract: false, y, images)),
                ElementwiseKernel.Scale(y, factors, y, images),
            ];
        });
    }

    private void Lower(GaussianBlurOperation o)
    {
        double sigma = Decimals.Shortest(o.Sigma);
        float[] taps = new float[GaussianTaps.Radius(sigma) + 1];
        GaussianTaps.FillWeights(sigma, taps);
        ulong filter = weights.Floats($"gaussian {o.Sigma:R}", taps);
        Value between = Layout.Add(o.Output.Rows, 1, half: false);
        steps.Add(new CudaStep(o.Label, o.Kind, [o.X], [between], f =>
            [ImageKernel.GaussianHorizontal(f[o.X], o.Height, o.Width, filter, taps.Length - 1, f[between], batch)]));
        steps.Add(new CudaStep(o.Label, o.Kind, [between], [o.Output], f =>
            [ImageKernel.GaussianVertical(f[between], o.Height, o.Width, filter, taps.Length - 1, f[o.Output], batch)]));
    }

    /// <summary>Makes a dense convolution a product with the nine pixels around each pixel.</summary>
    private void Lower(ConvOperation o)
    {
        DeviceMatrix w = weights.Convolution(o.Weight);
        ulong bias = weights.Vector(o.Bias);
        Value around = Layout.Add(o.Output.Rows, w.Columns, half: true);
        steps.Add(new CudaStep(o.Label, "Im2Col", [o.X], [around], f =>
            [ConvolutionKernel.Im2Col(f[o.X], o.Height, o.Width, o.Stride, f[around], batch)]));
        steps.Add(new CudaStep(o.Label, o.Kind, [around], [o.Output], f =>
            [Product(f[around], w, bias, f[o.Output], o.Activation)]) { Flops = o.Flops, WeightBytes = o.WeightBytes });
    }

    /// <summary>Gets a value whose rows begin at multiples of 16 bytes: the value, or a copy of a window on columns.</summary>
    private Value Aligned(Value x)
    {
        if (x.FirstColumn % 8 == 0) return x;
        Value copy = Layout.Add(x.Rows, x.Columns, half: true);
        steps.Add(Copy("alignment", x, copy));
        return copy;
    }

    private CudaStep Copy(string label, Value from, Value to) =>
        new(label, "Copy", [from], [to], f => Stack(f[to], [f[from]]));

    /// <summary>Copies matrices, one below the other.</summary>
    private Launch[] Stack(DeviceMatrix to, DeviceMatrix[] parts)
    {
        Launch[] launches = new Launch[parts.Length];
        ulong address = to.Address;
        for (int i = 0; i < parts.Length; i++)
        {
            launches[i] = ElementwiseKernel.CopyRows(parts[i], to with { Address = address, Rows = parts[i].Rows }, batch);
            address += (ulong)((long)parts[i].Rows * to.Stride * (to.Half ? 2 : 4));
        }

        return launches;
    }

    private Launch Product(DeviceMatrix x, DeviceMatrix w, ulong bias, DeviceMatrix y, ActivationFunction activation = default,
        ulong scale = 0, DeviceMatrix? residual = null, bool activateLast = false)
    {
        (DeviceMatrix[] folded, int images) = Fold(residual is { } added ? [x, y, added] : [x, y]);
        return MatMulKernel.Create(new MatMulArgs(folded[0], w, folded[1])
        {
            Bias = bias, Scale = scale, Residual = residual is null ? default : folded[2], Activation = activation,
            ActivateLast = activateLast, Batch = images,
        }, gpu.Multiprocessors);
    }

    /// <summary>Treats the rows of all pictures as those of one, if the values are whole.</summary>
    private (DeviceMatrix[] Matrices, int Images) Fold(params DeviceMatrix[] matrices) =>
        matrices.All(m => m.BatchStride == (long)m.Rows * m.Stride)
            ? ([.. matrices.Select(m => m with { Rows = m.Rows * batch, BatchStride = 0 })], 1)
            : (matrices, batch);

    /// <summary>Adds the step of an operation with one launch.</summary>
    private void Add(Operation operation, Func<CudaFrame, Launch> launch, Value? inPlace = null) =>
        steps.Add(new CudaStep(operation, f => [launch(f)]) { InPlace = inPlace });

    /// <summary>Adds the step of an operation with several launches.</summary>
    private void Add(Operation operation, Func<CudaFrame, Launch[]> launches) => steps.Add(new CudaStep(operation, launches));

    /// <summary>Adds the step of an operation that computes each row, or each element, by itself.</summary>
    private void AddRowwise(Operation operation, Value x, Value? inPlace, Func<DeviceMatrix, DeviceMatrix, int, Launch> launch) =>
        Add(operation, f =>
        {
            (DeviceMatrix[] folded, int images) = Fold(f[x], f[operation.Output]);
            return launch(folded[0], folded[1], images);
        }, inPlace);
}
