using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>
/// Reads the "raw profiles" in which ImageMagick keeps metadata of other formats in the text of a PNG: an empty line, the name, the
/// length, and then the bytes as hexadecimal digits in lines.
/// </summary>
internal static class RawProfile
{
    private static readonly SearchValues<byte> Space = SearchValues.Create(" \t\n\v\f\r"u8);

    /// <summary>Returns the bytes; none if the text is malformed. Like in Pillow, the length in the text is not used.</summary>
    public static ReadOnlySpan<byte> Read(ReadOnlySpan<byte> text)
    {
        for (int line = 0; line < 3; line++)
        {
            int end = text.IndexOf((byte)'\n');
            if (end < 0)
            {
                return [];
            }

            text = text[(end + 1)..];
        }

        byte[] bytes = new byte[text.Length / 2];
        int count = 0;
        while (true)
        {
            int digits = text.IndexOfAnyExcept(Space);
            if (digits < 0)
            {
                return bytes.AsSpan(0, count);
            }

            text = text[digits..];
            int length = text.IndexOfAny(Space);
            ReadOnlySpan<byte> line = length < 0 ? text : text[..length];
            if (Convert.FromHexString(line, bytes.AsSpan(count), out _, out int written) != OperationStatus.Done)
            {
                return [];
            }

            count += written;
            text = text[line.Length..];
        }
    }
}
