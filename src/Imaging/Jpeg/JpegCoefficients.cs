namespace TinyZsad.Imaging;

/// <summary>
/// Holds the blocks of coefficients of each component: those of one row of MCUs or, for several scans, of the whole picture. They are
/// zero at first.
/// </summary>
internal sealed unsafe class JpegCoefficients : IDisposable
{
    /// <summary>The coefficients of a block, in natural order.</summary>
    public const int BlockSize = 64;

    private readonly JpegFrame frame;
    private readonly bool whole;
    private readonly NativeBuffer<short>?[] blocks;
    private readonly NativeBuffer<ulong>?[] nonzero;

    /// <param name="frame">The frame.</param>
    /// <param name="whole">True for the whole picture, false for one row of MCUs.</param>
    public JpegCoefficients(JpegFrame frame, bool whole)
    {
        (this.frame, this.whole) = (frame, whole);
        this.blocks = new NativeBuffer<short>?[frame.Components.Length];
        nonzero = new NativeBuffer<ulong>?[frame.Components.Length];
    }

    /// <summary>Allocates memory for the components of a scan that have none yet.</summary>
    public void Provide(JpegScan scan)
    {
        foreach (JpegScanComponent scanned in scan.Components)
        {
            JpegComponent component = scanned.Component;
            this.blocks[component.Index] ??= new NativeBuffer<short>(BlocksOf(component) * BlockSize);
            nonzero[component.Index] ??= new NativeBuffer<ulong>(BlocksOf(component));
        }
    }

    /// <summary>Returns a component's row of blocks, counted in the picture.</summary>
    public short* Row(JpegComponent component, int row) =>
        this.blocks[component.Index]!.Start + (long)(row % RowsOf(component)) * component.RowBlocks * BlockSize;

    /// <summary>Returns, for each block of a row, a bit for each nonzero AC coefficient in zigzag order.</summary>
    public ulong* NonzeroRow(JpegComponent component, int row) =>
        nonzero[component.Index]!.Start + (long)(row % RowsOf(component)) * component.RowBlocks;

    /// <summary>Clears all blocks.</summary>
    public void Clear()
    {
        foreach (JpegComponent component in this.frame.Components)
        {
            int blocks = (int)BlocksOf(component);
            new Span<short>(this.blocks[component.Index]!.Start, blocks * BlockSize).Clear();
            new Span<ulong>(nonzero[component.Index]!.Start, blocks).Clear();
        }
    }

    public void Dispose()
    {
        foreach (IDisposable? buffer in (IEnumerable<IDisposable?>)[.. this.blocks, .. nonzero])
        {
            buffer?.Dispose();
        }
    }

    private int RowsOf(JpegComponent component) => this.whole ? this.frame.McusHigh * component.V : component.V;

    private long BlocksOf(JpegComponent component) => (long)RowsOf(component) * component.RowBlocks;
}
