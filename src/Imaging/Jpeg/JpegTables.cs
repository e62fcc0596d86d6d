using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Holds what DQT, DHT and DRI define for the scans that follow.</summary>
internal sealed class JpegTables
{
    /// <summary>The number of tables of each kind.</summary>
    public const int Slots = 4;

    private readonly ushort[]?[] quantisation = new ushort[]?[Slots];
    private readonly CodeSlot?[] dc = new CodeSlot?[Slots], ac = new CodeSlot?[Slots];

    /// <summary>The MCUs between restart markers; 0 if there are none.</summary>
    public int RestartInterval { get; private set; }

    /// <summary>The indices in the block of the coefficients in zigzag order.</summary>
    public static ReadOnlySpan<byte> NaturalOrder =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55,
        62, 63,
    ];

    /// <summary>Returns the 64 steps of a quantisation table in natural order; null if it is not defined.</summary>
    public ushort[]? Quantisation(int slot) => quantisation[slot];

    /// <summary>
    /// Returns the Huffman code of a scan's DC or AC symbols. If a sequential file, such as a Motion JPEG frame, defines none, it is the
    /// standard's typical one.
    /// </summary>
    public HuffmanCode Code(bool dc, int slot, bool progressive, JpegSegment scan)
    {
        if (slot >= Slots)
        {
            throw FormatError.Jpeg(scan.Offset, $"{scan} names Huffman table {slot}; there are 0 to {Slots - 1}.");
        }

        if ((dc ? this.dc : ac)[slot] is { } defined)
        {
            return defined.Code ?? throw FormatError.Jpeg(scan.Offset, $"{scan} needs {(dc ? "DC" : "AC")} Huffman table " +
                $"{slot} of {defined.Source}, which has more codes of some length than there can be, or a meaningless symbol.");
        }

        HuffmanCode[] typical = dc ? TypicalHuffmanCodes.Dc : TypicalHuffmanCodes.Ac;
        return !progressive && slot < typical.Length ? typical[slot] : throw FormatError.Jpeg(scan.Offset,
                $"{scan} needs {(dc ? "DC" : "AC")} Huffman table {slot}, which no DHT before it defines.");
    }

    public void ReadQuantisation(ReadOnlySpan<byte> jpeg, JpegSegment segment)
    {
        ReadOnlySpan<byte> left = segment.Data(jpeg);
        while (!left.IsEmpty)
        {
            int slot = left[0] & 15, bytes = left[0] >> 4 == 0 ? 1 : 2;
            if (slot >= Slots || left[0] >> 4 > 1 || left.Length < 1 + 64 * bytes)
            {
                throw FormatError.Jpeg(segment.Offset, $"{segment} defines quantisation table {slot} of precision " +
                    $"{left[0] >> 4} with {left.Length - 1} bytes; a table is 0 to {Slots - 1}, its precision 0 or 1, " +
                    "and it takes 64 or 128 bytes.");
            }

            ushort[] table = new ushort[64];
            for (int i = 0; i < 64; i++)
            {
                ReadOnlySpan<byte> step = left.Slice(1 + i * bytes, bytes);
                table[NaturalOrder[i]] = bytes == 1 ? step[0] : BinaryPrimitives.ReadUInt16BigEndian(step);
            }

            quantisation[slot] = table;
            left = left[(1 + 64 * bytes)..];
        }
    }

    public void ReadHuffman(ReadOnlySpan<byte> jpeg, JpegSegment segment)
    {
        ReadOnlySpan<byte> left = segment.Data(jpeg);
        while (!left.IsEmpty)
        {
            int kind = left[0] >> 4, slot = left[0] & 15;
            int symbols = 0;
            for (int i = 1; i <= 16 && i < left.Length; i++)
            {
                symbols += left[i];
            }

            if (kind > 1 || slot >= Slots || symbols > 256 || left.Length < 17 + symbols)
            {
                throw FormatError.Jpeg(segment.Offset, $"{segment} defines Huffman table {slot} of class {kind} with {symbols} " +
                    $"symbols in {left.Length} bytes; a table is 0 to {Slots - 1}, its class 0 or 1, and it takes 17 bytes " +
                    "and one for each of at most 256 symbols.");
            }

            (kind == 0 ? this.dc : ac)[slot] = new CodeSlot(left.Slice(1, 16 + symbols).ToArray(), kind == 0, segment);
            left = left[(17 + symbols)..];
        }
    }

    public void ReadRestartInterval(ReadOnlySpan<byte> jpeg, JpegSegment segment)
    {
        if (segment.Length != 2)
        {
            throw FormatError.Jpeg(segment.Offset, $"{segment} has {segment.Length} bytes of parameters; it must have 2.");
        }

        RestartInterval = BinaryPrimitives.ReadUInt16BigEndian(segment.Data(jpeg));
    }

    /// <summary>
    /// Holds the definition of a Huffman code. The code is created when a scan needs it, so that unused definitions cost no time and may
    /// be damaged.
    /// </summary>
    private sealed class CodeSlot(byte[] definition, bool dc, JpegSegment source)
    {
        private HuffmanCode? code;

        public JpegSegment Source => source;

        /// <summary>The code; null if it is damaged.</summary>
        public HuffmanCode? Code => code ??= HuffmanCode.Create(definition.AsSpan(0, 16), definition.AsSpan(16), dc);
    }
}
