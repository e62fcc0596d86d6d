using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>
/// Represents a picture in memory that belongs to the caller, such as a camera's buffer. The pixels are neither copied nor written
/// to. They must not change while the view is in use.
/// </summary>
public readonly unsafe ref struct ImageView
{
    /// <summary>The first pixel of the top row.</summary>
    private readonly ref readonly byte top;

    /// <summary>The bits of 16 that are not significant, so that a default value has 16 significant bits.</summary>
    private readonly int unusedBits;

    /// <summary>Initializes a view of a buffer.</summary>
    /// <param name="pixels">
    /// The buffer, which begins with the top row or, if <paramref name="stride"/> is negative, with the bottom row. The row at its end
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
    /// <exception cref="ArgumentException">The buffer is too small.</exception>
    public ImageView(ReadOnlySpan<byte> pixels, int width, int height, int stride, PixelFormat format)
    {
        PixelLayout layout = new PixelLayout(width, height, stride, format);
        layout.CheckBuffer(pixels.Length, nameof(pixels));
        this.top = ref Unsafe.AddByteOffset(ref MemoryMarshal.GetReference(pixels), (nint)layout.Offset(0));
        (Width, Height, Stride, Format) = (width, height, stride, format);
    }

    /// <summary>Initializes a view of a top-down buffer without gaps between the rows.</summary>
    /// <inheritdoc cref="ImageView(ReadOnlySpan{byte}, int, int, int, PixelFormat)"/>
    public ImageView(ReadOnlySpan<byte> pixels, int width, int height, PixelFormat format)
        : this(pixels, width, height, PixelLayout.TightStride(width, format), format) { }

    /// <summary>Initializes a view of unmanaged memory. The view may be larger than 2 GB.</summary>
    /// <param name="top">The address of the top row, which is the highest one if <paramref name="stride"/> is negative.</param>
    /// <param name="width">The width, in pixels; at least 1.</param>
    /// <param name="height">The height, in pixels; at least 1.</param>
    /// <param name="stride">
    /// The number of bytes from a row to the row below it. It is negative for a bottom-up picture. Its absolute value is at least
    /// <paramref name="width"/> times the bytes per pixel.
    /// </param>
    /// <param name="format">The format of a pixel.</param>
    /// <exception cref="ArgumentNullException">The address is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The width, the height, the stride or the format is out of range.</exception>
    public ImageView(void* top, int width, int height, int stride, PixelFormat format)
    {
        ArgumentNullException.ThrowIfNull(top);
        _ = new PixelLayout(width, height, stride, format);
        this.top = ref *(byte*)top;
        (Width, Height, Stride, Format) = (width, height, stride, format);
    }

    /// <inheritdoc cref="ImageView(void*, int, int, int, PixelFormat)"/>
    public ImageView(nint top, int width, int height, int stride, PixelFormat format)
        : this((void*)top, width, height, stride, format) { }

    private ImageView(ref readonly byte top, int width, int height, int stride, PixelFormat format)
    {
        this.top = ref top;
        (Width, Height, Stride, Format) = (width, height, stride, format);
    }

    /// <summary>Gets the width, in pixels; 0 for a default value.</summary>
    public int Width { get; }

    /// <summary>Gets the height, in pixels; 0 for a default value.</summary>
    public int Height { get; }

    /// <summary>Gets the number of bytes from a row to the row below it; negative for a bottom-up picture.</summary>
    public int Stride { get; }

    /// <summary>Gets the format of a pixel.</summary>
    public PixelFormat Format { get; }

    /// <summary>
    /// Gets the number of significant bits of a sample of <see cref="PixelFormat.Gray16"/>: 8 to 16, which is the default. A sample s
    /// stands for the 8-bit gray min(s >> (bits - 8), 255): 12 bits suit a camera with Mono12. Other formats ignore the property.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of range.</exception>
    public int SignificantBits
    {
        get => DeepSamples.MostBits - this.unusedBits;
        init
        {
            DeepSamples.CheckBits(value);
            this.unusedBits = DeepSamples.MostBits - value;
        }
    }

    /// <summary>Gets a value that indicates whether the view is a default value, which has no pixels.</summary>
    public bool IsEmpty => Width == 0;

    /// <summary>
    /// Gets the memory from the first byte to the last byte of the picture, including the gaps between the rows. It begins with the
    /// bottom row if <see cref="Stride"/> is negative.
    /// </summary>
    /// <exception cref="InvalidOperationException">The picture takes more bytes than one span holds.</exception>
    public ReadOnlySpan<byte> Pixels => IsEmpty ? default
        : Layout.Bytes <= int.MaxValue ? MemoryMarshal.CreateReadOnlySpan(in Lowest, (int)Layout.Bytes)
        : throw new InvalidOperationException(
            $"The picture takes {Layout.Bytes} bytes, more than one span holds. Use {nameof(Row)} instead.");

    /// <summary>The first pixel of the top row, for pinning.</summary>
    internal ref readonly byte Top => ref this.top;

    internal PixelLayout Layout => new(Width, Height, Stride, Format);

    private ref readonly byte Lowest =>
        ref Unsafe.SubtractByteOffset(ref Unsafe.AsRef(in this.top), (nint)Layout.Offset(0));

    /// <summary>Returns the pixels of a row, without the gap after them.</summary>
    /// <param name="y">The row, 0 (the top) to <see cref="Height"/> - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="y"/> is outside the picture.</exception>
    public ReadOnlySpan<byte> Row(int y)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)y, (uint)Height, nameof(y));
        ref byte row = ref Unsafe.AddByteOffset(ref Unsafe.AsRef(in this.top), (nint)y * Stride);
        return MemoryMarshal.CreateReadOnlySpan(in row, Width * Format.BytesPerPixel());
    }

    /// <summary>Returns a view of a part of the picture.</summary>
    /// <param name="x">The left edge; at least 0.</param>
    /// <param name="y">The top edge; at least 0.</param>
    /// <param name="width">The width of the part, in pixels; at least 1.</param>
    /// <param name="height">The height of the part, in pixels; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The part is empty, or it is not inside the picture.</exception>
    public ImageView Crop(int x, int y, int width, int height)
    {
        CheckRange(x, width, Width, nameof(x), nameof(width));
        CheckRange(y, height, Height, nameof(y), nameof(height));
        nint offset = (nint)y * Stride + (nint)x * Format.BytesPerPixel();
        return new ImageView(in Unsafe.AddByteOffset(ref Unsafe.AsRef(in this.top), offset), width, height, Stride, Format)
        {
            SignificantBits = SignificantBits,
        };
    }

    /// <summary>Throws if the view is a default value.</summary>
    internal void ThrowIfEmpty(string parameter)
    {
        if (IsEmpty)
        {
            throw new ArgumentException("The view is empty (a default value).", parameter);
        }
    }

    /// <summary>Returns whether the memory of the view, including its gaps, overlaps a span.</summary>
    internal bool Overlaps(ReadOnlySpan<byte> other)
    {
        if (IsEmpty || other.IsEmpty)
        {
            return false;
        }

        nint offset = Unsafe.ByteOffset(in Lowest, in MemoryMarshal.GetReference(other));
        return offset >= 0 ? offset < Layout.Bytes : -(long)offset < other.Length;
    }

    private static void CheckRange(int start, int length, int size, string startName, string lengthName)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(start, startName);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1, lengthName);
        if ((long)start + length > size)
        {
            throw new ArgumentOutOfRangeException(lengthName, length,
                $"A part that starts at {start} has at most {Math.Max(size - start, 0)} pixels in a picture of {size}.");
        }
    }
}
