using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// How a plan's values lie in memory: how far their rows are apart, and where each is in the arena. Made while the plan is
/// compiled, first the rows, then the places; fixed afterwards.
/// </summary>
internal sealed class Layout
{
    /// <summary>
    /// Rows a multiple of 4 KiB apart all fall into one set of the first-level cache and evict each other: a tenth of a matmul's
    /// speed. Such rows are kept a cache line further apart.
    /// </summary>
    private const int CollidingColumns = 1024, Gap = 16;

    /// <summary>By number of the value that owns the memory.</summary>
    private readonly List<int> strides = [];
    private long[] offsets = [];

    /// <summary>Chooses the rows of all values of a graph.</summary>
    /// <param name="graph">Its inputs and outputs, which callers see as one piece, have no gaps.</param>
    /// <param name="operations">Those that will be computed.</param>
    public Layout(ComputeGraph graph, IEnumerable<Operation> operations)
    {
        for (int i = 0; i < graph.ValueCount; i++) strides.Add(0);
        HashSet<Value> whole = [.. graph.Inputs.Values, .. graph.Outputs.Values];
        foreach (Operation operation in operations)
        {
            if (!TakesGaps(operation)) whole.UnionWith(operation.Inputs.Append(operation.Output).Select(v => v.Root));
            foreach (Value value in operation.Inputs.Append(operation.Output)) strides[value.Root.Id] = value.Root.Columns;
        }
        foreach (Value value in operations.Select(o => o.Output))
        {
            if (!whole.Contains(value) && value.Rows > 1 && value.Columns % CollidingColumns == 0)
                strides[value.Id] = value.Columns + Gap;
        }

        foreach (Value input in graph.Inputs.Values) strides[input.Id] = input.Columns;
    }

    /// <summary>Bytes of the arena.</summary>
    public long ArenaBytes { get; private set; }

    /// <summary>A value of the plan's own, besides those of the graph. Its rows have no gaps.</summary>
    public Value Add(int rows, int columns, ValueKind kind)
    {
        strides.Add(columns);
        return new Value(strides.Count - 1, rows, columns, kind);
    }

    /// <summary>Elements from one row to the next.</summary>
    public int Stride(Value value) => strides[value.Root.Id];

    /// <summary>Bytes of a value that owns its memory.</summary>
    public long Bytes(Value value) => (long)value.Rows * Stride(value) * value.ElementSize;

    /// <summary>Gives every value its place.</summary>
    public void Place(ComputeGraph graph, IReadOnlyList<Access> accesses) =>
        (offsets, ArenaBytes) = Arena.Plan(graph, accesses, Bytes);

    /// <summary>Bytes from the arena's beginning to a value that has a place.</summary>
    public long Offset(Value value) =>
        offsets[value.Root.Id] + ((long)value.FirstRow * Stride(value) + value.FirstColumn) * value.ElementSize;

    /// <summary>
    /// Whether the kernel of an operation takes rows that lie apart. The others walk over a value's memory as one piece.
    /// </summary>
    private static bool TakesGaps(Operation operation) => operation is not (MeanOperation or DotRowsOperation or BilinearOperation
        or NormalizeImageOperation or PatchifyOperation or ConvolutionOperation or TopKMeanOperation or MatMulOperation
        or ConstantOperation or GaussianBlurOperation);
}
