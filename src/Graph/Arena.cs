namespace TinyZsad.Graph;

/// <summary>A stretch of memory that is needed from one phase to another, both included.</summary>
internal sealed class Block(long bytes, int first, int last)
{
    public long Bytes => bytes;
    public int First { get; set; } = first;
    public int Last { get; set; } = last;
    public long Offset { get; set; }
}

/// <summary>
/// Gives every block its place in one arena, so that blocks needed at the same time never overlap and the arena is small.
/// </summary>
internal static class Arena
{
    /// <summary>Every place is a multiple of this: a cache line, and the widest vector.</summary>
    public const int Alignment = 64;

    /// <summary>
    /// Sets each block's offset: the largest first, each at the lowest place that is free for the whole of its life. Returns the
    /// size of the arena.
    /// </summary>
    public static long Place(IEnumerable<Block> blocks)
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
