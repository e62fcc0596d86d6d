namespace TinyZsad.Imaging;

/// <summary>
/// Blocks of coefficients, of each component row by row: those of one row of MCUs, which are used before the next is read, or
/// those of the whole picture, where several scans tell of them. They start as zeros.
/// </summary>
internal sealed unsafe class JpegCoefficients : IDisposable
{
    /// <summary>Coefficients of a block, in natural order.</summary>
    public const int BlockSize = 64;

    private readonly JpegFrame frame;
    private readonly bool whole;
    private readonly NativeBuffer<short>?[] blocks;
    private readonly NativeBuffer<ulong>?[] nonzero;

    /// <param name="frame">The frame.</param>
    /// <param name="whole">True for those of the whole picture.</param>
    public JpegCoefficients(JpegFrame frame, bool whole)
    {
        (this.frame, this.whole) = (frame, whole);
        this.blocks = new NativeBuffer<short>?[frame.Components.Length];
        nonzero = new NativeBuffer<ulong>?[frame.Components.Length];
    }

    /// <summary>Makes room for the components of a scan, where there is none yet.</summary>
    public void Provide(JpegScan scan)
    {
        foreach (JpegScanComponent scanned in scan.Components)
        {
            JpegComponent component = scanned.Component;
            this.blocks[component.Index] ??= new NativeBuffer<short>(BlocksOf(component) * BlockSize);
            nonzero[component.Index] ??= new NativeBuffer<ulong>(BlocksOf(component));
        }
    }

    /// <summary>A component's row of blocks, counted in the picture.</summary>
    public short* Row(JpegComponent component, int row) =>
        this.blocks[component.Index]!.Start + (long)(row % RowsOf(component)) * component.RowBlocks * BlockSize;

    /// <summary>
    /// Of each block of such a row, which coefficients are not zero: a bit each in zigzag order, without the constant one.
    /// </summary>
    public ulong* NonzeroRow(JpegComponent component, int row) =>
        nonzero[component.Index]!.Start + (long)(row % RowsOf(component)) * component.RowBlocks;

    /// <summary>Makes all blocks zero again.</summary>
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
