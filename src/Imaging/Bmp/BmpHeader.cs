using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Specifies how the pixels are stored. The values are those in the file.</summary>
internal enum BmpCompression : uint
{
    None = 0,
    Rle8 = 1,
    Rle4 = 2,
    BitFields = 3,
    AlphaBitFields = 6,
}

/// <summary>Represents the headers. Sizes are within the limits and offsets inside the data.</summary>
internal readonly record struct BmpHeader
{
    /// <summary>The length of the file header, which lies before the bitmap header.</summary>
    private const int FileHeaderBytes = 14;

    /// <summary>The lengths of the OS/2 1.x header and of the shortest Windows header.</summary>
    private const int CoreBytes = 12, InfoBytes = 40;

    /// <summary>The masks of pixels of 24 or 32 bits that are blue, green, red and perhaps an unused byte.</summary>
    public static (uint Red, uint Green, uint Blue) Bgr => (0xFF0000, 0xFF00, 0xFF);

    public int Width { get; private init; }

    public int Height { get; private init; }

    /// <summary>True if the first row in the file is the top row.</summary>
    public bool TopDown { get; private init; }

    public int BitsPerPixel { get; private init; }

    public BmpCompression Compression { get; private init; }

    /// <summary>The bits of each sample in a pixel of 16, 24 or 32 bits. A sample without bits is 0.</summary>
    public (uint Red, uint Green, uint Blue) Masks { get; private init; }

    public int PaletteOffset { get; private init; }

    /// <summary>The number of colours in the palette; 0 if there is none.</summary>
    public int PaletteColours { get; private init; }

    /// <summary>The bytes per colour: blue, green, red and, except for OS/2, an unused one.</summary>
    public int PaletteEntryBytes { get; private init; }

    /// <summary>The offset of the pixels.</summary>
    public int DataOffset { get; private init; }

    /// <summary>The bytes per uncompressed row, a multiple of four.</summary>
    public long Stride => ((long)Width * BitsPerPixel + 31) / 32 * 4;

    public static BmpHeader Read(ReadOnlySpan<byte> bmp, ImageLimits limits)
    {
        Require(bmp, FileHeaderBytes + 4, "its headers");
        long headerBytes = U32(bmp, FileHeaderBytes);
        bool core = headerBytes == CoreBytes, windows = headerBytes is InfoBytes or 52 or 56 or 108 or 124;

        // An OS/2 2.x header ends after any of its fields from the 16th byte on; the others are 0.
        if (!core && !windows && headerBytes is not (16 or 20 or 24 or 28 or 32 or 36 or 42 or 44 or 46 or 48 or 60 or 64))
        {
            throw FormatError.Bmp(FileHeaderBytes, $"the bitmap header at offset {FileHeaderBytes} claims {headerBytes} bytes; " +
                "known are 12, 40, 52, 56, 108, 124, and of OS/2 2.x 16 to 64, where a field ends.");
        }

        int headersEnd = FileHeaderBytes + (int)headerBytes;
        Require(bmp, headersEnd, "its headers");
        ReadOnlySpan<byte> headers = bmp[..headersEnd];
        long width = core ? U16(bmp, 18) : (int)U32(bmp, 18), height = core ? U16(bmp, 20) : (int)U32(bmp, 22);
        limits.CheckSize(BmpDecoder.Format, 18, width, Math.Abs(height));

        int planesAt = core ? 22 : 26;
        int planes = U16(bmp, planesAt), bits = U16(bmp, core ? 24 : 28);
        BmpCompression compression = core ? BmpCompression.None : (BmpCompression)U32OrZero(headers, 30);
        if (planes != 1)
        {
            throw FormatError.Bmp(planesAt, $"the header claims {planes} planes; there must be 1.");
        }

        CheckDepth(bits, compression, windows);
        bool bitFields = compression is BmpCompression.BitFields or BmpCompression.AlphaBitFields;
        if (bitFields && headerBytes == InfoBytes)
        {
            // The masks follow this header. Later headers contain them, at the same offset.
            headersEnd += compression == BmpCompression.AlphaBitFields ? 16 : 12;
            Require(bmp, headersEnd, "its bit masks");
        }

        // The offset may be missing, and some writers leave out the palette, which lies before the pixels.
        int entryBytes = core ? 3 : 4;
        uint colours = core ? 0 : U32OrZero(headers, 46);
        long wanted = bits <= 8 && colours == 0 ? 1L << bits : colours;
        long dataOffset = U32(bmp, 10);
        if (dataOffset == 0 || (dataOffset == headersEnd && bits <= 8))
        {
            dataOffset = headersEnd + wanted * entryBytes;
        }

        if (dataOffset < headersEnd || dataOffset >= bmp.Length)
        {
            throw FormatError.Bmp(10, $"the pixels should start at offset {dataOffset}; " +
                $"the headers end at {headersEnd} and the data at {bmp.Length}.");
        }

        long room = (dataOffset - headersEnd) / entryBytes;
        return new BmpHeader
        {
            Width = (int)width,
            Height = (int)Math.Abs(height),
            TopDown = height < 0,
            BitsPerPixel = bits,
            Compression = compression,
            Masks = bitFields ? ReadMasks(bmp, bits) : bits == 16 ? (0x7C00u, 0x3E0u, 0x1Fu) : Bgr,
            PaletteOffset = headersEnd,
            PaletteColours = bits > 8 ? 0 : (int)Math.Min(Math.Min(wanted, room), 1 << bits),
            PaletteEntryBytes = entryBytes,
            DataOffset = (int)dataOffset,
        };
    }

    private static void CheckDepth(int bits, BmpCompression compression, bool windows)
    {
        bool known = compression switch
        {
            BmpCompression.None => bits is 1 or 2 or 4 or 8 or 16 or 24 or 32,
            BmpCompression.Rle8 => bits == 8,
            BmpCompression.Rle4 => bits == 4,
            // In an OS/2 2.x header, 3 is Huffman coding.
            BmpCompression.BitFields or BmpCompression.AlphaBitFields => bits is 16 or 24 or 32 && windows,
            _ => false,
        };
        if (!known)
        {
            throw FormatError.Bmp(FileHeaderBytes, $"the header claims {bits} bits a pixel with compression {(uint)compression}; " +
                "known are 1, 2, 4, 8, 16, 24, 32 bits uncompressed (0), 8 with RLE8 (1), 4 with RLE4 (2), " +
                "and 16, 24, 32 with a Windows header and bit masks (3, 6).");
        }
    }

    private static (uint Red, uint Green, uint Blue) ReadMasks(ReadOnlySpan<byte> bmp, int bits)
    {
        const int at = FileHeaderBytes + InfoBytes;
        (uint Red, uint Green, uint Blue) masks = (U32(bmp, at), U32(bmp, at + 4), U32(bmp, at + 8));
        if (masks == (0, 0, 0) && bits != 16)
        {
            // Pillow and netpbm take missing masks for the usual ones too.
            return Bgr;
        }

        if (masks == (0, 0, 0) || !IsRun(masks.Red, bits) || !IsRun(masks.Green, bits) || !IsRun(masks.Blue, bits))
        {
            throw FormatError.Bmp(at, $"the bit masks at offset {at} are {masks.Red:X8}, {masks.Green:X8}, " +
                $"{masks.Blue:X8}; each must be one run of bits, or none, inside a pixel of {bits} bits, and one must have bits.");
        }

        return masks;
    }

    private static bool IsRun(uint mask, int bits)
    {
        ulong run = mask >> System.Numerics.BitOperations.TrailingZeroCount(mask);
        return (run & (run + 1)) == 0 && (ulong)mask >> bits == 0;
    }

    private static void Require(ReadOnlySpan<byte> bmp, int length, string what)
    {
        if (bmp.Length < length)
        {
            throw FormatError.Bmp(bmp.Length, $"the data end at offset {bmp.Length}, before the end of {what} at {length}.");
        }
    }

    /// <summary>Returns a field of the headers; 0 if they end before it.</summary>
    private static uint U32OrZero(ReadOnlySpan<byte> headers, int offset) => offset + 4 <= headers.Length ? U32(headers, offset) : 0;

    private static uint U32(ReadOnlySpan<byte> bmp, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bmp[offset..]);

    private static int U16(ReadOnlySpan<byte> bmp, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(bmp[offset..]);
}
