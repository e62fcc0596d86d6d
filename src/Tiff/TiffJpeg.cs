namespace TinyZsad.Imaging;

/// <summary>
/// Decodes strips and tiles that are compressed as JPEG, each of which is a JPEG picture whose tables may be in the directory. The
/// project's decoder gives the bytes of libjpeg-turbo, which LibTiff.NET's does not where colours are subsampled.
/// </summary>
internal static class TiffJpeg
{
    /// <summary>The most bytes of tables that are shared: each strip or tile reads them. Four of each kind take 3 KiB.</summary>
    private const int MostTableBytes = 1 << 14;

    private static ReadOnlySpan<byte> StartOfImage => [0xFF, JpegMarker.Soi];

    public static void Decode(ReadOnlySpan<byte> tiff, TiffHeader header, DecodingContext context, Memory<byte> pixels)
    {
        ReadOnlySpan<byte> tables = ReadTables(tiff, header);
        byte[] stream = [];
        Memory<byte> buffer = default;
        for (int plane = 0; plane < header.Planes; plane++)
        {
            for (long i = 0; i < header.Segments; i++)
            {
                context.ThrowIfCancelled();
                TiffSegment segment = header.Segment(tiff, plane, i);
                ReadOnlySpan<byte> jpeg = tiff.Slice(segment.Offset, segment.Bytes);
                if (!tables.IsEmpty && jpeg.StartsWith(StartOfImage))
                {
                    int length = tables.Length + jpeg.Length - StartOfImage.Length;
                    stream = stream.Length >= length ? stream : new byte[length];
                    tables.CopyTo(stream);
                    jpeg[StartOfImage.Length..].CopyTo(stream.AsSpan(tables.Length));
                    jpeg = stream.AsSpan(0, length);
                }

                DecodeSegment(jpeg, header, context, segment, plane, ref buffer, pixels);
            }
        }
    }

    /// <summary>Returns the shared tables from their SOI on, without their EOI; nothing if there are none.</summary>
    private static ReadOnlySpan<byte> ReadTables(ReadOnlySpan<byte> tiff, TiffHeader header)
    {
        ReadOnlySpan<byte> tables = header.JpegTables(tiff);
        if (tables.Length > MostTableBytes || !tables.IsEmpty && !tables.StartsWith(StartOfImage))
        {
            throw TiffDecoder.Error(null, $"JpegTables ({(int)TiffTag.JpegTables}) has {tables.Length} bytes; it must have at most " +
                $"{MostTableBytes} and start with FFD8.");
        }

        return tables is [.., 0xFF, JpegMarker.Eoi] ? tables[..^2] : tables;
    }

    private static void DecodeSegment(ReadOnlySpan<byte> jpeg, TiffHeader header, DecodingContext context, TiffSegment segment, int plane,
        ref Memory<byte> buffer, Memory<byte> pixels)
    {
        (int width, int height) = ReadSize(jpeg, header, context, segment);
        if (width != header.SegmentWidth || height < segment.Height || height > header.SegmentHeight)
        {
            throw TiffDecoder.Error(segment.Offset, $"the JPEG in {header.Name(segment)} has {width} x {height} pixels; " +
                $"it must have {header.SegmentWidth} x {segment.Height}.");
        }

        // A strip of whole rows is decoded where it belongs.
        int bytes = 3 * width * height;
        bool isInPlace = !header.IsTiled && !header.IsSeparate && height == segment.Height;
        if (!isInPlace && buffer.Length < bytes)
        {
            buffer = new byte[bytes];
        }

        Memory<byte> target = isInPlace ? pixels.Slice(3 * segment.Y * header.Width, bytes) : buffer[..bytes];
        try
        {
            using SegmentContext inner = new SegmentContext(context, target);
            JpegDecoder.Decode(jpeg, inner, header.IsSeparate ? JpegColourSpace.Gray : SpaceOf(header), ComponentsOf(header));
        }
        catch (ImageFormatException e)
        {
            throw Damaged(header, segment, e);
        }

        if (!isInPlace)
        {
            Copy(target.Span, header, segment, plane, pixels.Span);
        }

        if (header.Photometric == TiffPhotometric.WhiteIsZero)
        {
            InvertSegment(header, segment, pixels.Span);
        }
    }

    private static (int Width, int Height) ReadSize(
        ReadOnlySpan<byte> jpeg, TiffHeader header, DecodingContext context, TiffSegment segment)
    {
        if (!JpegDecoder.Recognises(jpeg))
        {
            throw TiffDecoder.Error(segment.Offset, $"{header.Name(segment)} does not start with FFD8FF; it must contain a JPEG.");
        }

        try
        {
            return JpegDecoder.ReadSize(jpeg, new ImageLoadOptions { Limits = context.Limits });
        }
        catch (ImageFormatException e)
        {
            throw Damaged(header, segment, e);
        }
    }

    private static ImageFormatException Damaged(TiffHeader header, TiffSegment segment, ImageFormatException e) =>
        TiffDecoder.Error(segment.Offset, $"the JPEG in {header.Name(segment)} is damaged or not supported. {e.Message}", e);

    private static int ComponentsOf(TiffHeader header) => header.IsSeparate ? 1 : header.Samples;

    private static JpegColourSpace SpaceOf(TiffHeader header) => header.Photometric switch
    {
        TiffPhotometric.Rgb => JpegColourSpace.Rgb,
        TiffPhotometric.YCbCr => JpegColourSpace.YCbCr,
        TiffPhotometric.Separated => JpegColourSpace.Inks,
        _ => JpegColourSpace.Gray,
    };

    /// <summary>Copies what lies in the picture: all channels, or that of a plane.</summary>
    private static void Copy(ReadOnlySpan<byte> from, TiffHeader header, TiffSegment segment, int plane, Span<byte> pixels)
    {
        for (int y = 0; y < segment.Height; y++)
        {
            ReadOnlySpan<byte> row = from.Slice(3 * y * header.SegmentWidth, 3 * segment.Width);
            Span<byte> to = pixels.Slice(3 * ((segment.Y + y) * header.Width + segment.X), row.Length);
            if (header.Planes == 1)
            {
                row.CopyTo(to);
                continue;
            }

            for (int i = plane; i < row.Length; i += 3)
            {
                to[i] = row[i];
            }
        }
    }

    private static void InvertSegment(TiffHeader header, TiffSegment segment, Span<byte> pixels)
    {
        for (int y = 0; y < segment.Height; y++)
        {
            TiffPixels.Invert(pixels.Slice(3 * ((segment.Y + y) * header.Width + segment.X), 3 * segment.Width));
        }
    }

    /// <summary>Decodes a strip or a tile into given memory.</summary>
    private sealed class SegmentContext(DecodingContext outer, Memory<byte> target)
        : DecodingContext(new ImageLoadOptions { Limits = outer.Limits }, target, CancellationToken.None)
    {
        public override void ThrowIfCancelled() => outer.ThrowIfCancelled();
    }
}
