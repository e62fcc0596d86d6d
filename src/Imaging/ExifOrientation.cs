using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>
/// How a camera was held: Exif's orientation tag, 1 to 8, and what it asks for. As Pillow's <c>ImageOps.exif_transpose</c>.
/// </summary>
internal static class ExifOrientation
{
    private const ushort Tag = 0x0112;

    /// <summary>
    /// The orientation in Exif data, a TIFF header and its directories, or 1 (upright) where there is none that can be understood.
    /// </summary>
    public static int Read(ReadOnlySpan<byte> tiff)
    {
        if (tiff.Length < 8 || !(tiff.StartsWith("II*\0"u8) || tiff.StartsWith("MM\0*"u8)))
        {
            return 1;
        }

        bool little = tiff[0] == 'I';
        uint directory = Word(tiff[4..], little);
        if (directory > tiff.Length - 2)
        {
            return 1;
        }

        // Entries of 12 bytes: tag, type, count, and the value if it fits.
        int count = Half(tiff[(int)directory..], little);
        ReadOnlySpan<byte> entries = tiff[((int)directory + 2)..];
        for (int i = 0; i < count && entries.Length >= 12; i++, entries = entries[12..])
        {
            if (Half(entries, little) == Tag && Word(entries[4..], little) == 1)
            {
                uint value = Half(entries[2..], little) switch
                {
                    3 => Half(entries[8..], little),
                    4 => Word(entries[8..], little),
                    _ => 1,
                };
                return value is >= 1 and <= 8 ? (int)value : 1;
            }
        }

        return 1;
    }

    /// <summary>The picture turned upright.</summary>
    public static Image Apply(Image image, int orientation)
    {
        if (orientation == 1)
        {
            return image;
        }

        // Where the result's pixels lie in the picture: the first, how far it is to the next, and to the next row's.
        (int width, int height) = (image.Width, image.Height);
        (int left, int top) = (0, 0);
        (int right, int bottom) = (width - 1, (height - 1) * width);
        (int first, int step, int down) = orientation switch
        {
            2 => (right + top, -1, width),
            3 => (right + bottom, -1, -width),
            4 => (left + bottom, 1, -width),
            5 => (left + top, width, 1),
            6 => (left + bottom, -width, 1),
            7 => (right + bottom, -width, -1),
            _ => (right + top, width, -1),
        };
        (int newWidth, int newHeight) = orientation >= 5 ? (height, width) : (width, height);
        byte[] turned = Image.AllocatePixels(newWidth, newHeight);
        ReadOnlySpan<byte> pixels = image.Pixels;
        for (int y = 0, to = 0; y < newHeight; y++)
        {
            for (int x = 0, from = first + y * down; x < newWidth; x++, from += step, to += 3)
            {
                (turned[to], turned[to + 1], turned[to + 2]) = (pixels[3 * from], pixels[3 * from + 1], pixels[3 * from + 2]);
            }
        }

        return new Image(newWidth, newHeight, turned);
    }

    private static ushort Half(ReadOnlySpan<byte> data, bool little) =>
        little ? BinaryPrimitives.ReadUInt16LittleEndian(data) : BinaryPrimitives.ReadUInt16BigEndian(data);

    private static uint Word(ReadOnlySpan<byte> data, bool little) =>
        little ? BinaryPrimitives.ReadUInt32LittleEndian(data) : BinaryPrimitives.ReadUInt32BigEndian(data);
}
