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

    private readonly JpegFrame frame;
    private readonly JpegComponent component;
    private readonly Way way;
    private readonly int stride;

    /// <summary>Rows of samples, a row of the output, and what lies between.</summary>
    private readonly NativeBuffer<byte> rows, pixels;
    private readonly NativeBuffer<ushort> scratch;

    /// <summary>Which row of the component is the first in memory.</summary>
    private int first;

    public JpegPlane(JpegFrame frame, JpegComponent component)
    {
        (this.frame, this.component) = (frame, component);
        way = Choose(frame, component);
        int vector = Vector<byte>.Count;
        stride = component.RowBlocks * JpegFrame.BlockSide + vector;
        rows = new NativeBuffer<byte>((Kept + JpegFrame.BlockSide) * component.V * stride);
        this.pixels = new NativeBuffer<byte>(frame.McusWide * frame.MaxH * JpegFrame.BlockSide + 2 * vector);
        this.scratch = new NativeBuffer<ushort>(stride + 2 * vector);
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
    public bool NeedsNeighbours => way is Way.Smooth1x2 or Way.Smooth2x2;

    /// <summary>Makes the samples of a row of MCUs.</summary>
    /// <param name="coefficients">Where its blocks are.</param>
    /// <param name="smoothing">What completes them, where the file tells too little.</param>
    /// <param name="row">Its number, the one after the last call's.</param>
    public void Transform(JpegCoefficients coefficients, BlockSmoothing? smoothing, int row)
    {
        int v = this.component.V, height = JpegFrame.BlockSide * v;
        long keptBytes = (long)Kept * v * stride;
        if (row > 0)
        {
            Buffer.MemoryCopy(rows.Start + (long)height * stride, rows.Start, keptBytes, keptBytes);
        }

        first = row * height - Kept * v;
        int end = Math.Min((row + 1) * v, this.component.BlocksHigh);
        for (int y = row * v; y < end; y++)
        {
            (nint blocks, nint nonzero) = smoothing is null
                ? ((nint)coefficients.Row(this.component, y), (nint)coefficients.NonzeroRow(this.component, y))
                : smoothing.Row(this.component, y);
            InverseDct.Transform((short*)blocks, (ulong*)nonzero, this.component.RowBlocks, this.component.Quantisation,
                At(JpegFrame.BlockSide * y), stride);
        }
    }

    /// <summary>
    /// A sample for each pixel of a row, readable some way beyond the last; good until the next call. The rows of MCUs that it
    /// depends on are transformed, and none beyond the one after these.
    /// </summary>
    /// <param name="y">The row of the picture.</param>
    public byte* PixelRow(int y)
    {
        int row = y * this.component.V / this.frame.MaxV, width = this.component.Width;

        // Of two rows of pixels, the first lies above the nearest samples, the second below. Beyond the edges nothing changes.
        bool above = y % 2 == 0;
        byte* near = At(row), far = At(Math.Clamp(above ? row - 1 : row + 1, 0, this.component.Height - 1));
        byte* pixels = this.pixels.Start;
        ushort* scratch = this.scratch.Start + Vector<ushort>.Count;
        switch (way)
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
                Upsampling.Repeat(near, width, this.frame.MaxH / this.component.H, pixels);
                break;
        }

        return pixels;
    }

    public void Dispose()
    {
        rows.Dispose();
        this.pixels.Dispose();
        this.scratch.Dispose();
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

    private byte* At(int row) => rows.Start + (long)(row - first) * stride;
}
