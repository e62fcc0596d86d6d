namespace TinyZsad.Kernels;

/// <summary>
/// Divides a product into work items. Panels of W are processed in groups whose widened form fits in the L2 cache. Within a
/// group, x and y are streamed once, strip by strip. Rows are divided into blocks of strips, as evenly as possible. A thread
/// should keep the same blocks from layer to layer, because it finds their rows in its own cache. It should also take the blocks
/// of a group in sequence, so that it widens the group once.
/// </summary>
internal readonly struct MatMulCut
{
    /// <summary>
    /// The maximum size of the widened panels in bytes. The panels, a strip of x and the streamed data share an L2 cache of 1 MB.
    /// </summary>
    private const int MostPanelBytes = 5 << 17;

    /// <summary>
    /// The target number of blocks per thread. Several blocks per thread balance the load at the end of the step.
    /// </summary>
    public const int BlocksOfThread = 6;

    private readonly int rows, strips;

    /// <summary>Divides the product of an [m, k] matrix by a [k, n] matrix for a number of threads, at least 1.</summary>
    public MatMulCut(int m, int n, int k, int threads)
    {
        rows = m;
        strips = (m + Tile.Rows - 1) / Tile.Rows;
        Blocks = Math.Min(BlocksOfThread * threads, strips);

        int panels = (n + Tile.Columns - 1) / Tile.Columns;
        int most = (int)Math.Clamp(MostPanelBytes / (sizeof(float) * (long)Tile.Columns * k), 1, panels);
        int groups = (panels + most - 1) / most;
        PanelsOfGroup = (panels + groups - 1) / groups;
        Groups = (panels + PanelsOfGroup - 1) / PanelsOfGroup;
    }

    /// <summary>Gets the number of groups of panels.</summary>
    public int Groups { get; }

    /// <summary>Gets the number of panels in a group. The last group may have fewer.</summary>
    public int PanelsOfGroup { get; }

    /// <summary>Gets the number of blocks of rows.</summary>
    public int Blocks { get; }

    /// <summary>Computes the first row of a block. For the block number <see cref="Blocks"/>, it is the number of rows.</summary>
    public int Row(int block) => Math.Min((int)((long)strips * block / Blocks) * Tile.Rows, rows);
}
