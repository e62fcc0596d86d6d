using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>
/// Decodes PNG, third edition, with every colour type and bit depth, interlaced or not. Ancillary chunks except eXIf are skipped.
/// Data after the last row is ignored, like in libpng.
/// </summary>
internal static unsafe class PngDecoder
{
    public const string Format = "PNG";

    public static IReadOnlyList<string> Extensions { get; } = [".png", ".apng"];

    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    public static bool Recognises(ReadOnlySpan<byte> data) => data.StartsWith(Signature[..4]);

    /// <summary>Reads the size of the decoded picture.</summary>
    public static (int Width, int Height) ReadSize(ReadOnlySpan<byte> png, ImageLoadOptions options)
    {
        PngHeader header = ReadHeader(png, options.Limits, context: null, out _);

        // The metadata may lie after the data, so all chunks must be read.
        return options.ApplyExifOrientation
            ? ExifOrientation.SizeOf(header.Width, header.Height, Walk(png, options, context: null).Orientation)
            : (header.Width, header.Height);
    }

    public static void Decode(ReadOnlySpan<byte> png, DecodingContext context)
    {
        Layout layout = Walk(png, context.Options, context);
        PngHeader header = layout.Header;
        Span<byte> pixels = context.Allocate(header.Width, header.Height, layout.Orientation).Span;
        fixed (byte* first = png)
        {
            using PngDataStream chunks = new PngDataStream(first + layout.FirstData.Offset, first + layout.LastData.End);
            using ZLibStream inflater = new ZLibStream(chunks, CompressionMode.Decompress);
            PngRowReader rows = new PngRowReader(inflater, layout.FirstData, header, context);
            ReadRows(rows, header, layout.Palette is { } palette ? palette.Data(png) : [], pixels, context);
        }
    }

    /// <summary>The header, the places of the chunks that matter, and the orientation to apply.</summary>
    private readonly record struct Layout(
        PngHeader Header, PngChunk? Palette, PngChunk FirstData, PngChunk LastData, int Orientation);

    private static PngHeader ReadHeader(ReadOnlySpan<byte> png, ImageLimits limits, DecodingContext? context, out PngChunk chunk)
    {
        if (!png.StartsWith(Signature))
        {
            throw FormatError.Png(0, "the signature is damaged: the file starts with " +
                $"{Convert.ToHexString(png[..Math.Min(8, png.Length)])} instead of {Convert.ToHexString(Signature)}; " +
                "it is cut off, or was transferred as text.");
        }

        chunk = PngChunk.Read(png, Signature.Length, context);
        return chunk.Type == PngChunk.Ihdr && chunk.Length == PngHeader.Length
            ? PngHeader.Read(chunk.Data(png), limits)
            : throw FormatError.Png(chunk.Offset, $"the first chunk is {chunk} with {chunk.Length} bytes; " +
                $"it must be IHDR with {PngHeader.Length}.");
    }

    /// <summary>Reads and checks all chunks up to IEND, and their order.</summary>
    private static Layout Walk(ReadOnlySpan<byte> png, ImageLoadOptions options, DecodingContext? context)
    {
        PngHeader header = ReadHeader(png, options.Limits, context, out PngChunk chunk);
        PngChunk? palette = null, firstData = null;
        PngChunk lastData = default;
        PngOrientation orientation = default;
        long dataBytes = 0;
        while (true)
        {
            context?.ThrowIfCancelled();
            chunk = PngChunk.Read(png, chunk.End, context);
            switch (chunk.Type)
            {
                case PngChunk.Plte:
                    CheckPalette(chunk, palette, firstData);
                    palette = chunk;
                    break;
                case PngChunk.Idat when firstData is not null && lastData.End != chunk.Offset:
                    throw FormatError.Png(chunk.Offset, $"chunk {chunk} does not follow {lastData} at once; " +
                        "other chunks must not lie between IDAT chunks.");
                case PngChunk.Idat:
                    firstData ??= chunk;
                    lastData = chunk;
                    dataBytes += chunk.Length;
                    break;
                case PngChunk.Iend when chunk.Length != 0:
                    throw FormatError.Png(chunk.Offset, $"chunk {chunk} has {chunk.Length} bytes; it must be empty.");
                case PngChunk.Iend:
                    CheckComplete(png, header, palette, firstData, dataBytes);
                    return new Layout(header, palette, firstData!.Value, lastData,
                        options.ApplyExifOrientation ? orientation.Read(png) : ExifOrientation.Upright);
                case PngChunk.Ihdr:
                    throw FormatError.Png(chunk.Offset, $"chunk {chunk} is a second header; there must be one, at offset 8.");
                default:
                    if (chunk.IsCritical)
                    {
                        throw FormatError.Png(chunk.Offset, $"chunk {chunk} is critical and unknown; " +
                            "known are IHDR, PLTE, IDAT and IEND.");
                    }

                    if (options.ApplyExifOrientation)
                    {
                        orientation.Note(chunk, png, context);
                    }

                    break;
            }
        }
    }

    private static void CheckPalette(PngChunk chunk, PngChunk? earlier, PngChunk? data)
    {
        if (earlier is not null || data is not null)
        {
            throw FormatError.Png(chunk.Offset, $"chunk {chunk} comes after {earlier ?? data}; " +
                "there must be one PLTE at most, before any IDAT.");
        }

        if (chunk.Length is 0 or > 768 || chunk.Length % 3 != 0)
        {
            throw FormatError.Png(chunk.Offset, $"chunk {chunk} has {chunk.Length} bytes; " +
                "it must have 3 for each of 1 to 256 colours.");
        }
    }

    private static void CheckComplete(ReadOnlySpan<byte> png, PngHeader header, PngChunk? palette, PngChunk? data, long dataBytes)
    {
        if (header.Colour == PngColour.Palette && palette is null)
        {
            throw FormatError.Png(null, "the picture has palette colours (IHDR colour type 3) but no PLTE chunk.");
        }

        if (data is null)
        {
            throw FormatError.Png(null, "there is no IDAT chunk, so no pixels.");
        }

        // Deflate expands two bits to at most 258 bytes, so this file would allocate memory that it cannot fill.
        if (dataBytes * 1032 < header.InflatedBytes)
        {
            throw FormatError.Png(data.Value.Offset, $"{header.Width} x {header.Height} pixels take {header.InflatedBytes} bytes, " +
                $"which {dataBytes} bytes in IDAT chunks from offset {data.Value.Offset} on cannot inflate to; " +
                "data are missing or the size in IHDR is damaged.");
        }
    }

    private static void ReadRows(
        PngRowReader rows, PngHeader header, ReadOnlySpan<byte> palette, Span<byte> pixels, DecodingContext context)
    {
        PngRowExpander expander = new PngRowExpander(header, palette, context);
        int imageRowBytes = 3 * header.Width;

        if (expander.IsIdentity && !header.Interlaced)
        {
            // Rows are unfiltered in place, so each one is the row above the next one.
            ReadOnlySpan<byte> above = new byte[imageRowBytes];
            for (int y = 0; y < header.Height; y++)
            {
                Span<byte> row = pixels.Slice(y * imageRowBytes, imageRowBytes);
                rows.Read(row, above, y);
                above = row;
            }

            return;
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
                Span<byte> target = pixels.Slice((pass.Y0 + y * pass.StepY) * imageRowBytes, imageRowBytes);
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
    }

    private static void Scatter(ReadOnlySpan<byte> rgb, Span<byte> target, int step)
    {
        for (int from = 0, to = 0; from < rgb.Length; from += 3, to += 3 * step)
        {
            rgb.Slice(from, 3).CopyTo(target[to..]);
        }
    }
}
