namespace TinyZsad.Imaging;

/// <summary>How the bytes of one pixel lie in memory. All samples are 8 bits; alpha is never read.</summary>
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

    /// <summary>One byte, taken for all three channels.</summary>
    Gray8,
}

/// <summary>What follows from a <see cref="PixelFormat"/>.</summary>
public static class PixelFormats
{
    /// <summary>Bytes a pixel: 1, 3 or 4.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The format is none of the enumeration's.</exception>
    public static int BytesPerPixel(this PixelFormat format) => format switch
    {
        PixelFormat.Rgb24 or PixelFormat.Bgr24 => 3,
        PixelFormat.Rgba32 or PixelFormat.Bgra32 => 4,
        PixelFormat.Gray8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Not a pixel format."),
    };
}
