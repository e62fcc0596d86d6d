namespace TinyZsad.Imaging;

/// <summary>Represents the valid layout of a picture in a buffer.</summary>
internal readonly record struct PixelLayout
{
    private readonly int width, height, stride;
    private readonly PixelFormat format;

    /// <exception cref="ArgumentOutOfRangeException">The width, the height, the stride or the format is out of range.</exception>
    public PixelLayout(int width, int height, int stride, PixelFormat format)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        long rowBytes = (long)width * format.BytesPerPixel();
        if (rowBytes > int.MaxValue)
        {
            throw new ArgumentOutOfRangeException(nameof(width), width,
                $"A row of {width} pixels in {format} takes {rowBytes} bytes; at most {int.MaxValue} are supported.");
        }

        if (Math.Abs((long)stride) < rowBytes)
        {
            throw new ArgumentOutOfRangeException(nameof(stride), stride,
                $"A row of {width} pixels in {format} takes {rowBytes} bytes; the stride must not be smaller.");
        }

        (this.width, this.height, this.stride, this.format) = (width, height, stride, format);
    }

    public int RowBytes => this.width * this.format.BytesPerPixel();

    /// <summary>The bytes from the lowest address to the highest; the row at the end needs no gap after it.</summary>
    public long Bytes => (this.height - 1L) * Math.Abs((long)this.stride) + RowBytes;

    public static int TightStride(int width, PixelFormat format)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(width, int.MaxValue / format.BytesPerPixel());
        return width * format.BytesPerPixel();
    }

    /// <summary>The distance of a row from the lowest address.</summary>
    public long Offset(int y) => this.stride >= 0 ? (long)y * this.stride : (this.height - 1L - y) * -(long)this.stride;

    /// <exception cref="ArgumentException">The buffer is too small.</exception>
    public void CheckBuffer(int length, string parameter)
    {
        if (length < Bytes)
        {
            throw new ArgumentException(
                $"{this.width} x {this.height} pixels in {this.format} at a stride of {this.stride} take {Bytes} bytes; " +
                $"the buffer has {length}.", parameter);
        }
    }
}
