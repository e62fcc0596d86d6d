namespace TinyZsad.Imaging;

/// <summary>
/// How large a picture may be before a decoder refuses it. Checked before anything is allocated by a number from the file.
/// </summary>
public sealed record ImageLimits
{
    /// <summary>2^28 pixels (768 MiB decoded), 1 GiB of encoded data.</summary>
    public static ImageLimits Default { get; } = new();

    /// <summary>
    /// The most pixels, width times height; 1 to 715,827,856, what one array of RGB holds. Default 2^28. (A JPEG of several
    /// scans, such as a progressive one, takes 2.2 bytes a sample beside them while it is decoded.)
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of that range.</exception>
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

    /// <summary>The most bytes of an encoded picture; 1 to 2,147,483,591, what one array holds. Default 2^30.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is out of that range.</exception>
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

    /// <summary>Checks a size read from a file.</summary>
    /// <param name="format">The name of the file format, for the message.</param>
    /// <param name="width">The width the file claims.</param>
    /// <param name="height">The height the file claims.</param>
    /// <exception cref="ImageFormatException">A side is below 1, or there are more pixels than allowed.</exception>
    internal void CheckSize(string format, long width, long height)
    {
        if (width is < 1 or > int.MaxValue || height is < 1 or > int.MaxValue)
        {
            throw new ImageFormatException(
                $"{format}: the header claims {width} x {height} pixels; each side must be 1 to {int.MaxValue}.");
        }

        if (width * height > MaxPixels)
        {
            throw new ImageFormatException(
                $"{format}: the header claims {width} x {height} = {width * height} pixels; " +
                $"{nameof(ImageLimits)}.{nameof(MaxPixels)} allows {MaxPixels}.");
        }
    }

    /// <summary>Checks the length of an encoded picture.</summary>
    /// <exception cref="ImageFormatException">There are more bytes than allowed.</exception>
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
