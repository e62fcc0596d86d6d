using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// Determines the memory layout of a plan's values: the row stride of each value and its offset in the arena. It is built while
/// the plan is compiled, first the strides, then the offsets, and does not change afterward.
/// </summary>
internal sealed class Layout
{
    /// <summary>
    /// Row strides that are a multiple of 4 KiB map all rows to the same set of the L1 cache, where they evict each other. This
    /// costs a tenth of the speed of a matrix product. Such rows are padded by one cache line.
    /// </summary>
    private const int CollidingColumns = 1024, Gap = 16;

    /// <summary>The row strides, indexed by the ID of the value that owns the memory.</summary>
    private readonly List<int> strides = [];
    private long[] offsets = [];

    /// <summary>Initializes the row strides of all values of a graph.</summary>
    /// <param name="graph">The graph. Its inputs and outputs are contiguous, because callers see them as one block.</param>
    /// <param name="operations">The operations to compute.</param>
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

    /// <summary>Gets the size of the arena in bytes.</summary>
    public long ArenaBytes { get; private set; }

    /// <summary>Adds a value that belongs to the plan and not to the graph. Its rows are contiguous.</summary>
    public Value Add(int rows, int columns, ValueKind kind)
    {
        strides.Add(columns);
        return new Value(strides.Count - 1, rows, columns, kind);
    }

    /// <summary>Gets the row stride in elements.</summary>
    public int Stride(Value value) => strides[value.Root.Id];

    /// <summary>Computes the size in bytes of a value that owns its memory.</summary>
    public long Bytes(Value value) => (long)value.Rows * Stride(value) * value.ElementSize;

    /// <summary>Assigns every value its offset in the arena.</summary>
    public void Place(ComputeGraph graph, IReadOnlyList<Access> accesses) =>
        (offsets, ArenaBytes) = Arena.Plan(graph, accesses, Bytes);

    /// <summary>Computes the offset in bytes of a value from the start of the arena.</summary>
    public long Offset(Value value) =>
        offsets[value.Root.Id] + ((long)value.FirstRow * Stride(value) + value.FirstColumn) * value.ElementSize;

    /// <summary>
    /// Determines whether the kernel of an operation supports padded rows. Other kernels treat the memory of a value as one
    /// block.
    /// </summary>
    private static bool TakesGaps(Operation operation) => operation is not (MeanOperation or DotRowsOperation or BilinearOperation
        or NormalizeImageOperation or PatchifyOperation or ConvolutionOperation or TopKMeanOperation or MatMulOperation
        or ConstantOperation or GaussianBlurOperation);
}
