using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>
/// PNG, third edition: every colour type and depth, interlaced or not. Ancillary chunks but eXIf are skipped, transparency among them,
/// so the pixels are those in the file. Bytes that inflate beyond the last row are left alone, as libpng does.
/// </summary>
internal static unsafe class PngDecoder
{
    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    public static bool Recognises(ReadOnlySpan<byte> data) => data.StartsWith(Signature[..4]);

    /// <summary>Decodes a whole file.</summary>
    /// <param name="png">The file.</param>
    /// <param name="limits">How large it may be.</param>
    /// <param name="applyExifOrientation">True to turn it as its Exif data say.</param>
    public static Image Decode(ReadOnlySpan<byte> png, ImageLimits limits, bool applyExifOrientation)
    {
        if (!png.StartsWith(Signature))
        {
            throw new ImageFormatException("PNG: the signature is damaged: the file starts with " +
                $"{Convert.ToHexString(png[..Math.Min(8, png.Length)])} instead of {Convert.ToHexString(Signature)}; " +
                "it is cut off, or was transferred as text.");
        }

        Layout layout = Walk(png, limits);
        fixed (byte* first = png)
        {
            using PngDataStream chunks = new PngDataStream(first + layout.FirstData.Offset, first + layout.LastData.End);
            using ZLibStream inflater = new ZLibStream(chunks, CompressionMode.Decompress);
            Image image = ReadRows(inflater, layout, layout.Palette is { } palette ? palette.Data(png) : []);
            return applyExifOrientation && layout.Exif is { } exif
                ? ExifOrientation.Apply(image, ExifOrientation.Read(exif.Data(png))) : image;
        }
    }

    /// <summary>Where things are in the file.</summary>
    private readonly record struct Layout(PngHeader Header, PngChunk? Palette, PngChunk FirstData, PngChunk LastData, PngChunk? Exif);

    /// <summary>
    /// Walks over all chunks up to IEND and checks each and their order; nothing is allocated by their numbers.
    /// </summary>
    private static Layout Walk(ReadOnlySpan<byte> png, ImageLimits limits)
    {
        PngChunk chunk = PngChunk.Read(png, Signature.Length);
        if (chunk.Type != PngChunk.Ihdr || chunk.Length != PngHeader.Length)
        {
            throw new ImageFormatException($"PNG: the first chunk is {chunk} with {chunk.Length} bytes; " +
                $"it must be IHDR with {PngHeader.Length}.");
        }

        PngHeader header = PngHeader.Read(chunk.Data(png), limits);
        PngChunk? palette = null, firstData = null, exif = null;
        PngChunk lastData = default;
        long dataBytes = 0;
        while (true)
        {
            chunk = PngChunk.Read(png, chunk.End);
            switch (chunk.Type)
            {
                case PngChunk.Plte:
                    CheckPalette(chunk, palette, firstData);
                    palette = chunk;
                    break;
                case PngChunk.Idat when firstData is not null && lastData.End != chunk.Offset:
                    throw new ImageFormatException($"PNG: chunk {chunk} does not follow {lastData} at once; " +
                        "other chunks must not lie between IDAT chunks.");
                case PngChunk.Idat:
                    firstData ??= chunk;
                    lastData = chunk;
                    dataBytes += chunk.Length;
                    break;
                case PngChunk.Exif:
                    exif = chunk;
                    break;
                case PngChunk.Iend when chunk.Length != 0:
                    throw new ImageFormatException($"PNG: chunk {chunk} has {chunk.Length} bytes; it must be empty.");
                case PngChunk.Iend:
                    CheckComplete(png, header, palette, firstData, dataBytes);
                    return new Layout(header, palette, firstData!.Value, lastData, exif);
                case PngChunk.Ihdr:
                    throw new ImageFormatException($"PNG: chunk {chunk} is a second header; there must be one, at offset 8.");
                default:
                    if (chunk.IsCritical)
                    {
                        throw new ImageFormatException($"PNG: chunk {chunk} is critical and unknown; " +
                            "known are IHDR, PLTE, IDAT and IEND.");
                    }

                    break;
            }
        }
    }

    private static void CheckPalette(PngChunk chunk, PngChunk? earlier, PngChunk? data)
    {
        if (earlier is not null || data is not null)
        {
            throw new ImageFormatException($"PNG: chunk {chunk} comes after {earlier ?? data}; " +
                "there must be one PLTE at most, before any IDAT.");
        }

        if (chunk.Length is 0 or > 768 || chunk.Length % 3 != 0)
        {
            throw new ImageFormatException($"PNG: chunk {chunk} has {chunk.Length} bytes; " +
                "it must have 3 for each of 1 to 256 colours.");
        }
    }

    private static void CheckComplete(ReadOnlySpan<byte> png, PngHeader header, PngChunk? palette, PngChunk? data, long dataBytes)
    {
        if (header.Colour == PngColour.Palette && palette is null)
        {
            throw new ImageFormatException("PNG: the picture has palette colours (IHDR colour type 3) but no PLTE chunk.");
        }

        if (data is null)
        {
            throw new ImageFormatException("PNG: there is no IDAT chunk, so no pixels.");
        }

        // Deflate makes at most 258 bytes of two bits: less data than that cannot fill the rows, so need not be tried.
        if (dataBytes * 1032 < header.InflatedBytes)
        {
            throw new ImageFormatException($"PNG: {header.Width} x {header.Height} pixels take {header.InflatedBytes} bytes, " +
                $"which {dataBytes} bytes in IDAT chunks from offset {data.Value.Offset} on cannot inflate to; " +
                "data are missing or the size in IHDR is damaged.");
        }
    }

    private static Image ReadRows(ZLibStream inflater, Layout layout, ReadOnlySpan<byte> palette)
    {
        PngHeader header = layout.Header;
        PngRowReader rows = new PngRowReader(inflater, layout.FirstData, header);
        PngRowExpander expander = new PngRowExpander(header, palette);
        byte[] pixels = Image.AllocatePixels(header.Width, header.Height);
        int imageRowBytes = 3 * header.Width;

        if (expander.IsIdentity && !header.Interlaced)
        {
            // The rows are unfiltered where they will stay; each is the row above of the next.
            ReadOnlySpan<byte> above = new byte[imageRowBytes];
            for (int y = 0; y < header.Height; y++)
            {
                Span<byte> row = pixels.AsSpan(y * imageRowBytes, imageRowBytes);
                rows.Read(row, above, y);
                above = row;
            }

            return new Image(header.Width, header.Height, pixels);
        }

        int longest = (int)header.RowBytes(header.Width);
        byte[] current = new byte[longest], previous = new byte[longest];
        byte[] expanded = header.Interlaced ? new byte[imageRowBytes] : [];
        foreach (PngPass pass in PngPass.Of(header))
        {
            int rowBytes = (int)header.RowBytes(pass.Width);
            Array.Clear(previous);
            for (int y = 0; y < pass.Height; y++)
            {
                Span<byte> row = current.AsSpan(0, rowBytes);
                rows.Read(row, previous.AsSpan(0, rowBytes), y);
                Span<byte> target = pixels.AsSpan((pass.Y0 + y * pass.StepY) * imageRowBytes, imageRowBytes);
                if (header.Interlaced)
                {
                    Span<byte> rgb = expanded.AsSpan(0, 3 * pass.Width);
                    expander.Expand(row, rgb, y);
                    Scatter(rgb, target[(3 * pass.X0)..], pass.StepX);
                }
                else
                {
                    expander.Expand(row, target, y);
                }

                (current, previous) = (previous, current);
            }
        }

        return new Image(header.Width, header.Height, pixels);
    }

    private static void Scatter(ReadOnlySpan<byte> rgb, Span<byte> target, int step)
    {
        for (int from = 0, to = 0; from < rgb.Length; from += 3, to += 3 * step)
        {
            rgb.Slice(from, 3).CopyTo(target[to..]);
        }
    }
}
