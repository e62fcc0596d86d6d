namespace TinyZsad.Imaging;

/// <summary>Tells a picture's format by its first bytes and hands it to the decoder of that format.</summary>
internal static class ImageDecoder
{
    private const string Supported = "use JPEG, PNG, BMP or PNM";

    public static Image Decode(ReadOnlySpan<byte> data, ImageLimits limits, bool applyExifOrientation)
    {
        if (JpegDecoder.Recognises(data))
        {
            return JpegDecoder.Decode(data, limits, applyExifOrientation);
        }

        if (PngDecoder.Recognises(data))
        {
            return PngDecoder.Decode(data, limits, applyExifOrientation);
        }

        if (BmpDecoder.Recognises(data))
        {
            return BmpDecoder.Decode(data, limits);
        }

        if (PnmDecoder.Recognises(data))
        {
            return PnmDecoder.Decode(data, limits);
        }

        if (NameOfUnsupported(data) is { } name)
        {
            throw new ImageFormatException($"This is a {name}; {name} is not supported yet; {Supported}.");
        }

        throw new ImageFormatException(data.IsEmpty
            ? $"The picture is empty (0 bytes); {Supported}."
            : $"Not a picture of a known format (its first bytes are {Convert.ToHexString(data[..Math.Min(8, data.Length)])}); " +
              $"{Supported}.");
    }

    /// <summary>The name of a format that is known by sight but has no decoder.</summary>
    private static string? NameOfUnsupported(ReadOnlySpan<byte> data) => data switch
    {
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', ..] => "GIF",
        [(byte)'I', (byte)'I', 42, 0, ..] or [(byte)'M', (byte)'M', 0, 42, ..] => "TIFF",
        [(byte)'I', (byte)'I', 43, 0, ..] or [(byte)'M', (byte)'M', 0, 43, ..] => "BigTIFF",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..] => "WebP",
        _ => null,
    };
}
