using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>Specifies how a picture is decoded.</summary>
public sealed record ImageLoadOptions
{
    /// <summary>Gets the size limits. The default is <see cref="ImageLimits.Default"/>.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    public ImageLimits Limits
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = ImageLimits.Default;

    /// <summary>
    /// Gets a value that indicates whether a JPEG or PNG picture is rotated and mirrored as its Exif orientation tag says, like
    /// Pillow's <c>ImageOps.exif_transpose</c>. The default is false.
    /// </summary>
    public bool ApplyExifOrientation { get; init; }

    /// <summary>
    /// Gets the pool from which the array for the pixels is rented. <see cref="Image.Dispose"/> returns the array. The default is
    /// null: a new array is allocated.
    /// </summary>
    public ArrayPool<byte>? Pool { get; init; }

    /// <summary>Gets the formats that are decoded, in the order in which they are tried. A package adds its own.</summary>
    internal IReadOnlyList<ImageFormat> Formats { get; init; } = ImageFormat.BuiltIn;

    internal static ImageLoadOptions Default { get; } = new();
}
