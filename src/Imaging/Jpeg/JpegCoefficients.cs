namespace TinyZsad.Imaging;

/// <summary>
/// Blocks of coefficients, of each component row by row: those of one row of MCUs, which are used before the next is read, or
/// those of the whole picture, where several scans tell of them. They start as zeros.
/// </summary>
internal sealed unsafe class JpegCoefficients : IDisposable
{
    /// <summary>Coefficients of a block, in natural order.</summary>
    public const int BlockSize = 64;

    private readonly JpegFrame _frame;
    private readonly bool _whole;
    private readonly NativeBuffer<short>?[] _blocks;
    private readonly NativeBuffer<ulong>?[] _nonzero;

    /// <param name="frame">The frame.</param>
    /// <param name="whole">True for those of the whole picture.</param>
    public JpegCoefficients(JpegFrame frame, bool whole)
    {
        (_frame, _whole) = (frame, whole);
        _blocks = new NativeBuffer<short>?[frame.Components.Length];
        _nonzero = new NativeBuffer<ulong>?[frame.Components.Length];
    }

    /// <summary>Makes room for the components of a scan, where there is none yet.</summary>
    public void Provide(JpegScan scan)
    {
        foreach (JpegScanComponent scanned in scan.Components)
        {
            JpegComponent component = scanned.Component;
            _blocks[component.Index] ??= new NativeBuffer<short>(BlocksOf(component) * BlockSize);
            _nonzero[component.Index] ??= new NativeBuffer<ulong>(BlocksOf(component));
        }
    }

    /// <summary>A component's row of blocks, counted in the picture.</summary>
    public short* Row(JpegComponent component, int row) =>
        _blocks[component.Index]!.Start + (long)(row % RowsOf(component)) * component.RowBlocks * BlockSize;

    /// <summary>
    /// Of each block of such a row, which coefficients are not zero: a bit each in zigzag order, without the constant one.
    /// </summary>
    public ulong* NonzeroRow(JpegComponent component, int row) =>
        _nonzero[component.Index]!.Start + (long)(row % RowsOf(component)) * component.RowBlocks;

    /// <summary>Makes all blocks zero again.</summary>
    public void Clear()
    {
        foreach (JpegComponent component in _frame.Components)
        {
            var blocks = (int)BlocksOf(component);
            new Span<short>(_blocks[component.Index]!.Start, blocks * BlockSize).Clear();
            new Span<ulong>(_nonzero[component.Index]!.Start, blocks).Clear();
        }
    }

    public void Dispose()
    {
        foreach (IDisposable? buffer in (IEnumerable<IDisposable?>)[.. _blocks, .. _nonzero])
        {
            buffer?.Dispose();
        }
    }

    private int RowsOf(JpegComponent component) => _whole ? _frame.McusHigh * component.V : component.V;

    private long BlocksOf(JpegComponent component) => (long)RowsOf(component) * component.RowBlocks;
}
