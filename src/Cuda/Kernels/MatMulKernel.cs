using TinyZsad.Formats;

namespace TinyZsad.Cuda.Kernels;

/// <summary>Holds the operands of y = f(x wᵀ + bias) * scale + residual, or with f last.</summary>
/// <param name="X">Halves, [m, k], aligned.</param>
/// <param name="W">Halves, [n, k], aligned.</param>
/// <param name="Y">Halves or floats, [m, n].</param>
internal readonly record struct MatMulArgs(DeviceMatrix X, DeviceMatrix W, DeviceMatrix Y)
{
    /// <summary>Gets the address of n floats to add to the products, or 0.</summary>
    public ulong Bias { get; init; }

    /// <summary>Gets the address of n floats to multiply by, or 0.</summary>
    public ulong Scale { get; init; }

    /// <summary>Gets halves or floats to add, [m, n], or a matrix with address 0. It may be y.</summary>
    public DeviceMatrix Residual { get; init; }

    /// <summary>Gets f.</summary>
    public ActivationFunction Activation { get; init; }

    /// <summary>Gets whether f follows the residual.</summary>
    public bool ActivateLast { get; init; }

    /// <summary>Gets the number of pictures of a batch.</summary>
    public int Batch { get; init; } = 1;
}

/// <summary>Represents one entry of <c>matmul.ptx</c>: the tile that a block computes, and what a block takes.</summary>
/// <param name="Rows">The rows of the tile.</param>
/// <param name="Columns">The columns of the tile.</param>
/// <param name="WarpRows">The rows of a warp's part.</param>
/// <param name="WarpColumns">The columns of a warp's part.</param>
/// <param name="Groups">The number of groups of warps that share the sums of a tile.</param>
/// <param name="Depth">The columns of x and w in one stage.</param>
/// <param name="Stages">The number of stages.</param>
internal readonly record struct MatMulTile(int Rows, int Columns, int WarpRows, int WarpColumns, int Groups, int Depth, int Stages)
{
    /// <summary>Gets the name of the entry.</summary>
    public string Kernel => $"matmul_{Rows}x{Columns}";

    /// <summary>Gets the number of threads of a block.</summary>
    public int Threads => 32 * Groups * (Rows / WarpRows) * (Columns / WarpColumns);

    /// <summary>Gets the dynamic shared memory of a block: the stages, or the groups' sums if they need more.</summary>
    public int SharedBytes => Math.Max(2 * Depth * (Rows + Columns) * Stages, 4 * Groups * Rows * Columns);
}

/// <summary>Creates the launches of <c>matmul.ptx</c>, matrix products with everything that a linear layer adds.</summary>
internal static class MatMulKernel
{
    /// <summary>The entries, the largest tile first.</summary>
    public static readonly IReadOnlyList<MatMulTile> Tiles =
    [
        new(128, 128, 64, 32, 1, 32, 4), new(128, 64, 32, 32, 1, 64, 3), new(64, 64, 32, 32, 2, 64, 4), new(64, 32, 32, 32, 2, 64, 4),
        new(32, 32, 32, 32, 4, 64, 4),
    ];

    /// <summary>Creates the launch with the tile that the cost model predicts to be the fastest.</summary>
    /// <param name="args">The operands.</param>
    /// <param name="multiprocessors">The number of multiprocessors of the GPU.</param>
    /// <exception cref="ArgumentException">Shapes do not match, or a matrix is not as the kernel needs it.</exception>
    public static Launch Create(in MatMulArgs args, int multiprocessors)
    {
        int m = args.Y.Rows, n = args.Y.Columns, k = args.X.Columns, batch = args.Batch;
        MatMulTile best = Tiles.MinBy(t => Cycles(t, m, n, k, batch, multiprocessors));
        return Create(args, best);
    }

    /// <summary>Creates the launch with a given tile.</summary>
    public static Launch Create(in MatMulArgs args, MatMulTile tile)
    {
        DeviceMatrix x = args.X, w = args.W, y = args.Y, residual = args.Residual;
        if (x.Rows < 1 || w.Rows < 1 || x.Columns < 1 || args.Batch < 1)
        {
            throw new ArgumentException($"The product is empty: {x.Rows} x {x.Columns} by {w.Rows} rows, batch {args.Batch}.",
                nameof(args));
        }

        if (x.Columns != w.Columns || y.Rows != x.Rows || y.Columns != w.Rows)
        {
            throw new ArgumentException($"[{x.Rows}, {x.Columns}] times the transpose of [{w.Rows}, {w.Columns}] is not " +
                $"[{y.Rows}, {y.Columns}].", nameof(args));
        }

        if (!x.Half || !w.Half) throw new ArgumentException("The factors of a product must be halves.", nameof(args));
        if (!x.IsAligned || !w.IsAligned)
            throw new ArgumentException("The rows of the factors must begin at multiples of 16 bytes.", nameof(args));
        bool added = residual.Address != 0;
        if (added && (residual.Rows != y.Rows || residual.Columns != y.Columns))
        {
            throw new ArgumentException($"The residual is [{residual.Rows}, {residual.Columns}], and the result [{y.Rows}, {y.Columns}].",
                nameof(args));
        }

        // Bit 3: four columns of a row can be loaded and stored at once.
        bool wide = IsWide(y) && (!added || IsWide(residual));
        int flags = (y.Half ? 1 : 0) | (added && residual.Half ? 2 : 0) | (args.ActivateLast ? 4 : 0) | (wide ? 8 : 0);
        Dim3 grid = new((y.Rows + tile.Rows - 1) / tile.Rows, (y.Columns + tile.Columns - 1) / tile.Columns, args.Batch);
        if (grid.Y > 65535 || grid.Z > 65535)
        {
            throw new ArgumentException($"The product has {y.Columns} columns and {args.Batch} pictures, too many for one launch.",
                nameof(args));
        }

        return new Launch("matmul", tile.Kernel, grid, new Dim3(tile.Threads), tile.SharedBytes,
            new KernelArguments().Add(x).Add(w).Add(y).Add(residual).Add(args.Bias).Add(args.Scale).Add(y.Rows).Add(y.Columns)
                .Add(x.Columns).Add((int)args.Activation.Kind).Add(args.Activation.Slope).Add(flags).ToMemory());
    }

    /// <summary>
    /// Predicts the cycles of a launch on a multiprocessor of sm_80. A block needs, for each 16 columns of x and w, the longer of
    /// its tensor cores' time (1024 products a cycle) and its warps' reads of fragments (128 bytes a cycle, about three quarters of
    /// which are reached); each stage adds the copies into shared memory. A warp alone cannot keep a tensor core busy: the time
    /// between two steps of a warp is at least 120 cycles. The first stage's way from memory and the epilogue take about 1500 cycles
    /// and 4 cycles a row, which blocks on the same multiprocessor overlap.
    /// </summary>
    public static double Cycles(MatMulTile tile, int m, int n, int k, int batch, int multiprocessors)
    {
        long blocks = (long)((m + tile.Rows - 1) / tile.Rows) * ((n + tile.Columns - 1) / tile.Columns) * batch;
        long each = (blocks + multiprocessors - 1) / multiprocessors;
        int resident = Math.Max(1, Math.Min(163 * 1024 / (tile.SharedBytes + 1024), 65536 / (128 * tile.Threads)));
        double together = Math.Min(each, resident), warps = tile.Threads / 32.0 / tile.Groups;
        double tensor = tile.Rows * tile.Columns * 16 / 1024.0;
        double fragments = warps * (tile.WarpRows + tile.WarpColumns) * 32 / 96.0;
        double copies = (tile.Rows + tile.Columns) * 32 / 64.0;
        double step = Math.Max(Math.Max(tensor, fragments + copies / 2), 120.0 / tile.Groups / together);
        double steps = (k + tile.Depth - 1) / tile.Depth * (tile.Depth / 16);
        return each * steps * step + (1500 + 4 * tile.Rows) * Math.Ceiling(each / (double)resident);
    }

    private static bool IsWide(DeviceMatrix matrix)
    {
        int bytes = matrix.Half ? 2 : 4;
        uint unit = (uint)(4 * bytes);
        return matrix.Address % unit == 0 && matrix.Stride % 4 == 0 && matrix.BatchStride % 4 == 0;
    }
}
