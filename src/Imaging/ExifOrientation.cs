using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Reads and applies the Exif orientation tag (1 to 8), like Pillow's <c>ImageOps.exif_transpose</c>.</summary>
internal static class ExifOrientation
{
    /// <summary>The orientation of a picture that is stored as it is seen.</summary>
    public const int Upright = 1;

    private const ushort Tag = 0x0112;

    /// <summary>The bytes before Exif data in a JPEG segment. Some writers put them into other formats too.</summary>
    public static ReadOnlySpan<byte> Signature => "Exif\0\0"u8;

    /// <summary>
    /// Returns the orientation in Exif data (a TIFF header and its directories, perhaps after <see cref="Signature"/>);
    /// <see cref="Upright"/> if the tag is invalid, and null if there is none.
    /// </summary>
    public static int? Read(ReadOnlySpan<byte> tiff)
    {
        while (tiff.StartsWith(Signature))
        {
            tiff = tiff[Signature.Length..];
        }

        if (tiff.Length < 8 || !(tiff.StartsWith("II*\0"u8) || tiff.StartsWith("MM\0*"u8)))
        {
            return null;
        }

        bool little = tiff[0] == 'I';
        uint directory = Word(tiff[4..], little);
        if (directory > tiff.Length - 2)
        {
            return null;
        }

        // Entries of 12 bytes: tag, type, count, and the value if it fits.
        int count = Half(tiff[(int)directory..], little);
        ReadOnlySpan<byte> entries = tiff[((int)directory + 2)..];
        for (int i = 0; i < count && entries.Length >= 12; i++, entries = entries[12..])
        {
            if (Half(entries, little) == Tag)
            {
                // A SHORT, as the standard says, or a LONG.
                uint value = (Half(entries[2..], little), Word(entries[4..], little)) switch
                {
                    (3, 1) => Half(entries[8..], little),
                    (4, 1) => Word(entries[8..], little),
                    _ => Upright,
                };
                return value is >= 1 and <= 8 ? (int)value : Upright;
            }
        }

        return null;
    }

    /// <summary>Returns the size of an upright picture.</summary>
    public static (int Width, int Height) SizeOf(int width, int height, int orientation) =>
        orientation >= 5 ? (height, width) : (width, height);

    /// <summary>Writes a picture's pixels as they are seen upright.</summary>
    /// <param name="pixels">The stored RGB pixels.</param>
    /// <param name="width">The stored width.</param>
    /// <param name="height">The stored height.</param>
    /// <param name="orientation">The orientation, 1 to 8.</param>
    /// <param name="turned">Receives the pixels.</param>
    /// <param name="cancellationToken">Cancels between two rows.</param>
    public static void Apply(
        ReadOnlySpan<byte> pixels, int width, int height, int orientation, Span<byte> turned, CancellationToken cancellationToken)
    {
        // Places of stored pixels: that of the first pixel of the result, and the steps to the next column and row of the result.
        int left = 0, top = 0, right = width - 1, bottom = (height - 1) * width;
        (int first, int step, int down) = orientation switch
        {
            1 => (left + top, 1, width),
            2 => (right + top, -1, width),
            3 => (right + bottom, -1, -width),
            4 => (left + bottom, 1, -width),
            5 => (left + top, width, 1),
            6 => (left + bottom, -width, 1),
            7 => (right + bottom, -width, -1),
            _ => (right + top, width, -1),
        };
        (int newWidth, int newHeight) = SizeOf(width, height, orientation);
        for (int y = 0, to = 0; y < newHeight; y++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            for (int x = 0, from = first + y * down; x < newWidth; x++, from += step, to += 3)
            {
                (turned[to], turned[to + 1], turned[to + 2]) = (pixels[3 * from], pixels[3 * from + 1], pixels[3 * from + 2]);
            }
        }
    }

    private static ushort Half(ReadOnlySpan<byte> data, bool little) =>
        little ? BinaryPrimitives.ReadUInt16LittleEndian(data) : BinaryPrimitives.ReadUInt16BigEndian(data);

    private static uint Word(ReadOnlySpan<byte> data, bool little) =>
        little ? BinaryPrimitives.ReadUInt32LittleEndian(data) : BinaryPrimitives.ReadUInt32BigEndian(data);
}
