using System.IO.Compression;

namespace TinyZsad.Imaging;

/// <summary>Decodes PNG, third edition, with every colour type and bit depth, interlaced or not.</summary>
/// <remarks>
/// <para>Faults of which libpng only warns are accepted, with the pixels that libpng gives:</para>
/// <list type="bullet">
/// <item>a palette index beyond the palette, which is opaque black, as the standard requires</item>
/// <item>a PLTE that the colour type does not need: any in a gray picture, one of an impossible length in an RGB picture, and any
/// number of them after the pixels</item>
/// <item>colours in PLTE beyond those that the bit depth can select</item>
/// <item>IDAT chunks after the picture is complete, also after other chunks, and data after the last row</item>
/// <item>an IEND with content, and bytes after IEND</item>
/// <item>complete rows without the checksum that ends the compressed data, as in Pillow; libpng refuses some</item>
/// <item>ancillary chunks that are damaged, repeated, misplaced or unknown; only those with the orientation are read at all</item>
/// </list>
/// <para>
/// What else libpng does not decode is an error: a truncated file, also without IEND; a wrong checksum of a critical chunk; a repeated or
/// misplaced IHDR; a PLTE that is missing, empty or malformed where it is needed, or repeated; an unknown critical chunk; a chunk
/// between the IDAT chunks that the pixels need; a zlib header with a wrong check or an invalid window size; too few rows; an unknown
/// filter. Only the limits on sizes are other ones: <see cref="ImageLimits"/>.
/// </para>
/// </remarks>
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
                    CheckPalette(chunk, header.Colour, palette, firstData);
                    palette ??= firstData is null ? chunk : null;
                    break;
                case PngChunk.Idat when firstData is not null && lastData.End != chunk.Offset:
                    // Superfluous, or the rows before it turn out to be too few.
                    break;
                case PngChunk.Idat:
                    firstData ??= chunk;
                    lastData = chunk;
                    dataBytes += chunk.Length;
                    break;
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

    /// <summary>Checks a PLTE as far as libpng does for the colour type.</summary>
    private static void CheckPalette(PngChunk chunk, PngColour colour, PngChunk? earlier, PngChunk? data)
    {
        if (earlier is not null || (data is not null && colour == PngColour.Palette))
        {
            throw FormatError.Png(chunk.Offset, $"chunk {chunk} comes after {earlier ?? data}; " +
                "there must be one PLTE at most, before any IDAT.");
        }

        // RGB pictures may have a palette as a suggestion, and libpng refuses an empty one only.
        bool valid = colour switch
        {
            PngColour.Palette => chunk.Length is > 0 and <= 768 && chunk.Length % 3 == 0,
            PngColour.Rgb or PngColour.Rgba => chunk.Length > 0 || data is not null,
            _ => true,
        };
        if (!valid)
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
                    expander.Expand(row, rgb);
                    Scatter(rgb, target[(3 * pass.X0)..], pass.StepX);
                }
                else
                {
                    expander.Expand(row, target);
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
