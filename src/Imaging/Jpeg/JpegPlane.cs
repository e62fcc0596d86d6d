using System.Numerics;

namespace TinyZsad.Imaging;

/// <summary>
/// Holds the samples of one component around the last row of MCUs, and upsamples them like libjpeg: by triangle filters for a factor of
/// two ("fancy upsampling"), by repetition for others.
/// </summary>
internal sealed unsafe class JpegPlane : IDisposable
{
    /// <summary>
    /// The rows that are kept from the row of MCUs before, in units of <see cref="JpegComponent.V"/>: those whose pixels need the rows
    /// below, and those above them.
    /// </summary>
    private const int Kept = 2;

    private readonly JpegFrame frame;
    private readonly JpegComponent component;
    private readonly Way way;
    private readonly int stride;

    /// <summary>The rows of samples, a row of the output, and temporary memory.</summary>
    private readonly NativeBuffer<byte> rows, pixels;
    private readonly NativeBuffer<ushort> scratch;

    /// <summary>The row of the component that is the first one in memory.</summary>
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

    /// <summary>True if pixels depend on the rows of samples above and below.</summary>
    public bool NeedsNeighbours => way is Way.Smooth1x2 or Way.Smooth2x2;

    /// <summary>Computes the samples of a row of MCUs.</summary>
    /// <param name="coefficients">The blocks.</param>
    /// <param name="smoothing">Completes the blocks of an incomplete file; may be null.</param>
    /// <param name="row">The row of MCUs. The rows must be transformed in order.</param>
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
    /// Returns a sample for each pixel of a row, valid until the next call and readable a vector beyond the last one. The rows of MCUs on
    /// which it depends must be the last ones that were transformed.
    /// </summary>
    /// <param name="y">The row of the picture.</param>
    public byte* PixelRow(int y)
    {
        int row = y * this.component.V / this.frame.MaxV, width = this.component.Width;

        // An even row of pixels lies above the nearest samples, an odd one below. The edges are repeated.
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
        // libjpeg repeats samples in rows of one or two.
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
