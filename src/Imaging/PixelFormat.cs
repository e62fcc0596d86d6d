namespace TinyZsad.Imaging;

/// <summary>
/// Specifies the bytes of a pixel in memory. Samples have 8 bits, except those of <see cref="Gray16"/>. Alpha is ignored.
/// </summary>
public enum PixelFormat
{
    /// <summary>Three bytes: red, green, blue.</summary>
    Rgb24,

    /// <summary>Three bytes: blue, green, red.</summary>
    Bgr24,

    /// <summary>Four bytes: red, green, blue, alpha.</summary>
    Rgba32,

    /// <summary>Four bytes: blue, green, red, alpha.</summary>
    Bgra32,

    /// <summary>One byte of gray, which stands for all three channels.</summary>
    Gray8,

    /// <summary>
    /// Two bytes of gray, the low byte first, at any address. The pixel stands for the 8-bit gray that
    /// <see cref="ImageView.SignificantBits"/> describes. Cameras call the format Mono10, Mono12 or Mono16.
    /// </summary>
    Gray16,
}

/// <summary>Provides extension methods for <see cref="PixelFormat"/>.</summary>
internal static class PixelFormats
{
    /// <summary>Returns the number of bytes of a pixel: 1 to 4.</summary>
    /// <param name="format">The format.</param>
    /// <exception cref="ArgumentOutOfRangeException">The format is not defined.</exception>
    public static int BytesPerPixel(this PixelFormat format) => format switch
    {
        PixelFormat.Rgb24 or PixelFormat.Bgr24 => 3,
        PixelFormat.Rgba32 or PixelFormat.Bgra32 => 4,
        PixelFormat.Gray16 => 2,
        PixelFormat.Gray8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Not a pixel format."),
    };

    /// <summary>Returns whether a pixel is gray.</summary>
    public static bool IsGray(this PixelFormat format) => format is PixelFormat.Gray8 or PixelFormat.Gray16;

    /// <summary>Returns the number of samples of a pixel, and so its bytes with 8 bits per sample: 1, 3 or 4.</summary>
    /// <inheritdoc cref="BytesPerPixel"/>
    public static int Channels(this PixelFormat format) => format.IsGray() ? 1 : format.BytesPerPixel();
}
