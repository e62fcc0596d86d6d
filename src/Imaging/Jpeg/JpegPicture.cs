namespace TinyZsad.Imaging;

/// <summary>Converts rows of MCUs to rows of pixels.</summary>
internal sealed unsafe class JpegPicture : IDisposable
{
    private readonly JpegFrame frame;
    private readonly JpegColourSpace space;
    private readonly JpegPlane[] planes;
    private readonly bool waits;
    private readonly Memory<byte> pixels;

    /// <summary>Memory for a row of pixels with the bytes that <see cref="JpegColour"/> writes after it.</summary>
    private readonly byte[] row;

    /// <summary>The rows of pixels that are complete.</summary>
    private int done;

    /// <param name="frame">The frame.</param>
    /// <param name="space">The meaning of the components.</param>
    /// <param name="pixels">Receives the RGB pixels.</param>
    public JpegPicture(JpegFrame frame, JpegColourSpace space, Memory<byte> pixels)
    {
        (this.frame, this.space, this.pixels) = (frame, space, pixels);
        planes = [.. frame.Components.Select(c => new JpegPlane(frame, c))];
        waits = planes.Any(p => p.NeedsNeighbours);
        int step = JpegColour.Step;
        this.row = new byte[3 * ((frame.Width + step - 1) / step * step) + JpegColour.Beyond];
    }

    /// <summary>Adds a row of MCUs.</summary>
    /// <param name="coefficients">The blocks.</param>
    /// <param name="smoothing">Completes the blocks of an incomplete file; may be null.</param>
    /// <param name="row">The row of MCUs. The rows must be added in order.</param>
    public void Add(JpegCoefficients coefficients, BlockSmoothing? smoothing, int row)
    {
        foreach (JpegPlane plane in planes)
        {
            plane.Transform(coefficients, smoothing, row);
        }

        // The lowest pixels of a row of MCUs may need the samples below them.
        int end = row == this.frame.McusHigh - 1 ? this.frame.Height
            : ((row + 1) * JpegFrame.BlockSide - (waits ? 1 : 0)) * this.frame.MaxV;
        byte** rows = stackalloc byte*[4];
        fixed (byte* pixels = this.pixels.Span, spare = this.row)
        {
            for (; done < end; done++)
            {
                for (int i = 0; i < planes.Length; i++)
                {
                    rows[i] = planes[i].PixelRow(done);
                }

                // A row is written in whole vectors. The next row overwrites the excess.
                long at = 3L * this.frame.Width * done;
                bool fits = at + this.row.Length <= this.pixels.Length;
                JpegColour.ToRgb(this.space, rows, this.frame.Width, fits ? pixels + at : spare);
                if (!fits)
                {
                    new ReadOnlySpan<byte>(spare, 3 * this.frame.Width).CopyTo(this.pixels.Span[(int)at..]);
                }
            }
        }
    }

    public void Dispose()
    {
        foreach (JpegPlane plane in planes)
        {
            plane.Dispose();
        }
    }
}
