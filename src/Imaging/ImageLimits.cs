namespace TinyZsad.Imaging;

/// <summary>
/// Specifies how large a picture may be. The decoders check the limits before they allocate memory for a size that a file claims.
/// </summary>
public sealed record ImageLimits
{
    /// <summary>Gets the default limits: 2^28 pixels (768 MiB decoded) and 1 GiB of encoded data.</summary>
    public static ImageLimits Default { get; } = new();

    /// <summary>
    /// Gets the maximum number of pixels (width times height): 1 to 715,827,863, which is as many as one array holds as RGB. The
    /// default is 2^28. A JPEG with several scans, such as a progressive one, takes another 2.2 bytes per sample while it is decoded.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of range.</exception>
    public int MaxPixels
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength / 3);
            field = value;
        }
    } = 1 << 28;

    /// <summary>
    /// Gets the maximum number of bytes of an encoded picture: 1 to 2,147,483,591, which is as many as one array holds. The default is
    /// 2^30.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of range.</exception>
    public int MaxEncodedBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength);
            field = value;
        }
    } = 1 << 30;

    /// <summary>Checks a size that a file claims.</summary>
    /// <param name="format">The file format.</param>
    /// <param name="offset">The offset of the size in the file.</param>
    /// <param name="width">The width.</param>
    /// <param name="height">The height.</param>
    /// <param name="what">What has the size, before the numbers; null for the picture.</param>
    /// <exception cref="ImageFormatException">The width or the height is less than 1, or there are too many pixels.</exception>
    internal void CheckSize(string format, long offset, long width, long height, string? what = null)
    {
        if (width is < 1 or > int.MaxValue || height is < 1 or > int.MaxValue)
        {
            throw FormatError.Create(format, offset,
                $"the header claims {width} x {height} pixels; each side must be 1 to {int.MaxValue}.");
        }

        if (width * height > MaxPixels)
        {
            string claim = what is null ? "" : what + " ";
            throw FormatError.Create(format, offset, $"the header claims {claim}{width} x {height} = {width * height} pixels; " +
                $"{nameof(ImageLimits)}.{nameof(MaxPixels)} allows {MaxPixels}.");
        }
    }

    /// <summary>Checks the length of encoded data.</summary>
    /// <exception cref="ImageFormatException">There are too many bytes.</exception>
    internal void CheckEncodedBytes(long length)
    {
        if (length > MaxEncodedBytes)
        {
            throw new ImageFormatException(
                $"The encoded picture has {length} bytes or more; " +
                $"{nameof(ImageLimits)}.{nameof(MaxEncodedBytes)} allows {MaxEncodedBytes}.");
        }
    }
}
