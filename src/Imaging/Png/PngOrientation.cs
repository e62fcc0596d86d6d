namespace TinyZsad.Imaging;

/// <summary>
/// Finds the orientation of a PNG: in Exif data, which are in eXIf or in the text "exif" or "Raw profile type exif", and if those have
/// no orientation tag, in XMP. These are the sources of Pillow's <c>ImageOps.exif_transpose</c>, in its order; the last chunk of a kind
/// counts. ImageMagick's other profiles follow, which ExifTool reads.
/// </summary>
/// <remarks>What is malformed or has a wrong checksum is ignored, so the worst metadata leave the picture as it is stored.</remarks>
internal struct PngOrientation
{
    private PngChunk? exif, exifProfile, xmp, segmentProfile, xmpProfile;

    /// <summary>Remembers a chunk if it can contain the orientation.</summary>
    /// <param name="chunk">An ancillary chunk.</param>
    /// <param name="png">The file.</param>
    /// <param name="context">Cancels the checksum; may be null.</param>
    public void Note(PngChunk chunk, ReadOnlySpan<byte> png, DecodingContext? context)
    {
        ReadOnlySpan<byte> keyword = PngText.IsText(chunk) ? PngText.Keyword(chunk.Data(png)) : [];
        if (chunk.Type == PngChunk.Exif || (chunk.Type == PngChunk.Text && keyword.SequenceEqual("exif"u8)))
        {
            this.exif = Latest(this.exif, chunk, png, context);
        }
        else if (keyword.SequenceEqual("Raw profile type exif"u8))
        {
            exifProfile = Latest(exifProfile, chunk, png, context);
        }
        else if (keyword.SequenceEqual("XML:com.adobe.xmp"u8))
        {
            xmp = Latest(xmp, chunk, png, context);
        }
        else if (keyword.SequenceEqual("Raw profile type APP1"u8))
        {
            segmentProfile = Latest(segmentProfile, chunk, png, context);
        }
        else if (keyword.SequenceEqual("Raw profile type xmp"u8))
        {
            xmpProfile = Latest(xmpProfile, chunk, png, context);
        }
    }

    /// <summary>Returns the orientation, 1 to 8.</summary>
    public readonly int Read(ReadOnlySpan<byte> png)
    {
        ReadOnlySpan<byte> exifData = this.exif is null ? RawProfile.Read(Data(exifProfile, png)) : Data(this.exif, png);
        if ((ExifOrientation.Read(exifData) ?? XmpOrientation.Read(Data(xmp, png))) is { } orientation)
        {
            return orientation;
        }

        // An APP1 segment of a JPEG contains Exif data or XMP.
        ReadOnlySpan<byte> segment = RawProfile.Read(Data(segmentProfile, png));
        return ExifOrientation.Read(segment)
            ?? XmpOrientation.Read(segment)
            ?? XmpOrientation.Read(RawProfile.Read(Data(xmpProfile, png)))
            ?? ExifOrientation.Upright;
    }

    private static PngChunk? Latest(PngChunk? earlier, PngChunk chunk, ReadOnlySpan<byte> png, DecodingContext? context) =>
        chunk.IsIntact(png, context) ? chunk : earlier;

    private static ReadOnlySpan<byte> Data(PngChunk? chunk, ReadOnlySpan<byte> png) => chunk switch
    {
        null => [],
        { Type: PngChunk.Exif } exif => exif.Data(png),
        { } text => PngText.Read(text, text.Data(png)),
    };
}
