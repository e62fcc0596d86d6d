using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>Specifies how a picture is decoded.</summary>
public sealed record ImageLoadOptions
{
    /// <summary>
    /// The value of <see cref="SignificantBits"/> that stands for the smallest depth, of at least 8 bits, that holds the largest sample
    /// of the picture. It differs from picture to picture, so it does not suit the pictures of one camera that are compared.
    /// </summary>
    public const int AutoSignificantBits = 0;

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
    /// Gets a value that indicates whether a JPEG, PNG or TIFF picture is rotated and mirrored as its Exif orientation tag says or, if a
    /// JPEG or PNG has none, the orientation in its XMP, like Pillow's <c>ImageOps.exif_transpose</c>. A PNG can have them in eXIf and in
    /// textual chunks, ImageMagick's "raw profiles" among them; a TIFF has the tag in its directory. Malformed metadata are
    /// ignored. The default is false.
    /// </summary>
    public bool ApplyExifOrientation { get; init; }

    /// <summary>
    /// Gets the number of bits that the samples of a file with 16-bit samples use: 8 to 16, or <see cref="AutoSignificantBits"/>. A sample
    /// s becomes the 8-bit sample min(s >> (bits - 8), 255). The default is 16: the high byte. A camera with 12 bits needs 12; with the
    /// default, its pictures have 16 levels.
    /// </summary>
    /// <remarks>
    /// The option applies to PNG and TIFF with 16 bits per sample and to PNM and PAM with a maximum of 65535, whose samples are scaled to
    /// 0..255 and rounded at 16 bits. It does not apply to other files: a PNM with another maximum, and a TIFF with samples of 10, 12 or
    /// 14 bits, state their range. With
    /// <see cref="AutoSignificantBits"/>, a file may be decoded twice.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of range.</exception>
    public int SignificantBits
    {
        get;
        init
        {
            if (value != AutoSignificantBits)
            {
                DeepSamples.CheckBits(value);
            }

            field = value;
        }
    } = DeepSamples.MostBits;

    /// <summary>
    /// Gets the pool from which the array for the pixels is rented. <see cref="Image.Dispose"/> returns the array. The default is
    /// null: a new array is allocated.
    /// </summary>
    public ArrayPool<byte>? Pool { get; init; }

    /// <summary>Gets the formats that are decoded, in the order in which they are tried. A package adds its own.</summary>
    internal IReadOnlyList<ImageFormat> Formats { get; init; } = ImageFormat.BuiltIn;

    internal static ImageLoadOptions Default { get; } = new();
}
