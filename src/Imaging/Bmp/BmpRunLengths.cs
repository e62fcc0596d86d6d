namespace TinyZsad.Imaging;

/// <summary>Decodes RLE4 and RLE8 bitmaps.</summary>
/// <remarks>
/// The codes are: (n, v), n pixels of colour v or, in RLE4, of the two halves of v alternately; (0, 0), next row; (0, 1), end;
/// (0, 2, dx, dy), move; (0, n), n literal pixels if n is at least 3, padded to an even number of bytes. Pixels that no code writes have
/// colour 0. Pixels beyond the end of a row are dropped, like in Pillow.
/// </remarks>
internal static class BmpRunLengths
{
    public static void Decode(
        ReadOnlySpan<byte> data, BmpHeader header, ReadOnlySpan<byte> palette, DecodingContext context)
    {
        // The codes may end anywhere, so a short file can claim any size. Only the limits bound the memory.
        ReadOnlySpan<byte> background = BmpDecoder.Colour(palette, 0, 0);
        Span<byte> pixels = context.Allocate(header.Width, header.Height).Span;
        for (int row = 0; row < header.Height; row++)
        {
            context.ThrowIfCancelled();
            Span<byte> rgb = BmpDecoder.Row(pixels, header, row);
            for (int i = 0; i < rgb.Length; i += 3)
            {
                background.CopyTo(rgb[i..]);
            }
        }

        bool halves = header.Compression == BmpCompression.Rle4;
        int x = 0, y = 0, at = 0;
        while (y < header.Height && (y < header.Height - 1 || x < header.Width))
        {
            context.ThrowIfCancelled();
            ReadOnlySpan<byte> code = Take(data, header, ref at, 2, y);
            switch (code[0], code[1])
            {
                case (0, 0):
                    (x, y) = (0, y + 1);
                    break;
                case (0, 1):
                    return;
                case (0, 2):
                    ReadOnlySpan<byte> move = Take(data, header, ref at, 2, y);
                    (x, y) = (Math.Min(x + move[0], header.Width), y + move[1]);
                    break;
                case (0, byte count):
                    int bytes = halves ? (count + 1) / 2 : count;
                    ReadOnlySpan<byte> literal = Take(data, header, ref at, bytes + (bytes & 1), y);
                    Put(BmpDecoder.Row(pixels, header, y), ref x, count, literal, halves, palette, y);
                    break;
                case (byte count, _):
                    Put(BmpDecoder.Row(pixels, header, y), ref x, count, code.Slice(1, 1), halves, palette, y);
                    break;
            }
        }
    }

    /// <summary>Writes pixels into a row. The bytes are repeated as often as needed.</summary>
    private static void Put(
        Span<byte> row, ref int x, int count, ReadOnlySpan<byte> bytes, bool halves, ReadOnlySpan<byte> palette, int y)
    {
        for (int i = 0; i < count && 3 * x < row.Length; i++, x++)
        {
            byte value = bytes[(halves ? i / 2 : i) % bytes.Length];
            int index = !halves ? value : (i & 1) == 0 ? value >> 4 : value & 15;
            BmpDecoder.Colour(palette, index, y).CopyTo(row[(3 * x)..]);
        }
    }

    private static ReadOnlySpan<byte> Take(ReadOnlySpan<byte> data, BmpHeader header, ref int at, int count, int y)
    {
        if (data.Length - at < count)
        {
            int end = header.DataOffset + data.Length;
            throw FormatError.Bmp(end, $"the run-length codes end at offset {end}, " +
                $"in row {y} (as the file counts) of {header.Height}, without a code for the end of the picture.");
        }

        at += count;
        return data.Slice(at - count, count);
    }
}
