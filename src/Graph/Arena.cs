namespace TinyZsad.Graph;

/// <summary>What one moment of a plan does with memory. Several accesses may share a moment: then they happen in any order.</summary>
/// <param name="Moment">When; moments follow each other, beginning with 0.</param>
/// <param name="Reads">Values it reads.</param>
/// <param name="Writes">Values it writes, none of them before.</param>
/// <param name="InPlace">
/// A value it reads whose memory what it writes may take, element for element; null if there is none. The device asks for it only
/// where it lays out both alike.
/// </param>
internal sealed record Access(int Moment, IReadOnlyList<Value> Reads, IReadOnlyList<Value> Writes, Value? InPlace);

/// <summary>
/// Gives every value its place in one arena, so that values needed at the same time never overlap and the arena is small. Knows
/// what is read and written when, and how many bytes a device takes for a value; nothing else of the device.
/// </summary>
internal static class Arena
{
    /// <summary>Every place is a multiple of this: a cache line, and the widest vector.</summary>
    public const int Alignment = 64;

    /// <summary>A stretch of memory that is needed from one moment to another, both included.</summary>
    internal sealed class Block(long bytes, int first, int last)
    {
        public long Bytes => bytes;
        public int First { get; set; } = first;
        public int Last { get; set; } = last;
        public long Offset { get; set; }
    }

    /// <summary>
    /// Where each value that owns memory lies, by its number, -1 for one that is never there; and the bytes of the whole.
    /// </summary>
    /// <remarks>Generic types over structures of our own would be compiled at start-up: hence classes and arrays.</remarks>
    /// <param name="graph">Its inputs are there before the first moment, its outputs are needed after the last.</param>
    /// <param name="accesses">What happens, by moment.</param>
    /// <param name="bytes">Bytes of a value that owns its memory.</param>
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

        // Whole, no input (its place is fixed from the beginning), and read by nobody else now or later.
        bool MayTake(Access access, Value v) =>
            v.Root == v && !inputs.Contains(v) && lastRead[v] == access.Moment && readers[access.Moment][v] == 1
            && access.Writes.Count == 1 && v.Rows == access.Writes[0].Rows && v.Columns == access.Writes[0].Columns;
    }

    /// <summary>
    /// Sets each block's offset: the largest first, each at the lowest place that is free for the whole of its life. Returns the
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
