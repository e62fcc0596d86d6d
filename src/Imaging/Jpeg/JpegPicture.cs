namespace TinyZsad.Imaging;

/// <summary>Blocks to pixels: transforms one row of MCUs after the other, and writes what rows of pixels that gives.</summary>
internal sealed unsafe class JpegPicture : IDisposable
{
    private readonly JpegFrame _frame;
    private readonly JpegColourSpace _space;
    private readonly JpegPlane[] _planes;
    private readonly bool _waits;
    private readonly byte[] _pixels;

    /// <summary>For a row of pixels, as <see cref="JpegColour"/> writes them.</summary>
    private readonly byte[] _row;

    /// <summary>Rows of pixels that are written.</summary>
    private int _done;

    public JpegPicture(JpegFrame frame, JpegColourSpace space)
    {
        (_frame, _space) = (frame, space);
        _planes = [.. frame.Components.Select(c => new JpegPlane(frame, c))];
        _waits = _planes.Any(p => p.NeedsNeighbours);
        _pixels = Image.AllocatePixels(frame.Width, frame.Height);
        int step = JpegColour.Step;
        _row = new byte[3 * ((frame.Width + step - 1) / step * step) + JpegColour.Beyond];
    }

    /// <summary>Adds a row of MCUs.</summary>
    /// <param name="coefficients">Where its blocks are.</param>
    /// <param name="smoothing">What completes them, where the file tells too little.</param>
    /// <param name="row">Its number, the one after the last call's.</param>
    public void Add(JpegCoefficients coefficients, BlockSmoothing? smoothing, int row)
    {
        foreach (JpegPlane plane in _planes)
        {
            plane.Transform(coefficients, smoothing, row);
        }

        // The lowest samples of a row of MCUs wait for those below them.
        int end = row == _frame.McusHigh - 1 ? _frame.Height
            : ((row + 1) * JpegFrame.BlockSide - (_waits ? 1 : 0)) * _frame.MaxV;
        byte** rows = stackalloc byte*[4];
        fixed (byte* pixels = _pixels, spare = _row)
        {
            for (; _done < end; _done++)
            {
                for (int i = 0; i < _planes.Length; i++)
                {
                    rows[i] = _planes[i].PixelRow(_done);
                }

                // A row is written in whole vectors. What is too much the rows below overwrite, if there are such.
                long at = 3L * _frame.Width * _done;
                bool fits = at + _row.Length <= _pixels.Length;
                JpegColour.ToRgb(_space, rows, _frame.Width, fits ? pixels + at : spare);
                if (!fits)
                {
                    new ReadOnlySpan<byte>(spare, 3 * _frame.Width).CopyTo(_pixels.AsSpan((int)at));
                }
            }
        }
    }

    /// <summary>The picture, once all rows are added.</summary>
    public Image ToImage() => new(_frame.Width, _frame.Height, _pixels);

    public void Dispose()
    {
        foreach (JpegPlane plane in _planes)
        {
            plane.Dispose();
        }
    }
}
