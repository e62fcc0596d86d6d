namespace TinyZsad.Imaging;

/// <summary>Reads the orientation in an XMP packet, like Pillow's <c>ImageOps.exif_transpose</c>.</summary>
internal static class XmpOrientation
{
    /// <summary>
    /// Returns the digit of the first <c>tiff:Orientation="6"</c> or <c>&lt;tiff:Orientation&gt;6</c>;
    /// <see cref="ExifOrientation.Upright"/> if it is not 1 to 8, and null if there is none. As in Pillow, the XML is searched and not
    /// parsed, so the packet need not be well-formed and no entity is resolved.
    /// </summary>
    public static int? Read(ReadOnlySpan<byte> xmp)
    {
        ReadOnlySpan<byte> name = "tiff:Orientation"u8;
        for (int at = xmp.IndexOf(name); at >= 0; at = xmp.IndexOf(name))
        {
            xmp = xmp[(at + name.Length)..];
            int digit = xmp switch
            {
                [(byte)'=', (byte)'"', var first, ..] => first - '0',
                [(byte)'>', var first, ..] => first - '0',
                _ => -1,
            };
            if (digit is >= 0 and <= 9)
            {
                return digit is >= 1 and <= 8 ? digit : ExifOrientation.Upright;
            }
        }

        return null;
    }
}
