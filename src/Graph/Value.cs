namespace TinyZsad.Graph;

/// <summary>Specifies the element type of a <see cref="Value"/>.</summary>
internal enum ValueKind
{
    /// <summary>32-bit floats.</summary>
    Float,

    /// <summary>Bytes, for pixels.</summary>
    Byte,

    /// <summary>32-bit integers, for token IDs and row numbers.</summary>
    Int,
}

/// <summary>
/// Represents a matrix in a graph. It has a size but no location; each device assigns one. Tokens are rows and channels are
/// columns. A map of H x W pixels is a matrix of H * W rows (channels last), and a batch of sequences is their rows one after the
/// other. A value may be a window on rows and columns of another value; it then owns no memory.
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

    /// <summary>Gets the index of the value in the graph.</summary>
    public int Id { get; }

    /// <summary>Gets the number of rows.</summary>
    public int Rows { get; }

    /// <summary>Gets the number of columns.</summary>
    public int Columns { get; }

    /// <summary>Gets the element type.</summary>
    public ValueKind Type { get; }

    /// <summary>Gets the value that owns the memory: the value itself, unless it is a window.</summary>
    internal Value Root { get; }

    internal int FirstRow { get; }

    internal int FirstColumn { get; }

    internal int ElementSize => Type == ValueKind.Byte ? 1 : 4;

    /// <summary>
    /// Gets whether the rows are contiguous, that is, whether the value is not a window on some columns of another value.
    /// </summary>
    internal bool IsContiguous => Columns == Root.Columns;

    /// <summary>Returns [rows, columns].</summary>
    public override string ToString() => $"[{Rows}, {Columns}]";
}
