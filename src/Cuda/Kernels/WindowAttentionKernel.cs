namespace TinyZsad.Cuda.Kernels;

/// <summary>
/// Holds the operands of attention within the square windows of a map: softmax(q kᵀ / sqrt d + biases) v for each head of each window.
/// Windows begin at the upper left and may reach beyond the map.
/// </summary>
internal readonly record struct WindowAttentionArgs
{
    /// <summary>
    /// Gets queries, keys and values, [height width, heads 3 d], each head's q, k and v together. If the map is not a whole number of
    /// windows, there is one more row in front, which stands for every pixel outside of the map.
    /// </summary>
    public required DeviceMatrix Qkv { get; init; }

    /// <summary>Gets the result, [height width, heads d], halves or floats.</summary>
    public required DeviceMatrix Y { get; init; }

    /// <summary>Gets the number of heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Gets the number of rows of the map.</summary>
    public required int Height { get; init; }

    /// <summary>Gets the number of columns of the map.</summary>
    public required int Width { get; init; }

    /// <summary>Gets the side of a window, w.</summary>
    public required int Window { get; init; }

    /// <summary>
    /// Gets the address of [heads, (2 w - 1)²] floats. A key dy rows below and dx columns right of the query has the bias
    /// (dy + w - 1, dx + w - 1).
    /// </summary>
    public required ulong Bias { get; init; }

    /// <summary>Gets the number of pictures of a batch.</summary>
    public required int Batch { get; init; }
}

/// <summary>Creates the launches of <c>window_attention.ptx</c>.</summary>
internal static class WindowAttentionKernel
{
    /// <summary>
    /// Creates the launch. Heads of a multiple of 8 columns and at most 64 are computed by tensor cores, if all rows begin at multiples
    /// of 16 bytes, the values are halves, and the window's tables fit the shared memory. Everything else is computed without.
    /// </summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Create(in WindowAttentionArgs args)
    {
        DeviceMatrix qkv = args.Qkv, y = args.Y;
        int heads = args.Heads, w = args.Window, height = args.Height, width = args.Width;
        if (heads < 1 || y.Columns % heads != 0)
            throw new ArgumentException($"{y.Columns} columns are not {heads} heads.", nameof(args));
        if (height < 1 || width < 1 || w is < 1 or > 1024)
            throw new ArgumentException($"A map of {height} x {width} has no windows of {w} x {w}.", nameof(args));
        int d = y.Columns / heads, padding = height % w != 0 || width % w != 0 ? 1 : 0, tokens = w * w;
        KernelOperands.Check(qkv, checked((height * width) + padding), 3 * heads * d, nameof(args.Qkv));
        KernelOperands.Check(y, height * width, heads * d, nameof(args.Y));
        KernelOperands.Check(args.Bias, nameof(args.Bias));

        long windows = (long)((height + w - 1) / w) * ((width + w - 1) / w) * args.Batch;
        int entry = d <= 64 ? AttentionKernel.Width(d) : 0;
        int shared = entry == 0 ? 0 : SharedBytes(entry, w);
        bool tensor = entry != 0 && d % 8 == 0 && AttentionKernel.UseTensorCores(qkv, y) && shared <= AttentionKernel.MostSharedBytes;
        ReadOnlyMemory<byte> arguments = new KernelArguments().Add(qkv).Add(y).Add(args.Bias).Add(height).Add(width).Add(w).Add(padding)
            .Add(d).Add(1 / MathF.Sqrt(d)).Add(KernelOperands.Flags(y, qkv)).ToMemory();
        return tensor
            ? new Launch("window_attention", $"window_attention_{entry}",
                KernelOperands.Blocks(windows, heads, (tokens + AttentionKernel.Tile - 1) / AttentionKernel.Tile),
                new Dim3(AttentionKernel.Threads), shared, arguments)
            : new Launch("window_attention", "window_attention_plain",
                KernelOperands.Blocks(windows, heads, AttentionKernel.PlainTiles(tokens, d)), new Dim3(AttentionKernel.PlainThreads), 0,
                arguments);
    }

    /// <summary>Gets the shared memory of a block: the tiles, two numbers for each token, and the biases of one head.</summary>
    internal static int SharedBytes(int entry, int window)
    {
        int tokens = (window * window + AttentionKernel.Tile - 1) / AttentionKernel.Tile * AttentionKernel.Tile;
        int side = 2 * window - 1;
        return AttentionKernel.SharedBytes(entry) + 4 * (2 * tokens + side * side);
    }
}
