namespace TinyZsad.Imaging;

/// <summary>Converts unfiltered rows of any colour type and bit depth to 8-bit RGB.</summary>
internal readonly ref struct PngRowExpander
{
    private readonly PngHeader header;

    /// <summary>The palette as RGB; for gray with less than 8 bits, the levels as RGB.</summary>
    private readonly ReadOnlySpan<byte> colours;

    public PngRowExpander(PngHeader header, ReadOnlySpan<byte> palette)
    {
        this.header = header;
        this.colours = header.Colour == PngColour.Palette ? palette : header.BitDepth < 8 ? GrayLevels(header.BitDepth) : [];
    }

    /// <summary>True if rows are 8-bit RGB already.</summary>
    public bool IsIdentity => this.header is { Colour: PngColour.Rgb, BitDepth: 8 };

    /// <summary>Converts a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="rgb">Receives three bytes per pixel.</param>
    /// <param name="y">The row's number in its pass, for messages.</param>
    public void Expand(ReadOnlySpan<byte> row, Span<byte> rgb, int y)
    {
        switch (this.header.Colour, this.header.BitDepth)
        {
            case (_, < 8) or (PngColour.Palette, 8):
                LookUp(row, rgb, y);
                break;
            case (PngColour.Gray, 8):
                PixelRows.ToRgb(row, rgb, PixelFormat.Gray8);
                break;
            case (PngColour.Rgb, 8):
                row.CopyTo(rgb);
                break;
            case (PngColour.Rgba, 8):
                PixelRows.ToRgb(row, rgb, PixelFormat.Rgba32);
                break;
            case (PngColour.Gray, 16):
                Pick(row, rgb, 2, 0, 0);
                break;
            case (PngColour.GrayAlpha, 8):
                Pick(row, rgb, 2, 0, 0);
                break;
            case (PngColour.GrayAlpha, 16):
                Pick(row, rgb, 4, 0, 0);
                break;
            case (PngColour.Rgb, 16):
                Pick(row, rgb, 6, 2, 4);
                break;
            case (PngColour.Rgba, 16):
                Pick(row, rgb, 8, 2, 4);
                break;
        }
    }

    /// <summary>
    /// Copies byte 0 of each pixel as red, and two other bytes as green and blue. The first byte of a 16-bit sample is the high one.
    /// </summary>
    private static void Pick(ReadOnlySpan<byte> row, Span<byte> rgb, int bytesPerPixel, int green, int blue)
    {
        for (int from = 0, to = 0; to < rgb.Length; from += bytesPerPixel, to += 3)
        {
            rgb[to] = row[from];
            rgb[to + 1] = row[from + green];
            rgb[to + 2] = row[from + blue];
        }
    }

    private void LookUp(ReadOnlySpan<byte> row, Span<byte> rgb, int y)
    {
        int depth = this.header.BitDepth, mask = (1 << depth) - 1, colours = this.colours.Length / 3, bit = 0;
        for (int to = 0; to < rgb.Length; to += 3, bit += depth)
        {
            int index = row[bit >> 3] >> (8 - depth - (bit & 7)) & mask;
            if (index >= colours)
            {
                throw FormatError.Png(null, $"pixel {to / 3} of row {y} (of its pass) has colour {index}; " +
                    $"the palette has {colours} colours.");
            }

            this.colours.Slice(3 * index, 3).CopyTo(rgb[to..]);
        }
    }

    private static byte[] GrayLevels(int depth)
    {
        int top = (1 << depth) - 1;
        byte[] levels = new byte[3 * (top + 1)];
        for (int i = 0; i < levels.Length; i++)
        {
            levels[i] = (byte)(i / 3 * 255 / top);
        }

        return levels;
    }
}
