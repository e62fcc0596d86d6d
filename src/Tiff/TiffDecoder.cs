namespace TinyZsad.Imaging;

/// <summary>
/// Decodes a page of a TIFF or BigTIFF file. Only strips and tiles that are compressed with LZW, Deflate or CCITT are passed to
/// LibTiff.NET, behind a directory with checked numbers; JPEG is decoded by <see cref="JpegDecoder"/>, and the rest here.
/// </summary>
internal static unsafe class TiffDecoder
{
    public const string Format = "TIFF";

    private static readonly string[] Extensions = [".tif", ".tiff"];

    /// <summary>Returns the format with the page that is decoded.</summary>
    public static ImageFormat FormatOf(int page) => new(
        Format,
        Extensions,
        TiffDirectory.Recognises,
        (data, options) => ReadSize(data, options, page),
        (data, context) => Decode(data, context, page));

    public static ImageFormatException Error(long? offset, string message, Exception? inner = null) =>
        FormatError.Create(Format, offset, message, inner);

    private static (int Width, int Height) ReadSize(ReadOnlySpan<byte> tiff, ImageLoadOptions options, int page)
    {
        TiffHeader header = TiffHeader.Read(tiff, page, options.Limits);
        int orientation = options.ApplyExifOrientation ? header.Orientation : ExifOrientation.Upright;
        return ExifOrientation.SizeOf(header.Width, header.Height, orientation);
    }

    private static void Decode(ReadOnlySpan<byte> tiff, DecodingContext context, int page)
    {
        TiffHeader header = TiffHeader.Read(tiff, page, context.Limits);
        header.CheckData(tiff);
        context.HasFurtherPages = header.HasFurtherPages;
        byte[] palette = header.Photometric == TiffPhotometric.Palette ? header.ReadPalette(tiff) : [];
        int orientation = context.ApplyExifOrientation ? header.Orientation : ExifOrientation.Upright;
        Memory<byte> pixels = context.Allocate(header.Width, header.Height, orientation);
        if (header.Compression == TiffCompression.Jpeg)
        {
            TiffJpeg.Decode(tiff, header, context, pixels);
            return;
        }

        TiffPixels converter = new TiffPixels(header, palette, context);
        TiffRows[] planes = new TiffRows[header.Planes];
        fixed (byte* start = tiff)
        {
            try
            {
                for (int plane = 0; plane < planes.Length; plane++)
                {
                    planes[plane] = TiffRows.Create(tiff, start, header, plane);
                }

                Decode(tiff, header, context, planes, converter, pixels.Span);
            }
            finally
            {
                foreach (TiffRows? plane in planes)
                {
                    plane?.Dispose();
                }
            }
        }
    }

    private static void Decode(ReadOnlySpan<byte> tiff, TiffHeader header, DecodingContext context, TiffRows[] planes,
        TiffPixels converter, Span<byte> pixels)
    {
        TiffSegment[] segments = new TiffSegment[planes.Length];
        for (long i = 0; i < header.Segments; i++)
        {
            for (int plane = 0; plane < planes.Length; plane++)
            {
                segments[plane] = header.Segment(tiff, plane, i);
            }

            TiffSegment place = segments[0];
            for (int y = 0; y < place.Height; y++)
            {
                context.ThrowIfCancelled();
                Span<byte> rgb = pixels.Slice(3 * ((place.Y + y) * header.Width + place.X), 3 * place.Width);
                for (int plane = 0; plane < planes.Length; plane++)
                {
                    converter.Add(planes[plane].Read(tiff, segments[plane], i, y), plane, place.Width);
                }

                converter.ToRgb(rgb);
            }
        }
    }
}
