namespace TinyZsad.Graph;

/// <summary>Describes one memory access of a plan. Accesses of the same moment happen in any order.</summary>
/// <param name="Moment">The moment of the access. Moments are consecutive, starting with 0.</param>
/// <param name="Reads">The values it reads.</param>
/// <param name="Writes">The values it writes. No earlier access writes them.</param>
/// <param name="InPlace">
/// A value it reads whose memory its output may reuse, element by element; null if there is none. The device sets it only if both
/// have the same memory layout.
/// </param>
internal sealed record Access(int Moment, IReadOnlyList<Value> Reads, IReadOnlyList<Value> Writes, Value? InPlace);

/// <summary>
/// Assigns every value an offset in one arena, so that values needed at the same time never overlap and the arena is small. It
/// knows only the accesses by moment and the size of each value on the device.
/// </summary>
internal static class Arena
{
    /// <summary>The alignment of every offset: a cache line, and the widest vector.</summary>
    public const int Alignment = 64;

    /// <summary>Represents a block of memory that is needed from one moment to another, both inclusive.</summary>
    internal sealed class Block(long bytes, int first, int last)
    {
        public long Bytes => bytes;
        public int First { get; set; } = first;
        public int Last { get; set; } = last;
        public long Offset { get; set; }
    }

    /// <summary>
    /// Computes the offset of each value that owns memory, indexed by its ID (-1 for a value that needs no memory), and the size
    /// of the arena.
    /// </summary>
    /// <remarks>
    /// The method uses classes and arrays, because generic types over custom structs would have to be compiled at startup.
    /// </remarks>
    /// <param name="graph">The graph. Its inputs exist before the first moment; its outputs are needed after the last.</param>
    /// <param name="accesses">The accesses, ordered by moment.</param>
    /// <param name="bytes">Computes the size of a value that owns its memory, in bytes.</param>
    public static (long[] Offsets, long Bytes) Plan(
        ComputeGraph graph, IReadOnlyList<Access> accesses, Func<Value, long> bytes)
    {
        HashSet<Value> inputs = [.. graph.Inputs.Values];
        Dictionary<Value, Block> blocks = inputs.ToDictionary(v => v, v => new Block(bytes(v), 0, 0));
        Dictionary<Value, int> lastRead = [];
        int end = accesses.Count == 0 ? 0 : accesses[^1].Moment + 1;
        Dictionary<Value, int>[] readers = [.. Enumerable.Range(0, end).Select(_ => new Dictionary<Value, int>())];
        foreach (Access access in accesses)
        {
            foreach (Value read in access.Reads)
            {
                lastRead[read.Root] = access.Moment;
                readers[access.Moment][read.Root] = readers[access.Moment].GetValueOrDefault(read.Root) + 1;
            }
        }
        foreach (Value output in graph.Outputs.Values) lastRead[output] = end;

        foreach (Access access in accesses)
        {
            foreach (Value written in access.Writes)
            {
                int last = lastRead.GetValueOrDefault(written, access.Moment);
                if (access.InPlace is { } v && MayTake(access, v))
                {
                    blocks[written] = blocks[v];
                    blocks[written].Last = last;
                }
                else
                {
                    blocks[written] = new Block(bytes(written), access.Moment, last);
                }
            }
        }
        foreach (Value input in inputs) blocks[input].Last = lastRead.GetValueOrDefault(input);

        long total = Place(blocks.Values.Distinct());
        long[] offsets = new long[blocks.Keys.Max(v => v.Id) + 1];
        Array.Fill(offsets, -1);
        foreach ((Value value, Block block) in blocks) offsets[value.Id] = block.Offset;
        return (offsets, total);

        // v must not be a window, nor an input (the offset of an input is fixed from the start), and no other reader may need it
        // now or later.
        bool MayTake(Access access, Value v) =>
            v.Root == v && !inputs.Contains(v) && lastRead[v] == access.Moment && readers[access.Moment][v] == 1
            && access.Writes.Count == 1 && v.Rows == access.Writes[0].Rows && v.Columns == access.Writes[0].Columns;
    }

    /// <summary>
    /// Sets the offset of each block: largest first, each at the lowest offset that is free for its whole lifetime. Returns the
    /// size of the arena.
    /// </summary>
    internal static long Place(IEnumerable<Block> blocks)
    {
        List<Block> placed = [];
        long size = 0;
        foreach (Block block in blocks.OrderByDescending(b => b.Bytes).ThenBy(b => b.First))
        {
            long at = 0;
            foreach (Block other in placed.Where(o => o.First <= block.Last && block.First <= o.Last).OrderBy(o => o.Offset))
            {
                if (at + block.Bytes <= other.Offset) break;
                at = Math.Max(at, RoundUp(other.Offset + other.Bytes));
            }
            block.Offset = at;
            size = Math.Max(size, at + block.Bytes);
            placed.Add(block);
        }
        return RoundUp(size);
    }

    private static long RoundUp(long x) => (x + Alignment - 1) / Alignment * Alignment;
}
