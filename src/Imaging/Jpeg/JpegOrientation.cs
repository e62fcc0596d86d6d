namespace TinyZsad.Imaging;

/// <summary>
/// Finds the orientation of a JPEG in the APP1 segments before the first scan: in the first one with Exif data and, if that has no
/// orientation tag, in the last one with XMP, like Pillow's <c>ImageOps.exif_transpose</c>.
/// </summary>
internal struct JpegOrientation
{
    private JpegSegment? exif, xmp;

    /// <summary>The first bytes of a segment with XMP.</summary>
    private static ReadOnlySpan<byte> XmpSignature => "http://ns.adobe.com/xap/1.0/\0"u8;

    /// <summary>Remembers an APP1 segment if it can contain the orientation.</summary>
    public void Note(JpegSegment segment, ReadOnlySpan<byte> jpeg)
    {
        ReadOnlySpan<byte> data = segment.Data(jpeg);
        if (data.StartsWith(ExifOrientation.Signature))
        {
            this.exif ??= segment;
        }
        else if (data.StartsWith(XmpSignature))
        {
            this.xmp = segment;
        }
    }

    /// <summary>Returns the orientation, 1 to 8.</summary>
    public readonly int Read(ReadOnlySpan<byte> jpeg) =>
        (this.exif is { } exif ? ExifOrientation.Read(exif.Data(jpeg)) : null)
        ?? (this.xmp is { } xmp ? XmpOrientation.Read(xmp.Data(jpeg)) : null)
        ?? ExifOrientation.Upright;
}
