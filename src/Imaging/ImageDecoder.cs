namespace TinyZsad.Imaging;

/// <summary>Recognises a picture's format by its first bytes and calls the decoder of that format.</summary>
internal static class ImageDecoder
{
    private const string Supported = "use JPEG, PNG, BMP or PNM";

    public static Image Decode(
        ReadOnlySpan<byte> data, ImageLoadOptions options, Memory<byte>? buffer, CancellationToken cancellationToken)
    {
        options.Limits.CheckEncodedBytes(data.Length);
        using DecodingContext context = new DecodingContext(options, buffer, cancellationToken);
        context.ThrowIfCancelled();
        switch (Recognise(data))
        {
            case JpegDecoder.Format:
                JpegDecoder.Decode(data, context);
                break;
            case PngDecoder.Format:
                PngDecoder.Decode(data, context);
                break;
            case BmpDecoder.Format:
                BmpDecoder.Decode(data, context);
                break;
            case PnmDecoder.Format:
                PnmDecoder.Decode(data, context);
                break;
            default:
                throw Unknown(data);
        }

        return context.ToImage();
    }

    public static ImageInfo Identify(ReadOnlySpan<byte> data, ImageLoadOptions options)
    {
        options.Limits.CheckEncodedBytes(data.Length);
        string? format = Recognise(data);
        (int width, int height) = format switch
        {
            JpegDecoder.Format => JpegDecoder.ReadSize(data, options),
            PngDecoder.Format => PngDecoder.ReadSize(data, options),
            BmpDecoder.Format => BmpDecoder.ReadSize(data, options),
            PnmDecoder.Format => PnmDecoder.ReadSize(data, options),
            _ => throw Unknown(data),
        };
        return new ImageInfo(width, height, format);
    }

    private static string? Recognise(ReadOnlySpan<byte> data) =>
        JpegDecoder.Recognises(data) ? JpegDecoder.Format
        : PngDecoder.Recognises(data) ? PngDecoder.Format
        : BmpDecoder.Recognises(data) ? BmpDecoder.Format
        : PnmDecoder.Recognises(data) ? PnmDecoder.Format
        : null;

    private static ImageFormatException Unknown(ReadOnlySpan<byte> data)
    {
        if (NameOfUnsupported(data) is { } name)
        {
            return new ImageFormatException($"This is a {name}; {name} is not supported yet; {Supported}.") { Format = name };
        }

        return new ImageFormatException(data.IsEmpty
            ? $"The picture is empty (0 bytes); {Supported}."
            : $"Not a picture of a known format (its first bytes are {Convert.ToHexString(data[..Math.Min(8, data.Length)])}); " +
              $"{Supported}.") { Offset = 0 };
    }

    /// <summary>Returns the name of a format that is recognised but not decoded.</summary>
    private static string? NameOfUnsupported(ReadOnlySpan<byte> data) => data switch
    {
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..] => "GIF",
        [(byte)'I', (byte)'I', 42, 0, ..] or [(byte)'M', (byte)'M', 0, 42, ..] => "TIFF",
        [(byte)'I', (byte)'I', 43, 0, ..] or [(byte)'M', (byte)'M', 0, 43, ..] => "BigTIFF",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..] => "WebP",
        _ => null,
    };
}
