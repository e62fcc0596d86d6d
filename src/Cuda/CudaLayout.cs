using TinyZsad.Graph;

namespace TinyZsad.Cuda;

/// <summary>
/// Determines the memory layout of a plan's values: the format, the distance of rows and the place in the arena of each. Values that a
/// tensor core reads are halves, all others are floats. A value holds its rows of every picture of a batch. It is built while the plan
/// is compiled and does not change afterward.
/// </summary>
internal sealed class CudaLayout
{
    private readonly List<bool> halves = [];
    private readonly List<int> strides = [];
    private readonly Dictionary<Value, (Value Storage, int Column)> shared = [];
    private readonly int batch;
    private long[] offsets = [];

    /// <summary>Initializes the formats and the row distances of all values of a graph.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="operations">The operations to compute.</param>
    /// <param name="batch">The number of pictures.</param>
    public CudaLayout(ComputeGraph graph, IReadOnlyList<Operation> operations, int batch)
    {
        this.batch = batch;
        HashSet<Value> multiplied = [];
        foreach (Operation operation in operations)
        {
            multiplied.UnionWith((operation switch
            {
                LinearOperation o => [o.X],
                AttentionOperation o => [o.Q, o.K, o.V],
                WindowAttentionOperation o => [o.Qkv],
                _ => (Value[])[],
            }).Select(v => v.Root));
        }

        for (int i = 0; i < graph.ValueCount; i++) strides.Add(0);
        for (int i = 0; i < graph.ValueCount; i++) halves.Add(false);
        foreach (Value value in operations.SelectMany(o => o.Inputs.Append(o.Output)).Concat(graph.Inputs.Values).Select(v => v.Root))
        {
            halves[value.Id] = value.Type == ValueKind.Float && multiplied.Contains(value);
            strides[value.Id] = RowStride(value.Columns, halves[value.Id]);
        }
    }

    /// <summary>Gets the size of the arena in bytes.</summary>
    public long ArenaBytes { get; private set; }

    /// <summary>Adds a value that belongs to the plan and not to the graph.</summary>
    public Value Add(int rows, int columns, bool half)
    {
        halves.Add(half);
        strides.Add(RowStride(columns, half));
        return new Value(strides.Count - 1, rows, columns, ValueKind.Float);
    }

    /// <summary>Places a value in some columns of another one.</summary>
    public void Share(Value value, Value storage, int column) => shared[value] = (storage, column);

    /// <summary>Gets the value whose memory holds a value.</summary>
    public Value Storage(Value value) => shared.TryGetValue(value.Root, out (Value Storage, int) at) ? at.Storage : value.Root;

    /// <summary>Gets whether a value is stored as halves.</summary>
    public bool IsHalf(Value value) => halves[Storage(value).Id];

    /// <summary>Computes the size in bytes of a value that owns its memory, of all pictures.</summary>
    public long Bytes(Value value) => checked((long)batch * value.Rows * strides[value.Id] * ElementSize(value));

    /// <summary>Assigns every value its offset in the arena.</summary>
    public void Place(ComputeGraph graph, IReadOnlyList<Access> accesses) => (offsets, ArenaBytes) = Arena.Plan(graph, accesses, Bytes);

    /// <summary>Gets where a value lies.</summary>
    /// <param name="value">The value, or a window.</param>
    /// <param name="arena">The address of the arena.</param>
    public DeviceMatrix Matrix(Value value, ulong arena)
    {
        (Value storage, int column) = shared.TryGetValue(value.Root, out (Value, int) at) ? at : (value.Root, 0);
        int stride = strides[storage.Id];
        long offset = offsets[storage.Id] + ((long)value.FirstRow * stride + value.FirstColumn + column) * ElementSize(storage);
        return new DeviceMatrix(arena + (ulong)offset, value.Rows, value.Columns, stride, checked(storage.Rows * stride),
            halves[storage.Id]);
    }

    private int ElementSize(Value value) => halves[value.Id] ? 2 : value.ElementSize;

    private static int RowStride(int columns, bool half) => half ? DeviceWeights.RoundUp(columns, 8) : columns;
}
