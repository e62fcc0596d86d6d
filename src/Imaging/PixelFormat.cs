namespace TinyZsad.Imaging;

/// <summary>Specifies the bytes of a pixel in memory. All samples have 8 bits. Alpha is ignored.</summary>
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
}

/// <summary>Provides extension methods for <see cref="PixelFormat"/>.</summary>
internal static class PixelFormats
{
    /// <summary>Returns the number of bytes of a pixel: 1, 3 or 4.</summary>
    /// <param name="format">The format.</param>
    /// <exception cref="ArgumentOutOfRangeException">The format is not defined.</exception>
    public static int BytesPerPixel(this PixelFormat format) => format switch
    {
        PixelFormat.Rgb24 or PixelFormat.Bgr24 => 3,
        PixelFormat.Rgba32 or PixelFormat.Bgra32 => 4,
        PixelFormat.Gray8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Not a pixel format."),
    };
}
