using System.Buffers.Binary;
using System.Numerics;

namespace TinyZsad.Imaging;

/// <summary>
/// Decodes Windows and OS/2 bitmaps with 1, 2, 4, 8, 16, 24 or 32 bits per pixel, uncompressed, run-length encoded or with bit masks.
/// </summary>
internal static class BmpDecoder
{
    public const string Format = "BMP";

    public static IReadOnlyList<string> Extensions { get; } = [".bmp", ".dib"];

    public static bool Recognises(ReadOnlySpan<byte> data) => data.StartsWith("BM"u8);

    public static (int Width, int Height) ReadSize(ReadOnlySpan<byte> bmp, ImageLoadOptions options)
    {
        BmpHeader header = BmpHeader.Read(bmp, options.Limits);
        return (header.Width, header.Height);
    }

    public static void Decode(ReadOnlySpan<byte> bmp, DecodingContext context)
    {
        BmpHeader header = BmpHeader.Read(bmp, context.Limits);
        ReadOnlySpan<byte> data = bmp[header.DataOffset..];
        if (header.Compression is BmpCompression.Rle4 or BmpCompression.Rle8)
        {
            BmpRunLengths.Decode(data, header, ReadPalette(bmp, header), context);
            return;
        }

        long rowBytes = ((long)header.Width * header.BitsPerPixel + 7) / 8;
        long needed = (header.Height - 1) * header.Stride + rowBytes;
        if (data.Length < needed)
        {
            throw FormatError.Bmp(header.DataOffset, $"{header.Width} x {header.Height} pixels of {header.BitsPerPixel} bits take " +
                $"{needed} bytes from offset {header.DataOffset} on; there are {data.Length}.");
        }

        byte[] palette = header.BitsPerPixel <= 8 ? ReadPalette(bmp, header) : [];
        Span<byte> pixels = context.Allocate(header.Width, header.Height).Span;
        for (int y = 0; y < header.Height; y++)
        {
            context.ThrowIfCancelled();
            ReadOnlySpan<byte> row = data.Slice((int)(y * header.Stride), (int)rowBytes);
            Span<byte> rgb = Row(pixels, header, y);
            switch (header.BitsPerPixel)
            {
                case <= 8:
                    LookUp(row, rgb, header.BitsPerPixel, palette, y);
                    break;
                case 24 when header.Masks == BmpHeader.Bgr:
                    PixelRows.ToRgb(row, rgb, PixelFormat.Bgr24);
                    break;
                case 32 when header.Masks == BmpHeader.Bgr:
                    PixelRows.ToRgb(row, rgb, PixelFormat.Bgra32);
                    break;
                default:
                    Unmask(row, rgb, header);
                    break;
            }
        }
    }

    /// <summary>Returns the row of the picture that is row <paramref name="y"/> of the file.</summary>
    public static Span<byte> Row(Span<byte> pixels, BmpHeader header, int y)
    {
        int rowBytes = 3 * header.Width;
        return pixels.Slice((header.TopDown ? y : header.Height - 1 - y) * rowBytes, rowBytes);
    }

    /// <summary>Returns a colour of the palette.</summary>
    public static ReadOnlySpan<byte> Colour(ReadOnlySpan<byte> palette, int index, int y) => 3 * index < palette.Length
        ? palette.Slice(3 * index, 3)
        : throw FormatError.Bmp(null, $"a pixel of the file's row {y} has colour {index}; " +
            $"the palette has {palette.Length / 3} colours.");

    /// <summary>Returns the palette as RGB.</summary>
    private static byte[] ReadPalette(ReadOnlySpan<byte> bmp, BmpHeader header)
    {
        byte[] palette = new byte[3 * header.PaletteColours];
        ReadOnlySpan<byte> entries = bmp.Slice(header.PaletteOffset, header.PaletteColours * header.PaletteEntryBytes);
        PixelRows.ToRgb(entries, palette, header.PaletteEntryBytes == 3 ? PixelFormat.Bgr24 : PixelFormat.Bgra32);
        return palette;
    }

    private static void LookUp(ReadOnlySpan<byte> row, Span<byte> rgb, int bits, ReadOnlySpan<byte> palette, int y)
    {
        int mask = (1 << bits) - 1;
        for (int to = 0, bit = 0; to < rgb.Length; to += 3, bit += bits)
        {
            Colour(palette, row[bit >> 3] >> (8 - bits - (bit & 7)) & mask, y).CopyTo(rgb[to..]);
        }
    }

    private static void Unmask(ReadOnlySpan<byte> row, Span<byte> rgb, BmpHeader header)
    {
        (uint red, uint green, uint blue) = header.Masks;
        int pixelBytes = header.BitsPerPixel / 8;
        for (int from = 0, to = 0; to < rgb.Length; from += pixelBytes, to += 3)
        {
            uint pixel = pixelBytes switch
            {
                2 => BinaryPrimitives.ReadUInt16LittleEndian(row[from..]),
                3 => BinaryPrimitives.ReadUInt16LittleEndian(row[from..]) | (uint)row[from + 2] << 16,
                _ => BinaryPrimitives.ReadUInt32LittleEndian(row[from..]),
            };
            rgb[to] = Sample(pixel, red);
            rgb[to + 1] = Sample(pixel, green);
            rgb[to + 2] = Sample(pixel, blue);
        }
    }

    /// <summary>Returns the bits under a mask, scaled to 0..255 and rounded down like Pillow.</summary>
    private static byte Sample(uint pixel, uint mask)
    {
        int shift = BitOperations.TrailingZeroCount(mask);
        return mask == 0 ? (byte)0 : (byte)((ulong)((pixel & mask) >> shift) * 255 / (mask >> shift));
    }
}
