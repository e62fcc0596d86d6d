namespace TinyZsad.Imaging;

/// <summary>Provides an extension method that adds TIFF to the formats that are decoded.</summary>
public static class TiffImageLoadOptions
{
    /// <summary>
    /// Returns options with which <see cref="Image.Load(string, ImageLoadOptions?, CancellationToken)"/> and the other methods of
    /// <see cref="Image"/> decode TIFF and BigTIFF files too.
    /// </summary>
    /// <param name="options">The options. They are not changed.</param>
    /// <param name="page">
    /// The page of a TIFF file that is decoded, 1 or greater; 1 is the first page and the default. For a file with fewer pages, loading
    /// throws an <see cref="ImageFormatException"/> that says how many there are. Other formats have one page, whatever the number.
    /// </param>
    /// <returns>A copy of the options with TIFF. If they had TIFF already, the new page replaces the old one.</returns>
    /// <remarks>
    /// <para>
    /// Gray, RGB, CMYK and palette pictures of 1 to 16 bits per sample are decoded, in strips or tiles, and YCbCr pictures that are
    /// compressed as JPEG. The compression is none, LZW, Deflate, PackBits, CCITT (modified Huffman, group 3 and 4) or JPEG. Pictures
    /// with signed or floating-point samples or samples of more than 16 bits, and other compressions, are refused with a message that
    /// names what they have.
    /// </para>
    /// <para>
    /// The pixels are those of Pillow's <c>Image.open(f).convert("RGB")</c>, with two exceptions. Samples of 16 bits are narrowed as
    /// <see cref="ImageLoadOptions.SignificantBits"/> says, and samples of 10 to 14 bits to their 8 highest bits. The orientation tag is
    /// applied only if <see cref="ImageLoadOptions.ApplyExifOrientation"/> is set; Pillow always applies it to a TIFF. Colours that are
    /// multiplied with an alpha are divided by it.
    /// </para>
    /// <para>
    /// LZW, Deflate and CCITT are decoded by the package BitMiracle.LibTiff.NET. Its process-wide error handler is replaced by one that
    /// passes on the messages of all other users of that package to the handler before it. The method can be called on any thread, and
    /// any number of threads can load pictures with the same options.
    /// </para>
    /// </remarks>
    /// <exception cref="ArgumentNullException">The options are null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The page is less than 1.</exception>
    public static ImageLoadOptions WithTiff(this ImageLoadOptions options, int page = 1)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(page, 1);
        return options with
        {
            Formats = [.. options.Formats.Where(format => format.Name != TiffDecoder.Format), TiffDecoder.FormatOf(page)],
        };
    }
}
