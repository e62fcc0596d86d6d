namespace TinyZsad.Cuda.Kernels;

/// <summary>
/// Holds the operands of softmax(q kᵀ / sqrt d) v for each head of each sequence. Columns h d to (h + 1) d of every matrix are head h. A
/// picture of a matrix is one sequence.
/// </summary>
internal readonly record struct AttentionArgs
{
    /// <summary>Gets the queries, halves or floats.</summary>
    public required DeviceMatrix Q { get; init; }

    /// <summary>Gets the keys, halves or floats.</summary>
    public required DeviceMatrix K { get; init; }

    /// <summary>Gets the values, halves or floats, as many rows as keys.</summary>
    public required DeviceMatrix V { get; init; }

    /// <summary>Gets the result, halves or floats, as many rows as queries.</summary>
    public required DeviceMatrix Y { get; init; }

    /// <summary>Gets the number of heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Gets the number of sequences.</summary>
    public required int Batch { get; init; }

    /// <summary>Gets the address of the cosines of the queries' rotary positions, [queries - prefix, d / 2] floats, or 0.</summary>
    public ulong QueryCos { get; init; }

    /// <summary>Gets the address of the sines of the queries' rotary positions, or 0.</summary>
    public ulong QuerySin { get; init; }

    /// <summary>Gets the number of queries in front that have no position.</summary>
    public int QueryPrefix { get; init; }

    /// <summary>Gets the address of the cosines of the keys' rotary positions, [keys - prefix, d / 2] floats, or 0.</summary>
    public ulong KeyCos { get; init; }

    /// <summary>Gets the address of the sines of the keys' rotary positions, or 0.</summary>
    public ulong KeySin { get; init; }

    /// <summary>Gets the number of keys in front that have no position.</summary>
    public int KeyPrefix { get; init; }
}

/// <summary>Creates the launches of <c>attention.ptx</c>.</summary>
internal static class AttentionKernel
{
    /// <summary>The queries of a block with tensor cores, and the keys of a step.</summary>
    internal const int Tile = 64;

    /// <summary>The threads of a block with tensor cores, and of a block without.</summary>
    internal const int Threads = 256, PlainThreads = 128;

    /// <summary>The most shared memory that every GPU from sm_80 on gives a block.</summary>
    internal const int MostSharedBytes = 99 * 1024;

    /// <summary>The widest head of each entry with tensor cores.</summary>
    private static readonly int[] Widths = [32, 64, 128];

    /// <summary>
    /// Creates the launch. Heads of a multiple of 8 columns and at most 128 are computed by tensor cores, if all rows begin at multiples
    /// of 16 bytes and q, k and v are halves. Everything else is computed without.
    /// </summary>
    /// <exception cref="ArgumentException">Shapes do not match, or a head with positions has an odd width.</exception>
    public static Launch Create(in AttentionArgs args)
    {
        DeviceMatrix q = args.Q, k = args.K, v = args.V, y = args.Y;
        int heads = args.Heads;
        if (heads < 1 || q.Columns % heads != 0)
            throw new ArgumentException($"{q.Columns} columns are not {heads} heads.", nameof(args));
        int d = q.Columns / heads;
        KernelOperands.Check(q, y.Rows, heads * d, nameof(args.Q));
        KernelOperands.Check(k, k.Rows, heads * d, nameof(args.K));
        KernelOperands.Check(v, k.Rows, heads * d, nameof(args.V));
        KernelOperands.Check(y, q.Rows, heads * d, nameof(args.Y));
        CheckPositions(args.QueryCos, args.QuerySin, args.QueryPrefix, q.Rows, d);
        CheckPositions(args.KeyCos, args.KeySin, args.KeyPrefix, k.Rows, d);

        // Tables are loaded four floats at a time.
        bool turnedWide = (args.QueryCos | args.QuerySin | args.KeyCos | args.KeySin) % 16 == 0;
        int width = d % 8 == 0 && turnedWide && UseTensorCores(q, y) && UseTensorCores(k, y) && UseTensorCores(v, y) ? Width(d) : 0;
        ReadOnlyMemory<byte> arguments = new KernelArguments().Add(q).Add(k).Add(v).Add(y).Add(q.Rows).Add(k.Rows).Add(d).Add(d)
            .Add(1 / MathF.Sqrt(d)).Add(args.QueryCos).Add(args.QuerySin).Add(args.KeyCos).Add(args.KeySin).Add(args.QueryPrefix)
            .Add(args.KeyPrefix).Add(KernelOperands.Flags(y, q, k, v)).ToMemory();
        return width != 0
            ? new Launch("attention", $"attention_{width}", KernelOperands.Blocks((q.Rows + Tile - 1) / Tile, heads, args.Batch),
                new Dim3(Threads), SharedBytes(width), arguments)
            : new Launch("attention", "attention_plain", KernelOperands.Blocks(PlainTiles(q.Rows, d), heads, args.Batch),
                new Dim3(PlainThreads), 0, arguments);
    }

    /// <summary>Gets the width of the narrowest entry that has room for a head, or 0.</summary>
    internal static int Width(int d) => Array.Find(Widths, w => w >= d);

    /// <summary>Gets the shared memory of a block: a tile of queries, and two each of keys and values.</summary>
    internal static int SharedBytes(int width) => 5 * Tile * width * 2;

    /// <summary>Determines whether 16 bytes of any row can be copied at once to the tensor cores' shared memory, and back to y.</summary>
    internal static bool UseTensorCores(DeviceMatrix x, DeviceMatrix y) => x.Half && x.IsAligned && y.IsAligned;

    /// <summary>Gets the blocks of an entry without tensor cores for a head: each warp has a query and 256 columns of it.</summary>
    internal static int PlainTiles(int queries, int d) => checked((queries + 3) / 4 * ((d + 255) / 256));

    private static void CheckPositions(ulong cos, ulong sin, int prefix, int rows, int d)
    {
        if ((cos == 0) != (sin == 0)) throw new ArgumentException("Of cosines and sines, one is given and the other is not.", nameof(sin));
        if (cos == 0) return;
        KernelOperands.Check(cos, nameof(cos));
        KernelOperands.Check(sin, nameof(sin));
        if (d % 2 != 0) throw new ArgumentException($"A head of {d} columns has no halves to rotate.", nameof(d));
        if (prefix < 0 || prefix > rows)
            throw new ArgumentException($"{prefix} of {rows} rows are in front of the positions.", nameof(prefix));
    }
}
