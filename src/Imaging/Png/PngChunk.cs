using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Represents a chunk of a PNG file.</summary>
/// <param name="Type">The four letters of the type, as a big-endian number.</param>
/// <param name="Offset">The offset of the chunk in the file.</param>
/// <param name="Length">The bytes of the data.</param>
internal readonly record struct PngChunk(uint Type, int Offset, int Length)
{
    public const uint Ihdr = 0x49484452, Plte = 0x504C5445, Idat = 0x49444154, Iend = 0x49454E44, Exif = 0x65584966;

    public const uint Text = 0x74455874, CompressedText = 0x7A545874, InternationalText = 0x69545874;

    /// <summary>The bytes before the data (length and type) and after it.</summary>
    public const int HeaderBytes = 8, ChecksumBytes = 4;

    /// <summary>The offset of the data.</summary>
    public int DataOffset => Offset + HeaderBytes;

    /// <summary>The offset of the next chunk.</summary>
    public int End => DataOffset + Length + ChecksumBytes;

    /// <summary>True for a chunk that a decoder must understand; it may skip others.</summary>
    public bool IsCritical => (Type & 0x20000000) == 0;

    /// <summary>Reads a chunk and verifies the checksum of a critical one.</summary>
    /// <param name="png">The file.</param>
    /// <param name="offset">The offset of the chunk.</param>
    /// <param name="context">Cancels the checksum; may be null.</param>
    /// <exception cref="ImageFormatException">The chunk is invalid, truncated or damaged.</exception>
    public static PngChunk Read(ReadOnlySpan<byte> png, int offset, DecodingContext? context)
    {
        int left = png.Length - offset;
        if (left < HeaderBytes + ChecksumBytes)
        {
            throw FormatError.Png(png.Length, $"the data ends at offset {png.Length} where a chunk should follow; " +
                "the file is cut off before its IEND chunk.");
        }

        ReadOnlySpan<byte> header = png.Slice(offset, HeaderBytes);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(header), type = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        foreach (byte letter in header[4..])
        {
            if (!char.IsAsciiLetter((char)letter))
            {
                throw FormatError.Png(offset, $"at offset {offset} a chunk should start, but its type is " +
                    $"{Convert.ToHexString(header[4..])}, not four letters.");
            }
        }

        if (length > left - HeaderBytes - ChecksumBytes)
        {
            throw FormatError.Png(offset, $"chunk {Name(type)} at offset {offset} claims {length} bytes, but only " +
                $"{left - HeaderBytes - ChecksumBytes} are left; the file is cut off or the length is damaged.");
        }

        PngChunk chunk = new PngChunk(type, offset, (int)length);
        if (chunk.IsCritical && !chunk.IsIntact(png, context))
        {
            throw FormatError.Png(chunk.Offset, $"chunk {chunk} is damaged: its checksum is " +
                $"{chunk.ComputeChecksum(png, context):X8}, the file says {chunk.StoredChecksum(png):X8}.");
        }

        return chunk;
    }

    /// <summary>Determines whether the data match the checksum.</summary>
    public bool IsIntact(ReadOnlySpan<byte> png, DecodingContext? context) => StoredChecksum(png) == ComputeChecksum(png, context);

    public ReadOnlySpan<byte> Data(ReadOnlySpan<byte> png) => png.Slice(DataOffset, Length);

    public override string ToString() => $"{Name(Type)} at offset {Offset}";

    private uint StoredChecksum(ReadOnlySpan<byte> png) => BinaryPrimitives.ReadUInt32BigEndian(png[(End - ChecksumBytes)..]);

    private uint ComputeChecksum(ReadOnlySpan<byte> png, DecodingContext? context)
    {
        ReadOnlySpan<byte> data = png.Slice(Offset + 4, 4 + Length);
        uint checksum = 0;
        while (!data.IsEmpty)
        {
            context?.ThrowIfCancelled();
            int count = Math.Min(data.Length, 1 << 20);
            checksum = Crc32.Compute(data[..count], checksum);
            data = data[count..];
        }

        return checksum;
    }

    private static string Name(uint type) =>
        $"{(char)(type >> 24)}{(char)(byte)(type >> 16)}{(char)(byte)(type >> 8)}{(char)(byte)type}";
}
