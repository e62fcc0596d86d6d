using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>One chunk of a PNG file: its type as four letters packed big-endian, its place and its length.</summary>
internal readonly record struct PngChunk(uint Type, int Offset, int Length)
{
    public const uint Ihdr = 0x49484452, Plte = 0x504C5445, Idat = 0x49444154, Iend = 0x49454E44, Exif = 0x65584966;

    /// <summary>Length and type before the data, and the checksum after it.</summary>
    public const int HeaderBytes = 8, ChecksumBytes = 4;

    /// <summary>Where the data starts.</summary>
    public int DataOffset => Offset + HeaderBytes;

    /// <summary>Where the next chunk starts.</summary>
    public int End => DataOffset + Length + ChecksumBytes;

    /// <summary>
    /// A decoder must understand a critical chunk; it may skip any other. The first letter's case says which it is.
    /// </summary>
    public bool IsCritical => (Type & 0x20000000) == 0;

    /// <summary>The chunk at an offset, wholly inside the data; the checksum of a critical one is right.</summary>
    /// <exception cref="ImageFormatException">It is cut off, not a chunk, or damaged.</exception>
    public static PngChunk Read(ReadOnlySpan<byte> png, int offset)
    {
        int left = png.Length - offset;
        if (left < HeaderBytes + ChecksumBytes)
        {
            throw new ImageFormatException($"PNG: the data ends at offset {png.Length} where a chunk should follow; " +
                "the file is cut off before its IEND chunk.");
        }

        ReadOnlySpan<byte> header = png.Slice(offset, HeaderBytes);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(header), type = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        foreach (byte letter in header[4..])
        {
            if (!char.IsAsciiLetter((char)letter))
            {
                throw new ImageFormatException($"PNG: at offset {offset} a chunk should start, but its type is " +
                    $"{Convert.ToHexString(header[4..])}, not four letters.");
            }
        }

        if (length > left - HeaderBytes - ChecksumBytes)
        {
            throw new ImageFormatException($"PNG: chunk {Name(type)} at offset {offset} claims {length} bytes, but only " +
                $"{left - HeaderBytes - ChecksumBytes} are left; the file is cut off or the length is damaged.");
        }

        PngChunk chunk = new PngChunk(type, offset, (int)length);
        if (chunk.IsCritical)
        {
            uint stored = BinaryPrimitives.ReadUInt32BigEndian(png[(chunk.End - ChecksumBytes)..]);
            uint computed = Crc32.Compute(png.Slice(offset + 4, 4 + chunk.Length));
            if (stored != computed)
            {
                throw new ImageFormatException($"PNG: chunk {chunk} is damaged: its checksum is {computed:X8}, " +
                    $"the file says {stored:X8}.");
            }
        }

        return chunk;
    }

    public ReadOnlySpan<byte> Data(ReadOnlySpan<byte> png) => png.Slice(DataOffset, Length);

    public override string ToString() => $"{Name(Type)} at offset {Offset}";

    private static string Name(uint type) =>
        $"{(char)(type >> 24)}{(char)(byte)(type >> 16)}{(char)(byte)(type >> 8)}{(char)(byte)type}";
}
