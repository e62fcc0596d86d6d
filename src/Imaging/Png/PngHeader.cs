using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Specifies a colour type. The values are those in the file.</summary>
internal enum PngColour : byte
{
    Gray = 0,
    Rgb = 2,
    Palette = 3,
    GrayAlpha = 4,
    Rgba = 6,
}

/// <summary>Represents the IHDR chunk. The values are valid and the size is within the limits.</summary>
internal readonly record struct PngHeader(int Width, int Height, byte BitDepth, PngColour Colour, bool Interlaced)
{
    public const int Length = 13;

    /// <summary>The offset of the chunk, which is the first one.</summary>
    private const int Offset = 8;

    public static PngHeader Read(ReadOnlySpan<byte> ihdr, ImageLimits limits)
    {
        uint width = BinaryPrimitives.ReadUInt32BigEndian(ihdr), height = BinaryPrimitives.ReadUInt32BigEndian(ihdr[4..]);
        limits.CheckSize(PngDecoder.Format, Offset, width, height);

        byte depth = ihdr[8];
        PngColour colour = (PngColour)ihdr[9];
        bool known = colour switch
        {
            PngColour.Gray => depth is 1 or 2 or 4 or 8 or 16,
            PngColour.Palette => depth is 1 or 2 or 4 or 8,
            PngColour.Rgb or PngColour.GrayAlpha or PngColour.Rgba => depth is 8 or 16,
            _ => false,
        };
        if (!known)
        {
            throw FormatError.Png(Offset, $"IHDR at offset 8 has colour type {ihdr[9]} with bit depth {depth}; " +
                "allowed are type 0 with 1, 2, 4, 8, 16; type 3 with 1, 2, 4, 8; types 2, 4, 6 with 8, 16.");
        }

        if (ihdr[10] != 0 || ihdr[11] != 0 || ihdr[12] > 1)
        {
            throw FormatError.Png(Offset, $"IHDR at offset 8 has compression {ihdr[10]}, filter method {ihdr[11]}, " +
                $"interlace {ihdr[12]}; allowed are 0, 0 and 0 or 1.");
        }

        PngHeader header = new PngHeader((int)width, (int)height, depth, colour, ihdr[12] == 1);
        if (header.RowBytes(header.Width) > Array.MaxLength)
        {
            throw FormatError.Png(Offset, $"a row of {width} pixels takes {header.RowBytes(header.Width)} bytes; " +
                $"one array holds {Array.MaxLength}.");
        }

        return header;
    }

    /// <summary>The bits per pixel: 1 to 64.</summary>
    public int BitsPerPixel => BitDepth * Colour switch
    {
        PngColour.Rgb => 3,
        PngColour.GrayAlpha => 2,
        PngColour.Rgba => 4,
        _ => 1,
    };

    /// <summary>The distance between a byte and the byte to its left for filters: a whole pixel, at least 1 byte.</summary>
    public int FilterDistance => Math.Max(BitsPerPixel / 8, 1);

    /// <summary>The bytes of a row, without its filter byte.</summary>
    public long RowBytes(int pixels) => ((long)pixels * BitsPerPixel + 7) / 8;

    /// <summary>The size of the inflated data: the rows of all passes with their filter bytes.</summary>
    public long InflatedBytes
    {
        get
        {
            long sum = 0;
            foreach (PngPass pass in PngPass.Of(this))
            {
                sum += pass.Height * (1 + RowBytes(pass.Width));
            }

            return sum;
        }
    }
}

/// <summary>
/// Represents an interlace pass of Adam7, or the whole picture as the only pass. Pixel (x, y) of the pass is pixel
/// (X0 + x * StepX, Y0 + y * StepY) of the picture.
/// </summary>
internal readonly record struct PngPass(int X0, int Y0, int StepX, int StepY, int Width, int Height)
{
    /// <summary>Returns the passes of a picture in file order, without empty ones.</summary>
    public static PngPass[] Of(PngHeader header)
    {
        if (!header.Interlaced)
        {
            return [new PngPass(0, 0, 1, 1, header.Width, header.Height)];
        }

        ReadOnlySpan<(int X0, int Y0, int StepX, int StepY)> adam7 =
            [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        List<PngPass> passes = new List<PngPass>(adam7.Length);
        foreach ((int x0, int y0, int stepX, int stepY) in adam7)
        {
            int width = Count(header.Width, x0, stepX), height = Count(header.Height, y0, stepY);
            if (width > 0 && height > 0)
            {
                passes.Add(new PngPass(x0, y0, stepX, stepY, width, height));
            }
        }

        return [.. passes];
    }

    private static int Count(int size, int start, int step) => size <= start ? 0 : (size - start - 1) / step + 1;
}
