namespace TinyZsad.Imaging;

/// <summary>Draws rectangles and text on an RGB picture, clipped to its borders.</summary>
internal readonly ref struct Canvas(Span<byte> pixels, int width, int height)
{
    private readonly Span<byte> pixels = pixels;

    public int Width { get; } = width;

    public int Height { get; } = height;

    /// <summary>Returns some pixels of a row.</summary>
    public Span<byte> Row(int y, int x, int count) => this.pixels.Slice(3 * (y * Width + x), 3 * count);

    public void Fill(int x, int y, int width, int height, (byte R, byte G, byte B) colour)
    {
        int left = Math.Max(x, 0), right = Math.Min(x + width, Width);
        for (int row = Math.Max(y, 0); row < Math.Min(y + height, Height) && left < right; row++)
        {
            Span<byte> run = Row(row, left, right - left);
            for (int i = 0; i < run.Length; i += 3)
            {
                (run[i], run[i + 1], run[i + 2]) = colour;
            }
        }
    }

    /// <summary>Draws a line of text.</summary>
    /// <param name="text">The text. Characters that <see cref="BitmapFont"/> lacks are blanks.</param>
    /// <param name="x">The left edge.</param>
    /// <param name="y">The top edge.</param>
    /// <param name="scale">The pixels per dot of the font.</param>
    /// <param name="colour">The colour.</param>
    public void Write(string text, int x, int y, int scale, (byte R, byte G, byte B) colour)
    {
        foreach (char c in text)
        {
            for (int row = 0; row < BitmapFont.Height; row++)
            {
                for (int column = 0; column < BitmapFont.Width; column++)
                {
                    if (BitmapFont.HasDot(c, column, row))
                    {
                        Fill(x + column * scale, y + row * scale, scale, scale, colour);
                    }
                }
            }

            x += BitmapFont.Advance * scale;
        }
    }
}
