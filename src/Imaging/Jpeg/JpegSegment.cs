using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>One marker of a JPEG file with its parameters, if it has any: where it starts, and where they lie.</summary>
internal readonly record struct JpegSegment(byte Marker, int Offset, int DataOffset, int Length)
{
    /// <summary>Where what follows starts.</summary>
    public int End => DataOffset + Length;

    /// <summary>
    /// The first marker at or after an offset, wholly inside the data, or null where there is none. What lies between segments
    /// and is no marker is passed over, as libjpeg does: bytes of padding, 0xFF repeated, left-over data of a scan.
    /// </summary>
    /// <exception cref="ImageFormatException">The parameters are cut off, or their length is impossible.</exception>
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

    /// <summary>The parameters.</summary>
    public ReadOnlySpan<byte> Data(ReadOnlySpan<byte> jpeg) => jpeg.Slice(DataOffset, Length);

    public override string ToString() => $"{JpegMarker.Name(Marker)} at offset {Offset}";

    /// <summary>Where the last 0xFF before a marker's byte lies, or -1.</summary>
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

            // 0xFF 0x00 is a byte of a scan; 0xFF 0xFF is padding before the marker.
            offset += jpeg[offset + 1] == 0 ? 2 : 1;
        }

        return -1;
    }
}
