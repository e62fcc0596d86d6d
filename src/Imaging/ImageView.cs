namespace TinyZsad.Imaging;

/// <summary>
/// A picture in somebody else's memory, such as a camera's buffer: looked at, never copied, never written to.
/// The memory must stay as it is while the view is in use.
/// </summary>
public readonly ref struct ImageView
{
    /// <summary>Looks at a buffer.</summary>
    /// <param name="pixels">Rows from the top, <paramref name="stride"/> bytes apart. The last row needs only its pixels.</param>
    /// <param name="width">Pixels a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="stride">Bytes from one row to the next, at least <paramref name="width"/> times the bytes of a pixel.</param>
    /// <param name="format">How a pixel lies in memory.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size, the stride or the format is out of its range.</exception>
    /// <exception cref="ArgumentException">The buffer is too short for such a picture.</exception>
    public ImageView(ReadOnlySpan<byte> pixels, int width, int height, int stride, PixelFormat format)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        long rowBytes = (long)width * format.BytesPerPixel();
        if (stride < rowBytes)
        {
            throw new ArgumentOutOfRangeException(nameof(stride), stride,
                $"A row of {width} pixels in {format} takes {rowBytes} bytes; the stride must not be smaller.");
        }

        long needed = (height - 1L) * stride + rowBytes;
        if (pixels.Length < needed)
        {
            throw new ArgumentException(
                $"{width} x {height} pixels in {format} at a stride of {stride} take {needed} bytes; " +
                $"the buffer has {pixels.Length}.", nameof(pixels));
        }

        Pixels = pixels[..(int)needed];
        Width = width;
        Height = height;
        Stride = stride;
        Format = format;
    }

    /// <summary>Looks at a buffer whose rows follow one another without a gap.</summary>
    /// <inheritdoc cref="ImageView(ReadOnlySpan{byte}, int, int, int, PixelFormat)"/>
    public ImageView(ReadOnlySpan<byte> pixels, int width, int height, PixelFormat format)
        : this(pixels, width, height, TightStride(width, format), format) { }

    /// <summary>From the first byte of the first row to the last byte of the last.</summary>
    public ReadOnlySpan<byte> Pixels { get; }

    /// <summary>Pixels a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>Bytes from one row to the next.</summary>
    public int Stride { get; }

    /// <summary>How a pixel lies in memory.</summary>
    public PixelFormat Format { get; }

    /// <summary>The pixels of one row, without the gap after them.</summary>
    /// <param name="y">0 (top) to <see cref="Height"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="y"/> is outside the picture.</exception>
    public ReadOnlySpan<byte> Row(int y)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)y, (uint)Height, nameof(y));
        return Pixels.Slice(y * Stride, Width * Format.BytesPerPixel());
    }

    private static int TightStride(int width, PixelFormat format)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(width, int.MaxValue / format.BytesPerPixel());
        return width * format.BytesPerPixel();
    }
}
