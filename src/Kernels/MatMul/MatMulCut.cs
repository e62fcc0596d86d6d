namespace TinyZsad.Kernels;

/// <summary>
/// How a product is cut into items. Panels of W are taken in groups of which the widened form fits the second-level cache;
/// within a group, x and y come by once, strip by strip. Rows are cut into blocks of strips, as equal as can be. A thread had
/// better keep to some of the blocks, whose rows it finds in its own cache from layer to layer, and take a group's after each
/// other, so that it widens the group once.
/// </summary>
internal readonly struct MatMulCut
{
    /// <summary>Bytes of widened panels: they, a strip of x and what streams by share a second-level cache of a megabyte.</summary>
    private const int MostPanelBytes = 5 << 17;

    /// <summary>Blocks that each thread should find, so that none waits long for the last.</summary>
    public const int BlocksOfThread = 6;

    private readonly int rows, strips;

    /// <summary>Cuts the product of an [m, k] by a [k, n] matrix for a number of threads, at least 1.</summary>
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

    /// <summary>Groups of panels.</summary>
    public int Groups { get; }

    /// <summary>Panels of a group; the last may have fewer.</summary>
    public int PanelsOfGroup { get; }

    /// <summary>Blocks of rows.</summary>
    public int Blocks { get; }

    /// <summary>Where a block begins; that of the number <see cref="Blocks"/> where the rows end.</summary>
    public int Row(int block) => Math.Min((int)((long)strips * block / Blocks) * Tile.Rows, rows);
}
