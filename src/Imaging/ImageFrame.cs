namespace TinyZsad.Imaging;

/// <summary>
/// Represents a picture in memory that belongs to the caller, like <see cref="ImageView"/>, in a form that can be stored and passed to
/// asynchronous methods. The pixels must not change while the frame is in use.
/// </summary>
public readonly struct ImageFrame
{
    /// <summary>The bits of 16 that are not significant, so that a default value has 16 significant bits.</summary>
    private readonly int unusedBits;

    /// <summary>Initializes a frame.</summary>
    /// <param name="pixels">
    /// The memory, which begins with the top row or, if <paramref name="stride"/> is negative, with the bottom row. The row at its end
    /// needs no padding.
    /// </param>
    /// <param name="width">The width, in pixels; at least 1.</param>
    /// <param name="height">The height, in pixels; at least 1.</param>
    /// <param name="stride">
    /// The number of bytes from a row to the row below it. It is negative for a bottom-up picture. Its absolute value is at least
    /// <paramref name="width"/> times the bytes per pixel.
    /// </param>
    /// <param name="format">The format of a pixel.</param>
    /// <exception cref="ArgumentOutOfRangeException">The width, the height, the stride or the format is out of range.</exception>
    /// <exception cref="ArgumentException">The memory is too small.</exception>
    public ImageFrame(ReadOnlyMemory<byte> pixels, int width, int height, int stride, PixelFormat format)
    {
        PixelLayout layout = new PixelLayout(width, height, stride, format);
        layout.CheckBuffer(pixels.Length, nameof(pixels));
        (Pixels, Width, Height, Stride, Format) = (pixels[..(int)layout.Bytes], width, height, stride, format);
    }

    /// <summary>Initializes a top-down frame without gaps between the rows.</summary>
    /// <inheritdoc cref="ImageFrame(ReadOnlyMemory{byte}, int, int, int, PixelFormat)"/>
    public ImageFrame(ReadOnlyMemory<byte> pixels, int width, int height, PixelFormat format)
        : this(pixels, width, height, PixelLayout.TightStride(width, format), format) { }

    /// <summary>Gets the memory from the first byte to the last byte of the picture.</summary>
    public ReadOnlyMemory<byte> Pixels { get; }

    /// <summary>Gets the width, in pixels; 0 for a default value.</summary>
    public int Width { get; }

    /// <summary>Gets the height, in pixels; 0 for a default value.</summary>
    public int Height { get; }

    /// <summary>Gets the number of bytes from a row to the row below it; negative for a bottom-up picture.</summary>
    public int Stride { get; }

    /// <summary>Gets the format of a pixel.</summary>
    public PixelFormat Format { get; }

    /// <inheritdoc cref="ImageView.SignificantBits"/>
    public int SignificantBits
    {
        get => DeepSamples.MostBits - this.unusedBits;
        init
        {
            DeepSamples.CheckBits(value);
            this.unusedBits = DeepSamples.MostBits - value;
        }
    }

    /// <summary>Gets a value that indicates whether the frame is a default value, which has no pixels.</summary>
    public bool IsEmpty => Width == 0;

    /// <summary>Gets a view of the frame; an empty one if the frame is empty.</summary>
    public ImageView View => IsEmpty ? default
        : new ImageView(Pixels.Span, Width, Height, Stride, Format) { SignificantBits = SignificantBits };
}
