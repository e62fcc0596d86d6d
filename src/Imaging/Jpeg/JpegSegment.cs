using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Represents a marker with its parameters.</summary>
/// <param name="Marker">The byte after 0xFF.</param>
/// <param name="Offset">The offset of the marker.</param>
/// <param name="DataOffset">The offset of the parameters.</param>
/// <param name="Length">The bytes of the parameters.</param>
internal readonly record struct JpegSegment(byte Marker, int Offset, int DataOffset, int Length)
{
    /// <summary>The offset after the segment.</summary>
    public int End => DataOffset + Length;

    /// <summary>
    /// Returns the first segment at or after an offset; null if there is none. Other bytes are skipped, like in libjpeg: padding and
    /// remaining data of a scan.
    /// </summary>
    /// <exception cref="ImageFormatException">The parameters are truncated, or their length is invalid.</exception>
    public static JpegSegment? Next(ReadOnlySpan<byte> jpeg, int offset)
    {
        int at = FindMarker(jpeg, offset);
        if (at < 0)
        {
            return null;
        }

        byte marker = jpeg[at + 1];
        if (JpegMarker.StandsAlone(marker))
        {
            return new JpegSegment(marker, at, at + 2, 0);
        }

        int left = jpeg.Length - at - 2, length = left >= 2 ? BinaryPrimitives.ReadUInt16BigEndian(jpeg[(at + 2)..]) : 2;
        if (length > left)
        {
            throw FormatError.Jpeg(at, $"{JpegMarker.Name(marker)} at offset {at} claims {length} bytes, but only " +
                $"{left} are left; the file is cut off or the length is damaged.");
        }

        if (length < 2)
        {
            throw FormatError.Jpeg(at, $"{JpegMarker.Name(marker)} at offset {at} claims {length} bytes; " +
                "its length itself takes 2.");
        }

        return new JpegSegment(marker, at, at + 4, length - 2);
    }

    /// <summary>Returns the parameters.</summary>
    public ReadOnlySpan<byte> Data(ReadOnlySpan<byte> jpeg) => jpeg.Slice(DataOffset, Length);

    public override string ToString() => $"{JpegMarker.Name(Marker)} at offset {Offset}";

    /// <summary>Returns the offset of the next marker; -1 if there is none.</summary>
    private static int FindMarker(ReadOnlySpan<byte> jpeg, int offset)
    {
        while (offset < jpeg.Length - 1)
        {
            int found = jpeg[offset..^1].IndexOf((byte)0xFF);
            if (found < 0)
            {
                return -1;
            }

            offset += found;
            if (jpeg[offset + 1] is not (0x00 or 0xFF))
            {
                return offset;
            }

            // 0xFF 0x00 is a byte of a scan. 0xFF 0xFF is padding before a marker.
            offset += jpeg[offset + 1] == 0 ? 2 : 1;
        }

        return -1;
    }
}
