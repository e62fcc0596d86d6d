namespace TinyZsad.Cuda.Kernels;

/// <summary>Creates the launches of <c>rows.ptx</c>. Every matrix is floats or halves.</summary>
internal static class RowsKernel
{
    /// <summary>The most vectors of a product of rows with a few vectors.</summary>
    public const int MostVectors = 8;

    /// <summary>Creates the launch of y[r] = x[r] / |x[r]|, where a row of zeros stays zero. y may be x.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch L2Normalize(DeviceMatrix x, DeviceMatrix y, int batch) => RowByRow("l2_normalize", x, y, batch);

    /// <summary>Creates the launch of the softmax of each row. y may be x.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Softmax(DeviceMatrix x, DeviceMatrix y, int batch) => RowByRow("softmax", x, y, batch);

    /// <summary>Creates the launch of y[r, j] = scale * (x[r] · t[j]) for up to <see cref="MostVectors"/> rows of t.</summary>
    /// <exception cref="ArgumentException">Shapes do not match, or t has too many rows.</exception>
    public static Launch DotRows(DeviceMatrix x, DeviceMatrix t, float scale, DeviceMatrix y, int batch)
    {
        KernelOperands.Check(x, x.Rows, x.Columns, nameof(x));
        KernelOperands.Check(t, t.Rows, x.Columns, nameof(t));
        KernelOperands.Check(y, x.Rows, t.Rows, nameof(y));
        if (t.Rows > MostVectors) throw new ArgumentException($"There are {t.Rows} vectors, more than {MostVectors}.", nameof(t));
        int sums = t.Rows <= 2 ? t.Rows : t.Rows <= 4 ? 4 : 8;
        return new Launch("rows", $"dot_rows_{sums}_{Width(x, t)}", KernelOperands.Blocks((x.Rows + 7) / 8, 1, batch),
            new Dim3(KernelOperands.Threads), 0, new KernelArguments().Add(y).Add(x).Add(t).Add(t.Rows).Add(x.Rows).Add(x.Columns)
                .Add(scale).Add(KernelOperands.Flags(y, x, t)).ToMemory());
    }

    /// <summary>Creates the launch of the mean of all rows, [1, columns].</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch MeanRows(DeviceMatrix x, DeviceMatrix y, int batch)
    {
        KernelOperands.Check(x, x.Rows, x.Columns, nameof(x));
        KernelOperands.Check(y, 1, x.Columns, nameof(y));
        return new Launch("rows", "mean_rows", KernelOperands.Blocks((x.Columns + 31) / 32, 1, batch), new Dim3(1024), 0,
            new KernelArguments().Add(y).Add(x).Add(x.Rows).Add(x.Columns).Add(1f / x.Rows).Add(KernelOperands.Flags(y, x)).ToMemory());
    }

    /// <summary>Creates the launch of y = a b, or a bᵀ, without tensor cores: for few rows of a, and for shapes of any kind.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch MatMul(DeviceMatrix a, DeviceMatrix b, bool transposed, DeviceMatrix y, int batch)
    {
        int m = a.Rows, k = a.Columns, n = transposed ? b.Rows : b.Columns;
        KernelOperands.Check(a, m, k, nameof(a));
        KernelOperands.Check(b, transposed ? n : k, transposed ? k : n, nameof(b));
        KernelOperands.Check(y, m, n, nameof(y));
        ReadOnlyMemory<byte> arguments = new KernelArguments().Add(y).Add(a).Add(b).Add(m).Add(n).Add(k)
            .Add(KernelOperands.Flags(y, a, b)).ToMemory();
        return transposed
            ? new Launch("rows", $"matmul_out_in_{Width(a, b)}", KernelOperands.Blocks((n + 7) / 8, (m + 3) / 4, batch),
                new Dim3(KernelOperands.Threads), 0, arguments)
            : new Launch("rows", "matmul_in_out", KernelOperands.Blocks((n + 31) / 32, (m + 3) / 4, batch), new Dim3(1024), 0, arguments);
    }

    /// <summary>Creates a launch with a warp a row, or a block if rows are few and long.</summary>
    private static Launch RowByRow(string kernel, DeviceMatrix x, DeviceMatrix y, int batch)
    {
        KernelOperands.Check(x, x.Rows, x.Columns, nameof(x));
        KernelOperands.Check(y, x.Rows, x.Columns, nameof(y));
        int threads = x.Columns > 1024 && x.Rows < 1024 ? 256 : 32;
        return new Launch("rows", $"{kernel}_{threads}_{Width(y, x)}",
            KernelOperands.Blocks(((long)x.Rows * threads + KernelOperands.Threads - 1) / KernelOperands.Threads, 1, batch),
            new Dim3(KernelOperands.Threads), 0,
            new KernelArguments().Add(y).Add(x).Add(x.Rows).Add(x.Columns).Add(KernelOperands.Flags(y, x)).ToMemory());
    }

    private static int Width(DeviceMatrix a, DeviceMatrix b) => KernelOperands.IsWide(a, b) ? 4 : 1;
}
