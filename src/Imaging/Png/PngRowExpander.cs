namespace TinyZsad.Imaging;

/// <summary>Converts unfiltered rows of any colour type and bit depth to 8-bit RGB.</summary>
internal readonly ref struct PngRowExpander
{
    private readonly PngHeader header;
    private readonly DecodingContext context;

    /// <summary>
    /// The colour of every index that the bit depth has, as RGB: the palette and then black, which the standard requires for an index
    /// beyond it; for gray with less than 8 bits, the levels.
    /// </summary>
    private readonly ReadOnlySpan<byte> colours;

    /// <summary>A row of 16-bit samples after it is cut to 8 bits.</summary>
    private readonly Span<byte> levels;

    public PngRowExpander(PngHeader header, ReadOnlySpan<byte> palette, DecodingContext context)
    {
        this.header = header;
        this.context = context;
        this.levels = header.BitDepth == 16 ? new byte[header.RowBytes(header.Width) / 2] : [];
        this.colours = header.Colour == PngColour.Palette ? Complete(palette, header.BitDepth)
            : header.BitDepth < 8 ? GrayLevels(header.BitDepth) : [];
    }

    /// <summary>True if rows are 8-bit RGB already.</summary>
    public bool IsIdentity => this.header is { Colour: PngColour.Rgb, BitDepth: 8 };

    /// <summary>Converts a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="rgb">Receives three bytes per pixel.</param>
    public void Expand(ReadOnlySpan<byte> row, Span<byte> rgb)
    {
        if (this.header.BitDepth == 16)
        {
            int alphaEvery = this.header.Colour switch
            {
                PngColour.GrayAlpha => 2,
                PngColour.Rgba => 4,
                _ => 0,
            };
            Span<byte> narrow = this.levels[..(row.Length / 2)];
            this.context.NarrowBigEndianRow(row, narrow, alphaEvery);
            row = narrow;
        }

        switch (this.header.Colour)
        {
            case PngColour.Palette:
            case PngColour.Gray when this.header.BitDepth < 8:
                LookUp(row, rgb);
                break;
            case PngColour.Gray:
                PixelRows.ToRgb(row, rgb, channels: 1);
                break;
            case PngColour.GrayAlpha:
                PixelRows.ToRgb(row, rgb, channels: 2);
                break;
            case PngColour.Rgb:
                PixelRows.ToRgb(row, rgb, channels: 3);
                break;
            case PngColour.Rgba:
                PixelRows.ToRgb(row, rgb, channels: 4);
                break;
        }
    }

    private void LookUp(ReadOnlySpan<byte> row, Span<byte> rgb)
    {
        int depth = this.header.BitDepth, mask = (1 << depth) - 1, bit = 0;
        for (int to = 0; to < rgb.Length; to += 3, bit += depth)
        {
            int index = row[bit >> 3] >> (8 - depth - (bit & 7)) & mask;
            this.colours.Slice(3 * index, 3).CopyTo(rgb[to..]);
        }
    }

    private static byte[] Complete(ReadOnlySpan<byte> palette, int depth)
    {
        byte[] colours = new byte[3 << depth];
        palette[..Math.Min(palette.Length, colours.Length)].CopyTo(colours);
        return colours;
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
