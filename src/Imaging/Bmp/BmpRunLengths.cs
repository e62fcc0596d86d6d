namespace TinyZsad.Imaging;

/// <summary>
/// BMP's run-length codes. (n, v): n pixels of the colour v, or of v's two halves by turns. (0, 0): next row. (0, 1): end.
/// (0, 2, dx, dy): go right and on. (0, n), n at least 3: n pixels as they are, padded to an even number of bytes.
/// Pixels that no code reaches have colour 0. What a run has beyond the end of its row is dropped, as Pillow does.
/// </summary>
internal static class BmpRunLengths
{
    public static Image Decode(ReadOnlySpan<byte> data, BmpHeader header, ReadOnlySpan<byte> palette)
    {
        // One byte pair makes at most 255 pixels, but (0, 1) may end the picture anywhere: so the limits alone bound the size.
        byte[] pixels = Image.AllocatePixels(header.Width, header.Height);
        for (int i = 0; i < pixels.Length; i += 3)
        {
            BmpDecoder.Colour(palette, 0, 0).CopyTo(pixels.AsSpan(i));
        }

        bool halves = header.Compression == BmpCompression.Rle4;
        int x = 0, y = 0, at = 0;
        while (y < header.Height && (y < header.Height - 1 || x < header.Width))
        {
            ReadOnlySpan<byte> code = Take(data, header, ref at, 2, y);
            switch (code[0], code[1])
            {
                case (0, 0):
                    (x, y) = (0, y + 1);
                    break;
                case (0, 1):
                    return new Image(header.Width, header.Height, pixels);
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

        return new Image(header.Width, header.Height, pixels);
    }

    /// <summary>Puts pixels into a row, going round in the given bytes.</summary>
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
            throw new ImageFormatException($"BMP: the run-length codes end at offset {header.DataOffset + data.Length}, " +
                $"in row {y} (as the file counts) of {header.Height}, without a code for the end of the picture.");
        }

        at += count;
        return data.Slice(at - count, count);
    }
}
