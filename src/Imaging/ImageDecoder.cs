namespace TinyZsad.Imaging;

/// <summary>Recognises a picture's format by its first bytes and calls the decoder of that format.</summary>
internal static class ImageDecoder
{
    public static Image Decode(
        ReadOnlySpan<byte> data, ImageLoadOptions options, Memory<byte>? buffer, CancellationToken cancellationToken)
    {
        options.Limits.CheckEncodedBytes(data.Length);
        using DecodingContext context = new DecodingContext(options, buffer, cancellationToken);
        context.ThrowIfCancelled();
        ImageFormat format = Recognise(data, options);
        format.Decode(data, context);
        if (context.BeginAgain())
        {
            format.Decode(data, context);
        }

        return context.ToImage();
    }

    public static ImageInfo Identify(ReadOnlySpan<byte> data, ImageLoadOptions options)
    {
        options.Limits.CheckEncodedBytes(data.Length);
        ImageFormat format = Recognise(data, options);
        (int width, int height) = format.ReadSize(data, options);
        return new ImageInfo(width, height, format.Name);
    }

    private static ImageFormat Recognise(ReadOnlySpan<byte> data, ImageLoadOptions options)
    {
        foreach (ImageFormat format in options.Formats)
        {
            if (format.Recognises(data))
            {
                return format;
            }
        }

        throw UnsupportedFormat.Error(data, options.Formats);
    }
}
