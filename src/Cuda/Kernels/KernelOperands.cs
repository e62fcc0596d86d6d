namespace TinyZsad.Cuda.Kernels;

/// <summary>Checks operands and computes what launches of different files have in common.</summary>
internal static class KernelOperands
{
    /// <summary>The threads of a block of most kernels.</summary>
    public const int Threads = 256;

    /// <summary>
    /// Determines whether four elements of any row can be loaded and stored at once: the columns are a multiple of 4, and every row begins
    /// at a multiple of four elements.
    /// </summary>
    public static bool IsWide(params ReadOnlySpan<DeviceMatrix> matrices)
    {
        foreach (DeviceMatrix m in matrices)
        {
            if (m.Columns % 4 != 0 || m.Stride % 4 != 0 || m.BatchStride % 4 != 0 || m.Address % (m.Half ? 8u : 16u) != 0) return false;
        }

        return true;
    }

    /// <summary>Determines whether four elements of a vector of floats can be loaded at once.</summary>
    public static bool IsWide(ulong vector) => vector % 16 == 0;

    /// <summary>Gets the flags of the formats: bit i is set if matrix i holds halves.</summary>
    public static int Flags(params ReadOnlySpan<DeviceMatrix> matrices)
    {
        int flags = 0;
        for (int i = 0; i < matrices.Length; i++) flags |= matrices[i].Half ? 1 << i : 0;
        return flags;
    }

    /// <summary>Computes the grid of a kernel with one thread for each of a number of units, in blocks of 256.</summary>
    public static Dim3 Grid(long units, int batch) => Blocks((units + Threads - 1) / Threads, 1, batch);

    /// <summary>Computes a grid and checks that a GPU can have it.</summary>
    /// <exception cref="ArgumentException">The grid is empty or too large.</exception>
    public static Dim3 Blocks(long x, long y, int batch)
    {
        if (x < 1 || y < 1 || batch < 1) throw new ArgumentException($"A grid of {x} x {y} x {batch} blocks is empty.", nameof(batch));
        if (x > 1 << 23 || y > 65535 || batch > 65535)
            throw new ArgumentException($"A grid of {x} x {y} x {batch} blocks is too large for one launch.", nameof(batch));
        return new Dim3((int)x, (int)y, batch);
    }

    /// <summary>Checks that a matrix has a shape, and that its rows do not overlap.</summary>
    /// <exception cref="ArgumentException">It does not, or it is empty.</exception>
    public static void Check(DeviceMatrix matrix, int rows, int columns, string name)
    {
        if (matrix.Rows != rows || matrix.Columns != columns)
            throw new ArgumentException($"'{name}' is [{matrix.Rows}, {matrix.Columns}], and [{rows}, {columns}] is needed.", name);
        if (rows < 1 || columns < 1) throw new ArgumentException($"'{name}' is empty: [{rows}, {columns}].", name);
        if (matrix.Stride < columns)
            throw new ArgumentException($"'{name}' has {columns} columns, and its rows are {matrix.Stride} elements apart.", name);
        if ((long)rows * matrix.Stride > int.MaxValue)
            throw new ArgumentException($"'{name}' has {rows} rows of {matrix.Stride} elements, more than 2^31.", name);
        if (matrix.Address % (matrix.Half ? 2u : 4u) != 0)
            throw new ArgumentException($"'{name}' is at {matrix.Address:x}, not at a multiple of an element.", name);
    }

    /// <summary>Checks the address of floats.</summary>
    /// <exception cref="ArgumentException">There are none, or not at a multiple of their size.</exception>
    public static void Check(ulong vector, string name)
    {
        if (vector == 0 || vector % 4 != 0) throw new ArgumentException($"'{name}' is at {vector:x}, which is no address of floats.", name);
    }

    /// <summary>Gets the distance of the elements of a map of one channel, or of another list: a column or contiguous rows.</summary>
    /// <exception cref="ArgumentException">The elements are not a given number, or not at one distance.</exception>
    public static int Distance(DeviceMatrix list, long count, string name)
    {
        if ((long)list.Rows * list.Columns != count)
            throw new ArgumentException($"'{name}' is [{list.Rows}, {list.Columns}], and {count} elements are needed.", name);
        Check(list, list.Rows, list.Columns, name);
        return list.Columns == 1 && list.Rows > 1 ? list.Stride
            : list.Rows == 1 || list.Stride == list.Columns ? 1
            : throw new ArgumentException($"The rows of '{name}' are not contiguous.", name);
    }
}
