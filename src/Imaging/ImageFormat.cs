namespace TinyZsad.Imaging;

/// <summary>Represents a file format: its name, its files' extensions, and how its files are recognised, measured and decoded.</summary>
/// <param name="Name">The name, such as "JPEG".</param>
/// <param name="Extensions">The extensions of its files in lower case, each with its dot.</param>
/// <param name="Recognises">Determines by its first bytes whether a file has the format.</param>
/// <param name="ReadSize">Reads the size that decoding with the same options gives.</param>
/// <param name="Decode">Decodes a file.</param>
internal sealed record ImageFormat(
    string Name, IReadOnlyList<string> Extensions, ImageFormat.Recognition Recognises, ImageFormat.SizeReader ReadSize,
    ImageFormat.Decoder Decode)
{
    public delegate bool Recognition(ReadOnlySpan<byte> data);

    public delegate (int Width, int Height) SizeReader(ReadOnlySpan<byte> data, ImageLoadOptions options);

    public delegate void Decoder(ReadOnlySpan<byte> data, DecodingContext context);

    /// <summary>Gets the formats that this assembly decodes. <see cref="ImageLoadOptions.Formats"/> may have others.</summary>
    public static IReadOnlyList<ImageFormat> BuiltIn { get; } =
    [
        new(JpegDecoder.Format, JpegDecoder.Extensions, JpegDecoder.Recognises, JpegDecoder.ReadSize, JpegDecoder.Decode),
        new(PngDecoder.Format, PngDecoder.Extensions, PngDecoder.Recognises, PngDecoder.ReadSize, PngDecoder.Decode),
        new(BmpDecoder.Format, BmpDecoder.Extensions, BmpDecoder.Recognises, BmpDecoder.ReadSize, BmpDecoder.Decode),
        new(PnmDecoder.Format, PnmDecoder.Extensions, PnmDecoder.Recognises, PnmDecoder.ReadSize, PnmDecoder.Decode),
    ];
}
