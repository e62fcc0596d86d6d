using System.Numerics;

namespace TinyZsad.Imaging;

/// <summary>
/// The samples of one component around the row of MCUs that was read last, and their way up to a sample a pixel: as libjpeg does
/// it, by triangle filters where it is to twice as many ("fancy upsampling"), else by repeating them.
/// </summary>
internal sealed unsafe class JpegPlane : IDisposable
{
    /// <summary>
    /// Rows that are kept of the rows of MCUs before, in units of <see cref="JpegComponent.V"/>: those whose pixels wait for the
    /// rows below, and those above them.
    /// </summary>
    private const int Kept = 2;

    private readonly JpegFrame _frame;
    private readonly JpegComponent _component;
    private readonly Way _way;
    private readonly int _stride;

    /// <summary>Rows of samples, a row of the output, and what lies between.</summary>
    private readonly NativeBuffer<byte> _rows, _pixels;
    private readonly NativeBuffer<ushort> _scratch;

    /// <summary>Which row of the component is the first in memory.</summary>
    private int _first;

    public JpegPlane(JpegFrame frame, JpegComponent component)
    {
        (_frame, _component) = (frame, component);
        _way = Choose(frame, component);
        int vector = Vector<byte>.Count;
        _stride = component.RowBlocks * JpegFrame.BlockSide + vector;
        _rows = new NativeBuffer<byte>((Kept + JpegFrame.BlockSide) * component.V * _stride);
        _pixels = new NativeBuffer<byte>(frame.McusWide * frame.MaxH * JpegFrame.BlockSide + 2 * vector);
        _scratch = new NativeBuffer<ushort>(_stride + 2 * vector);
    }

    private enum Way
    {
        Same,
        Repeated,
        Smooth2x1,
        Smooth1x2,
        Smooth2x2,
    }

    /// <summary>True where pixels depend on the rows of samples above and below.</summary>
    public bool NeedsNeighbours => _way is Way.Smooth1x2 or Way.Smooth2x2;

    /// <summary>Makes the samples of a row of MCUs.</summary>
    /// <param name="coefficients">Where its blocks are.</param>
    /// <param name="smoothing">What completes them, where the file tells too little.</param>
    /// <param name="row">Its number, the one after the last call's.</param>
    public void Transform(JpegCoefficients coefficients, BlockSmoothing? smoothing, int row)
    {
        int v = _component.V, height = JpegFrame.BlockSide * v;
        long keptBytes = (long)Kept * v * _stride;
        if (row > 0)
        {
            Buffer.MemoryCopy(_rows.Start + (long)height * _stride, _rows.Start, keptBytes, keptBytes);
        }

        _first = row * height - Kept * v;
        int end = Math.Min((row + 1) * v, _component.BlocksHigh);
        for (int y = row * v; y < end; y++)
        {
            (nint blocks, nint nonzero) = smoothing is null
                ? ((nint)coefficients.Row(_component, y), (nint)coefficients.NonzeroRow(_component, y))
                : smoothing.Row(_component, y);
            InverseDct.Transform((short*)blocks, (ulong*)nonzero, _component.RowBlocks, _component.Quantisation,
                At(JpegFrame.BlockSide * y), _stride);
        }
    }

    /// <summary>
    /// A sample for each pixel of a row, readable some way beyond the last; good until the next call. The rows of MCUs that it
    /// depends on are transformed, and none beyond the one after these.
    /// </summary>
    /// <param name="y">The row of the picture.</param>
    public byte* PixelRow(int y)
    {
        int row = y * _component.V / _frame.MaxV, width = _component.Width;

        // Of two rows of pixels, the first lies above the nearest samples, the second below. Beyond the edges nothing changes.
        bool above = y % 2 == 0;
        byte* near = At(row), far = At(Math.Clamp(above ? row - 1 : row + 1, 0, _component.Height - 1));
        byte* pixels = _pixels.Start;
        ushort* scratch = _scratch.Start + Vector<ushort>.Count;
        switch (_way)
        {
            case Way.Same:
                return near;
            case Way.Smooth1x2:
                Upsampling.Between(near, far, width, above ? 1 : 2, pixels);
                break;
            case Way.Smooth2x1:
                Upsampling.Double(near, width, scratch, pixels);
                break;
            case Way.Smooth2x2:
                Upsampling.DoubleBetween(near, far, width, scratch, pixels);
                break;
            default:
                Upsampling.Repeat(near, width, _frame.MaxH / _component.H, pixels);
                break;
        }

        return pixels;
    }

    public void Dispose()
    {
        _rows.Dispose();
        _pixels.Dispose();
        _scratch.Dispose();
    }

    private static Way Choose(JpegFrame frame, JpegComponent component)
    {
        // Rows of one or two samples have no inner ones, and are repeated.
        bool wide = component.Width > 2;
        return (frame.MaxH / component.H, frame.MaxV / component.V) switch
        {
            (1, 1) => Way.Same,
            (1, 2) => Way.Smooth1x2,
            (2, 1) when wide => Way.Smooth2x1,
            (2, 2) when wide => Way.Smooth2x2,
            _ => Way.Repeated,
        };
    }

    private byte* At(int row) => _rows.Start + (long)(row - _first) * _stride;
}
