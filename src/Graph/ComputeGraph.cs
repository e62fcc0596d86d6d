using TinyZsad.Formats;

namespace TinyZsad.Graph;

/// <summary>
/// Represents a network: values and the operations between them. Every shape is checked when it is added. The graph holds no
/// data, and it determines neither the memory layout nor the device. A model builds a graph, and a device compiles it into a
/// plan, which freezes the graph: adding to it afterward throws an <see cref="InvalidOperationException"/>. A graph is not thread
/// safe while it is built. Once frozen, it is read-only and can be shared.
/// </summary>
internal sealed class ComputeGraph
{
    private readonly List<Operation> operations = [];
    private readonly Dictionary<string, Value> inputs = [];
    private readonly Dictionary<string, Value> outputs = [];
    private readonly List<Tap> taps = [];
    private readonly HashSet<Value> values = [];
    private volatile bool frozen;

    /// <summary>
    /// Gets or sets the label of the operations that are added next: their position in the network, as shown by profiles.
    /// </summary>
    public string Scope { get; set; } = "";

    /// <summary>Gets whether a device has compiled the graph, so that nothing can be added.</summary>
    public bool IsFrozen => frozen;

    /// <summary>Gets the operations in the order they were added, which is a valid order of execution.</summary>
    public IReadOnlyList<Operation> Operations => operations;

    /// <summary>Gets the inputs of a run by name.</summary>
    public IReadOnlyDictionary<string, Value> Inputs => inputs;

    /// <summary>Gets the outputs of a run by name.</summary>
    public IReadOnlyDictionary<string, Value> Outputs => outputs;

    /// <summary>Gets the named intermediate values, in order of computation.</summary>
    public IReadOnlyList<Tap> Taps => taps;

    internal int ValueCount => values.Count;

    /// <summary>Freezes the graph. Further calls have no effect.</summary>
    internal void Freeze() => frozen = true;

    /// <summary>Adds an input of each run.</summary>
    public Value Input(string name, int rows, int columns, ValueKind type = ValueKind.Float)
    {
        Value value = Made(new Value(values.Count, rows, columns, type));
        inputs.Add(name, value);
        return value;
    }

    /// <summary>Names a float value as an output of each run. It must own its memory; a window is not allowed.</summary>
    public void Output(string name, Value value)
    {
        if (value.Root != value)
            throw new ArgumentException($"Output '{name}' is a window on another value; outputs own their memory.");
        CheckFloats($"Output '{name}'", value);
        ThrowIfFrozen();
        outputs.Add(name, value);
    }

    /// <summary>
    /// Names an intermediate float value and gives it the shape it has in the original model. The default shape is [rows,
    /// columns].
    /// </summary>
    public void Tap(string name, Value value, int[]? shape = null, TapLayout layout = TapLayout.Rows, int heads = 1)
    {
        shape ??= [value.Rows, value.Columns];
        if (shape.Aggregate(1L, (n, d) => n * d) != (long)value.Rows * value.Columns)
        {
            throw new ArgumentException(
                $"Tap '{name}': shape [{string.Join(", ", shape)}] does not hold the {value.Rows} x {value.Columns} elements.");
        }

        if (heads < 1 || value.Columns % heads != 0)
            throw new ArgumentException($"Tap '{name}': {value} cannot be divided into {heads} heads.");
        CheckFloats($"Tap '{name}'", value);
        ThrowIfFrozen();
        taps.Add(new Tap(name, value, shape, layout, heads));
    }

    /// <summary>Computes a linear layer: x Wᵀ + bias.</summary>
    /// <param name="x">The input, [rows, in].</param>
    /// <param name="weight">
    /// The weights, [out, in], or [in, out] depending on <paramref name="layout"/>. Further dimensions, as in a convolution,
    /// count as inputs.
    /// </param>
    /// <param name="bias">The bias, [out] floats, or null.</param>
    /// <param name="layout">The memory layout of the weights.</param>
    /// <param name="trunk">
    /// Whether the layer is on the trunk of the network, where no residual connection bypasses it: patch embeddings, downsampling
    /// and heads. Such a layer is computed in floats at any precision, because errors cost the most there and little time is
    /// spent.
    /// </param>
    public Value Linear(Value x, Parameter weight, Parameter? bias = null, WeightLayout layout = WeightLayout.OutIn,
        bool trunk = false)
    {
        int rows = weight.Shape[0], columns = (int)(weight.Count / rows);
        (int outputCount, int inputCount) = layout == WeightLayout.OutIn ? (rows, columns) : (columns, rows);
        Check(x.Columns == inputCount, $"Linear {weight.Name} takes {inputCount} columns, and is given {x}.");
        CheckVector(bias, outputCount);
        return Add(new LinearOperation(x, weight, layout, bias) { Label = weight.Name, Trunk = trunk }, x.Rows, outputCount);
    }

    /// <summary>Normalizes each row (layer normalization).</summary>
    public Value LayerNorm(Value x, Parameter weight, Parameter bias, float eps)
    {
        CheckVector(weight, x.Columns);
        CheckVector(bias, x.Columns);
        return Add(new LayerNormOperation(x, weight, bias, eps), x.Rows, x.Columns);
    }

    /// <summary>
    /// Computes multi-head attention of <paramref name="batch"/> independent sequences, scaled by 1 / sqrt(head width).
    /// </summary>
    /// <param name="q">The queries, [batch * queries, heads * width].</param>
    /// <param name="k">The keys, [batch * keys, heads * width].</param>
    /// <param name="v">The values, [batch * keys, heads * width].</param>
    /// <param name="heads">The number of heads.</param>
    /// <param name="batch">The number of sequences.</param>
    public Value Attention(Value q, Value k, Value v, int heads, int batch = 1)
    {
        Check(heads >= 1 && q.Columns == k.Columns && k.Columns == v.Columns && q.Columns % heads == 0,
            $"Attention: {heads} heads of q {q}, k {k}, v {v}.");
        Check(batch >= 1 && k.Rows == v.Rows && k.Rows % batch == 0 && q.Rows % batch == 0,
            $"Attention: {batch} sequences of q {q}, k {k}, v {v}.");
        return Add(new AttentionOperation(q, k, v, heads, batch), q.Rows, q.Columns);
    }

    /// <summary>
    /// Applies rotary positions to one sequence: p cos + rot(p) sin in every head, where rot([u, w]) = [-w, u].
    /// </summary>
    public Value Rotary(Value x, int heads, RotaryTable table)
    {
        IReadOnlyList<int> cos = table.Cos.Shape;
        Check(table.Prefix >= 0 && cos.Count == 2 && cos.SequenceEqual(table.Sin.Shape)
            && table.Cos.Type == FloatType.F32 && table.Sin.Type == FloatType.F32,
            $"Rotary: tables of {table.Cos.Type} [{string.Join(", ", cos)}] and {table.Sin.Type} " +
            $"[{string.Join(", ", table.Sin.Shape)}], prefix {table.Prefix}.");
        Check(cos[0] == x.Rows - table.Prefix && 2L * cos[1] * heads == x.Columns,
            $"Rotary: {x}, {heads} heads, prefix {table.Prefix}, tables [{string.Join(", ", cos)}].");
        return Add(new RotaryOperation(x, heads, table), x.Rows, x.Columns);
    }

    /// <summary>Computes f(x).</summary>
    public Value Activate(Value x, ActivationFunction activation) =>
        Add(new ActivationOperation(x, activation), x.Rows, x.Columns);

    /// <summary>Computes x * scale, with one factor per column.</summary>
    public Value Scale(Value x, Parameter scale)
    {
        CheckVector(scale, x.Columns);
        return Add(new ScaleOperation(x, scale), x.Rows, x.Columns);
    }

    /// <summary>Computes a + b.</summary>
    public Value Add(Value a, Value b) => Sum(a, b, subtract: false);

    /// <summary>Computes a - b.</summary>
    public Value Subtract(Value a, Value b) => Sum(a, b, subtract: true);

    /// <summary>Computes the mean of several values of the same shape.</summary>
    public Value Mean(params Value[] terms)
    {
        Check(terms.Length > 0 && terms.All(t => t.Rows == terms[0].Rows && t.Columns == terms[0].Columns && t.IsContiguous),
            "Mean: it has no terms, or terms of several shapes, or windows on some columns of a value.");
        return Add(new MeanOperation([.. terms]), terms[0].Rows, terms[0].Columns);
    }

    /// <summary>Computes x[r] + table[r mod rows of the table].</summary>
    public Value AddRows(Value x, Parameter table)
    {
        Check(table.Shape[^1] == x.Columns && x.Rows % (table.Count / x.Columns) == 0,
            $"{table.Name} [{string.Join(", ", table.Shape)}] added to {x}.");
        return Add(new AddRowsOperation(x, table), x.Rows, x.Columns);
    }

    /// <summary>Looks up table[ids[r]]. ids is an [n, 1] value of integers inside the table.</summary>
    public Value Embedding(Value ids, Parameter table)
    {
        Check(ids is { Type: ValueKind.Int, Columns: 1 },
            $"Embedding {table.Name}: ids are an [n, 1] value of integers, not {ids.Type} {ids}.");
        Check(table.Shape.Count == 2, $"Embedding {table.Name} [{string.Join(", ", table.Shape)}]: the table is a matrix.");
        return Add(new EmbeddingOperation(ids, table), ids.Rows, table.Shape[1]);
    }

    /// <summary>Selects x[rows[r]]. rows is an [n, 1] value of integers inside x.</summary>
    public Value GatherRows(Value x, Value rows)
    {
        Check(rows is { Type: ValueKind.Int, Columns: 1 },
            $"GatherRows: row numbers are an [n, 1] value of integers, not {rows.Type} {rows}.");
        CheckFloats("GatherRows", x);
        return Add(new GatherRowsOperation(x, rows), rows.Rows, x.Columns);
    }

    /// <summary>Concatenates the rows of the parameters and the rows of x.</summary>
    public Value PrependRows(Value x, params Parameter[] rows)
    {
        Check(rows.All(p => p.Count % x.Columns == 0), $"PrependRows: a parameter is not made of rows of {x.Columns}.");
        return Add(new PrependRowsOperation(x, [.. rows]), x.Rows + (int)rows.Sum(p => p.Count / x.Columns), x.Columns);
    }

    /// <summary>Concatenates the rows of a and the rows of b.</summary>
    public Value Concatenate(Value a, Value b)
    {
        Check(a.Columns == b.Columns, $"Concatenate: {a} and {b}.");
        return Add(new ConcatenateOperation(a, b), a.Rows + b.Rows, a.Columns);
    }

    /// <summary>Computes x / |x| for each row. A row of zeros stays zero.</summary>
    public Value L2Normalize(Value x) => Add(new L2NormalizeOperation(x), x.Rows, x.Columns);

    /// <summary>Computes scale * x tᵀ for at most eight rows of t. t must not be a window on some columns.</summary>
    public Value DotRows(Value x, Value t, float scale)
    {
        Check(x.Columns == t.Columns && t.Rows <= 8 && t.IsContiguous,
            $"DotRows: {x} by {t}, which is at most eight whole rows.");
        return Add(new DotRowsOperation(x, t, scale), x.Rows, t.Rows);
    }

    /// <summary>Resizes one channel bilinearly from [h * w, 1] to [height * width, 1].</summary>
    public Value Bilinear(Value x, int h, int w, int height, int width, BilinearMode mode)
    {
        Check(h >= 1 && w >= 1 && height >= 1 && width >= 1 && x.Columns == 1 && x.Rows == (long)h * w && x.IsContiguous,
            $"Bilinear: {x} is no map of {h} x {w}, or {height} x {width} no size.");
        return Add(new BilinearOperation(x, h, w, height, width, mode), checked(height * width), 1);
    }

    /// <summary>Normalizes pixels, [H * W, 3] bytes, to (v / 255 - mean) / std.</summary>
    public Value NormalizeImage(Value pixels, float[] mean, float[] std)
    {
        Check(pixels is { Type: ValueKind.Byte, Columns: 3, IsContiguous: true } && mean.Length == 3 && std.Length == 3,
            $"NormalizeImage: {pixels.Type} {pixels}.");
        return Add(new NormalizeImageOperation(pixels, [.. mean], [.. std]), pixels.Rows, 3);
    }

    /// <summary>
    /// Divides a map of three channels, [height * width, 3], into patches, [patches, 3 * patch * patch]. Incomplete patches at
    /// the right and bottom are not read.
    /// </summary>
    public Value Patchify(Value x, int height, int width, int patch)
    {
        Check(patch >= 1 && height >= patch && width >= patch && x.Rows == (long)height * width && x.Columns == 3
            && x.IsContiguous, $"Patchify: {x} is no map of {height} x {width} with 3 channels and patches of {patch}.");
        return Add(new PatchifyOperation(x, height, width, patch), height / patch * (width / patch),
            checked(3 * patch * patch));
    }

    /// <summary>Computes a 3 x 3 convolution of a map, [height * width, in], with zero padding of one pixel.</summary>
    /// <param name="x">The map.</param>
    /// <param name="height">The number of rows of the map.</param>
    /// <param name="width">The number of columns of the map.</param>
    /// <param name="stride">The stride: 1 or 2. The result has ceil(height / stride) rows.</param>
    /// <param name="weight">The weights, [3, 3, in, out] floats.</param>
    /// <param name="bias">The bias, [out] floats.</param>
    public Value Conv(Value x, int height, int width, int stride, Parameter weight, Parameter bias)
    {
        CheckConvolution("Conv", x, height, width, stride, weight, rank: 4);
        CheckVector(bias, weight.Shape[3]);
        return Add(new ConvOperation(x, height, width, stride, weight, bias) { Label = weight.Name },
            OutputPixels(height, width, stride), weight.Shape[3]);
    }

    /// <summary>
    /// Computes a depthwise 3 x 3 convolution of a map, [height * width, channels], with zero padding of one pixel. The weight is
    /// [3, 3, channels] floats.
    /// </summary>
    public Value DepthwiseConv(Value x, int height, int width, int stride, Parameter weight, Parameter bias)
    {
        CheckConvolution("DepthwiseConv", x, height, width, stride, weight, rank: 3);
        CheckVector(bias, x.Columns);
        return Add(new DepthwiseConvOperation(x, height, width, stride, weight, bias) { Label = weight.Name },
            OutputPixels(height, width, stride), x.Columns);
    }

    /// <summary>Computes multi-head attention within the square windows of a map, with position biases.</summary>
    /// <param name="qkv">
    /// The queries, keys and values, [height * width, heads * 3 * d], each head's q, k and v together. If the map is not a whole
    /// number of windows, there is one more row in front, which stands for the padding.
    /// </param>
    /// <param name="heads">The number of heads.</param>
    /// <param name="height">The number of rows of the map.</param>
    /// <param name="width">The number of columns of the map.</param>
    /// <param name="window">The side of a window.</param>
    /// <param name="bias">The biases, [heads, (2 window - 1)²] floats, with entry (dy + window - 1, dx + window - 1).</param>
    /// <returns>The result, [height * width, heads * d].</returns>
    public Value WindowAttention(Value qkv, int heads, int height, int width, int window, Parameter bias)
    {
        Check(heads >= 1 && window >= 1 && height >= 1 && width >= 1,
            $"WindowAttention: {heads} heads, map {height} x {width}, windows of {window}.");
        bool padded = height % window != 0 || width % window != 0;
        Check(qkv.Rows == (long)height * width + (padded ? 1 : 0) && qkv.Columns % (3 * heads) == 0,
            $"WindowAttention: {qkv}, {heads} heads, map {height} x {width}, windows of {window}.");
        Check(bias.Count == (long)heads * (2 * window - 1) * (2 * window - 1) && bias.Type == FloatType.F32,
            $"WindowAttention: {bias.Name} has {bias.Count} values.");
        return Add(new WindowAttentionOperation(qkv, heads, height, width, window, bias), height * width, qkv.Columns / 3);
    }

    /// <summary>Computes the mean over all rows, [1, columns].</summary>
    public Value MeanRows(Value x) => Add(new MeanRowsOperation(x), 1, x.Columns);

    /// <summary>Computes the mean of the k largest elements, [1, 1].</summary>
    public Value TopKMean(Value x, int k)
    {
        Check(x.IsContiguous && k >= 1 && k <= (long)x.Rows * x.Columns, $"TopKMean: {k} of {x}.");
        return Add(new TopKMeanOperation(x, k), 1, 1);
    }

    /// <summary>Computes a b, or a bᵀ, of two values: a linear layer with computed weights.</summary>
    /// <param name="a">The left operand, [rows, n].</param>
    /// <param name="b">
    /// The right operand, [n, columns], or [columns, n] if it is <paramref name="transposed"/>; whole rows of a value.
    /// </param>
    /// <param name="transposed">Whether b is used as bᵀ.</param>
    public Value MatMul(Value a, Value b, bool transposed = false)
    {
        Check(a.Columns == (transposed ? b.Columns : b.Rows) && b.IsContiguous,
            $"MatMul: {a} by {b}{(transposed ? " transposed" : "")}.");
        return Add(new MatMulOperation(a, b, transposed ? WeightLayout.OutIn : WeightLayout.InOut), a.Rows,
            transposed ? b.Rows : b.Columns);
    }

    /// <summary>Computes the softmax of each row: exp(x - max x) divided by its sum.</summary>
    public Value Softmax(Value x) => Add(new SoftmaxOperation(x), x.Rows, x.Columns);

    /// <summary>Makes a parameter, [rows, columns], a float value.</summary>
    public Value Constant(Parameter source)
    {
        Check(source.Shape.Count == 2, $"Constant: {source.Name} [{string.Join(", ", source.Shape)}] is no matrix.");
        return Add(new ConstantOperation(source), source.Shape[0], source.Shape[1]);
    }

    /// <summary>
    /// Smooths one channel, [height * width, 1], by a Gaussian of standard deviation sigma like SciPy: truncated at 4 sigma, with
    /// mirrored borders.
    /// </summary>
    public Value GaussianBlur(Value x, int height, int width, float sigma)
    {
        Check(x.Columns == 1 && x.Rows == height * width && x.IsContiguous && sigma is >= 0 and <= 1024,
            $"GaussianBlur: {x} is no map of {height} x {width}, or sigma {sigma} is not 0 to 1024.");
        return Add(new GaussianBlurOperation(x, height, width, sigma), x.Rows, 1);
    }

    /// <summary>Gets some consecutive rows of x as a window, without a copy.</summary>
    public Value Rows(Value x, int first, int count) => Window(x, first, count, 0, x.Columns);

    /// <summary>Gets some consecutive columns of x as a window, without a copy.</summary>
    public Value Columns(Value x, int first, int count) => Window(x, 0, x.Rows, first, count);

    private Value Window(Value x, int firstRow, int rows, int firstColumn, int columns)
    {
        Check(firstRow >= 0 && rows >= 1 && rows <= x.Rows - firstRow
            && firstColumn >= 0 && columns >= 1 && columns <= x.Columns - firstColumn,
            $"A window of rows {firstRow}+{rows}, columns {firstColumn}+{columns} is not inside {x}.");
        return Made(new Value(values.Count, x, firstRow, rows, firstColumn, columns));
    }

    private Value Sum(Value a, Value b, bool subtract)
    {
        Check(a.Rows == b.Rows && a.Columns == b.Columns, $"Add: {a} and {b}.");
        return Add(new AddOperation(a, b, subtract), a.Rows, a.Columns);
    }

    private Value Add(Operation operation, int rows, int columns)
    {
        string name = operation.Kind;
        foreach (Value input in operation.Inputs)
        {
            // Operations that read integers or bytes have already checked the types.
            if (operation is EmbeddingOperation or GatherRowsOperation or NormalizeImageOperation) CheckOwn(name, input);
            else CheckFloats(name, input);
        }
        Value output = Made(new Value(values.Count, rows, columns, ValueKind.Float));
        operations.Add(operation with { Output = output, Label = operation.Label.Length == 0 ? Scope : operation.Label });
        return output;
    }

    private static void CheckConvolution(string name, Value x, int height, int width, int stride, Parameter weight, int rank)
    {
        Check(height >= 1 && width >= 1 && x.Rows == (long)height * width && x.IsContiguous && (stride is 1 or 2),
            $"{name} {weight.Name}: {x} is no map of {height} x {width}, or {stride} no stride.");
        Check(weight.Shape.Count == rank && weight.Shape[0] == 3 && weight.Shape[1] == 3
            && weight.Shape[2] == x.Columns && weight.Type == FloatType.F32,
            $"{name} {weight.Name}: {weight.Type} [{string.Join(", ", weight.Shape)}] is no kernel of floats, 3 x 3, for " +
            $"{x.Columns} columns.");
    }

    private static int OutputPixels(int height, int width, int stride) =>
        Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride);

    private Value Made(Value value)
    {
        ThrowIfFrozen();
        values.Add(value);
        return value;
    }

    private void ThrowIfFrozen()
    {
        if (frozen) throw new InvalidOperationException("The graph is compiled; nothing can be added to it. Build another one.");
    }

    private void CheckFloats(string reader, Value value)
    {
        CheckOwn(reader, value);
        Check(value.Type == ValueKind.Float, $"{reader} takes floats, and is given {value.Type} {value}.");
    }

    private void CheckOwn(string reader, Value value) =>
        Check(values.Contains(value), $"{reader} is given {value}, which belongs to another graph.");

    private static void CheckVector(Parameter? vector, int length) =>
        Check(vector is null || (vector.Count == length && vector.Type == FloatType.F32),
            $"{vector?.Name} has {vector?.Count} {vector?.Type} values where {length} floats are needed.");

    private static void Check(bool holds, string message)
    {
        if (!holds) throw new ArgumentException(message);
    }
}
