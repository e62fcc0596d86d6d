namespace TinyZsad.Kernels;

/// <summary>
/// How a product is cut into items. Panels of W are taken in groups of which the widened form fits the second-level cache;
/// within a group, x and y come by once, strip by strip. A group's items are blocks of rows, one after the other, so that a
/// thread that takes several widens the group once.
/// </summary>
internal readonly struct MatMulCut
{
    /// <summary>Bytes of widened panels: they, a strip of x and what streams by share a second-level cache of a megabyte.</summary>
    private const int MostPanelBytes = 5 << 17;

    /// <summary>Items that each thread should find, so that none waits long for the last.</summary>
    private const int ItemsOfThread = 6;

    /// <summary>Cuts the product of an [m, k] by a [k, n] matrix.</summary>
    public MatMulCut(int m, int n, int k)
    {
        Panels = (n + Tile.Columns - 1) / Tile.Columns;
        int most = (int)Math.Clamp(MostPanelBytes / (sizeof(float) * (long)Tile.Columns * k), 1, Panels);
        Groups = (Panels + most - 1) / most;
        PanelsOfGroup = (Panels + Groups - 1) / Groups;
        Groups = (Panels + PanelsOfGroup - 1) / PanelsOfGroup;

        int strips = (m + Tile.Rows - 1) / Tile.Rows;
        int blocks = Math.Min((ItemsOfThread * Environment.ProcessorCount + Groups - 1) / Groups, strips);
        RowsOfBlock = (strips + blocks - 1) / blocks * Tile.Rows;
        Blocks = (m + RowsOfBlock - 1) / RowsOfBlock;
    }

    /// <summary>Panels of W.</summary>
    public int Panels { get; }

    /// <summary>Groups of panels.</summary>
    public int Groups { get; }

    /// <summary>Panels of a group; the last may have fewer.</summary>
    public int PanelsOfGroup { get; }

    /// <summary>Blocks of rows of x.</summary>
    public int Blocks { get; }

    /// <summary>Rows of a block, whole strips; the last may have fewer.</summary>
    public int RowsOfBlock { get; }

    /// <summary>Independent items: the blocks of the first group, then those of the second, and so on.</summary>
    public int Items => Groups * Blocks;
}
