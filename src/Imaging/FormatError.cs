namespace TinyZsad.Imaging;

/// <summary>Creates the exceptions of the decoders, with the format in the message and in the property.</summary>
internal static class FormatError
{
    public static ImageFormatException Jpeg(long? offset, string message) => Create(JpegDecoder.Format, offset, message);

    public static ImageFormatException Png(long? offset, string message, Exception? inner = null) =>
        Create(PngDecoder.Format, offset, message, inner);

    public static ImageFormatException Bmp(long? offset, string message) => Create(BmpDecoder.Format, offset, message);

    public static ImageFormatException Pnm(long? offset, string message) => Create(PnmDecoder.Format, offset, message);

    public static ImageFormatException Create(string format, long? offset, string message, Exception? inner = null) =>
        new($"{format}: {message}", inner) { Format = format, Offset = offset };
}
