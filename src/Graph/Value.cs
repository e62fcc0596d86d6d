namespace TinyZsad.Graph;

/// <summary>What the elements of a <see cref="Value"/> are.</summary>
internal enum ValueKind
{
    /// <summary>32-bit floats.</summary>
    Float,

    /// <summary>Bytes: pixels.</summary>
    Byte,

    /// <summary>32-bit integers: token ids and row numbers.</summary>
    Int,
}

/// <summary>
/// A matrix that flows through the graph: its size, not its place, which each device chooses. Tokens are rows and channels are
/// columns; a map of H x W pixels is a matrix of H * W rows (channels last), a batch of sequences is their rows one after the
/// other. A value may be a window on another one's rows and columns; it then owns no memory.
/// </summary>
internal sealed class Value
{
    internal Value(int id, int rows, int columns, ValueKind type)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        Id = id;
        Rows = rows;
        Columns = columns;
        Type = type;
        Root = this;
    }

    internal Value(int id, Value source, int firstRow, int rows, int firstColumn, int columns)
        : this(id, rows, columns, source.Type)
    {
        Root = source.Root;
        FirstRow = source.FirstRow + firstRow;
        FirstColumn = source.FirstColumn + firstColumn;
    }

    /// <summary>Its number in the graph.</summary>
    public int Id { get; }

    /// <summary>Rows.</summary>
    public int Rows { get; }

    /// <summary>Columns.</summary>
    public int Columns { get; }

    /// <summary>What its elements are.</summary>
    public ValueKind Type { get; }

    /// <summary>The value that owns the memory: itself, unless it is a window.</summary>
    internal Value Root { get; }

    internal int FirstRow { get; }

    internal int FirstColumn { get; }

    internal int ElementSize => Type == ValueKind.Byte ? 1 : 4;

    /// <summary>Whether it is no window on some columns of another value.</summary>
    internal bool IsContiguous => Columns == Root.Columns;

    /// <summary>[rows, columns].</summary>
    public override string ToString() => $"[{Rows}, {Columns}]";
}
