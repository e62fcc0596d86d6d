using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>
/// Represents the directory of a page: the entries of a TIFF or BigTIFF file that a decoder needs. All values lie in the file.
/// Nothing is copied, so the memory does not depend on the counts that a file claims.
/// </summary>
internal sealed class TiffDirectory
{
    /// <summary>The most pages that are counted, the limit of libtiff.</summary>
    private const int MostPages = 65535;

    private readonly Dictionary<TiffTag, Entry> entries = [];

    private TiffDirectory(bool isLittleEndian, long offset) => (IsLittleEndian, Offset) = (isLittleEndian, offset);

    /// <summary>Gets the byte order of the file.</summary>
    public bool IsLittleEndian { get; }

    /// <summary>Gets the offset of the directory.</summary>
    public long Offset { get; }

    /// <summary>Gets whether another directory follows.</summary>
    public bool HasNext { get; private set; }

    public static bool Recognises(ReadOnlySpan<byte> data) => data is
        [(byte)'I', (byte)'I', 42 or 43, 0, ..] or [(byte)'M', (byte)'M', 0, 42 or 43, ..];

    /// <summary>Reads the directory of a page.</summary>
    /// <param name="tiff">The file.</param>
    /// <param name="page">The page, from 1 on.</param>
    /// <exception cref="ImageFormatException">The file has fewer pages, or a directory before the page or its own is damaged.</exception>
    public static TiffDirectory Read(ReadOnlySpan<byte> tiff, int page)
    {
        bool little = tiff[0] == 'I', big = tiff[little ? 2 : 3] == 43;
        Layout layout = new Layout(little, big);
        if (tiff.Length < layout.HeaderBytes)
        {
            throw TiffDecoder.Error(tiff.Length,
                $"the file ends at offset {tiff.Length}, within its header of {layout.HeaderBytes} bytes.");
        }

        if (big && layout.Word(tiff, 4) is var sizes && sizes != (little ? 8u : 8u << 16))
        {
            throw TiffDecoder.Error(4, $"the header of the BigTIFF states sizes of 0x{sizes:X8} at offset 4; they must be 8 and 0.");
        }

        long at = layout.Offset(tiff, big ? 8 : 4);
        HashSet<long> visited = [];
        for (int number = 1; ; number++)
        {
            if (at == 0)
            {
                throw number == 1
                    ? TiffDecoder.Error(0, "the header names no directory; there is no page.")
                    : TiffDecoder.Error(null, $"there is no page {page}; the file has {number - 1}, counted from 1.");
            }

            if (!visited.Add(at) || number > MostPages)
            {
                throw TiffDecoder.Error(at, $"the directory of page {number} at offset {at} " +
                    (number > MostPages ? $"is one too many; at most {MostPages} are supported." : "is that of an earlier page."));
            }

            long count = layout.EntryCount(tiff, at, number);
            long first = at + layout.CountBytes, next = layout.Offset(tiff, first + count * layout.EntryBytes);
            if (number == page)
            {
                TiffDirectory directory = new TiffDirectory(little, at) { HasNext = next != 0 };
                for (long i = 0; i < count; i++)
                {
                    directory.Add(tiff, layout, first + i * layout.EntryBytes);
                }

                return directory;
            }

            at = next;
        }
    }

    public bool Has(TiffTag tag) => this.entries.ContainsKey(tag);

    /// <summary>Returns the number of values of an entry; 0 if it is missing.</summary>
    public long Count(TiffTag tag) => this.entries.TryGetValue(tag, out Entry entry) ? entry.Count : 0;

    /// <summary>Returns a value of an entry, which must have it.</summary>
    public long Number(ReadOnlySpan<byte> tiff, TiffTag tag, long index)
    {
        Entry entry = this.entries[tag];
        ReadOnlySpan<byte> value = tiff[(int)(entry.Offset + index * entry.Size)..];
        return entry.Size switch
        {
            1 => value[0],
            2 => IsLittleEndian ? BinaryPrimitives.ReadUInt16LittleEndian(value) : BinaryPrimitives.ReadUInt16BigEndian(value),
            4 => IsLittleEndian ? BinaryPrimitives.ReadUInt32LittleEndian(value) : BinaryPrimitives.ReadUInt32BigEndian(value),
            _ => Clamp(IsLittleEndian ? BinaryPrimitives.ReadUInt64LittleEndian(value) : BinaryPrimitives.ReadUInt64BigEndian(value)),
        };
    }

    /// <summary>Returns the first value of an entry; the default if it is missing.</summary>
    public long First(ReadOnlySpan<byte> tiff, TiffTag tag, long otherwise) => Count(tag) > 0 ? Number(tiff, tag, 0) : otherwise;

    /// <summary>Returns the first value of an entry that must not be missing.</summary>
    public long Required(ReadOnlySpan<byte> tiff, TiffTag tag) => Count(tag) > 0 ? Number(tiff, tag, 0)
        : throw TiffDecoder.Error(Offset, $"the directory at offset {Offset} lacks {tag} ({(int)tag}), which a picture must have.");

    /// <summary>Returns the values of an entry as bytes; nothing if it is missing.</summary>
    public ReadOnlySpan<byte> Bytes(ReadOnlySpan<byte> tiff, TiffTag tag) => this.entries.TryGetValue(tag, out Entry entry)
        ? tiff.Slice((int)entry.Offset, (int)(entry.Count * entry.Size))
        : [];

    /// <summary>Numbers too large for a signed number are too large for anything.</summary>
    private static long Clamp(ulong number) => (long)Math.Min(number, long.MaxValue);

    private void Add(ReadOnlySpan<byte> tiff, Layout layout, long at)
    {
        TiffTag tag = (TiffTag)layout.Half(tiff, at);
        if (!Enum.IsDefined(tag) || this.entries.ContainsKey(tag))
        {
            return;
        }

        int type = layout.Half(tiff, at + 2);
        int size = type switch
        {
            1 or 7 => 1, // BYTE, UNDEFINED
            3 => 2, // SHORT
            4 or 13 => 4, // LONG, IFD
            16 or 18 => 8, // LONG8, IFD8
            _ => throw TiffDecoder.Error(at, $"{tag} ({(int)tag}) at offset {at} has type {type}; " +
                "it must be 1 (BYTE), 3 (SHORT), 4 (LONG), 7 (UNDEFINED) or 16 (LONG8)."),
        };
        long count = layout.Offset(tiff, at + 4), place = at + 4 + layout.OffsetBytes;
        if (count > tiff.Length / size)
        {
            throw TiffDecoder.Error(at, $"{tag} ({(int)tag}) at offset {at} claims {count} values of {size} bytes; " +
                $"the file has {tiff.Length} bytes.");
        }

        if (count * size > layout.OffsetBytes)
        {
            place = layout.Offset(tiff, place);
            if (place > tiff.Length - count * size)
            {
                throw TiffDecoder.Error(at, $"{tag} ({(int)tag}) at offset {at} claims {count * size} bytes from offset {place} on; " +
                    $"the file ends at {tiff.Length}. It is cut off, or the entry is damaged.");
            }
        }

        this.entries.Add(tag, new Entry(place, count, size));
    }

    /// <summary>Represents the values of an entry.</summary>
    private readonly record struct Entry(long Offset, long Count, int Size);

    /// <summary>Represents the sizes and the byte order of a file's structures.</summary>
    private readonly record struct Layout(bool IsLittleEndian, bool IsBig)
    {
        public int HeaderBytes => IsBig ? 16 : 8;

        public int CountBytes => IsBig ? 8 : 2;

        public int OffsetBytes => IsBig ? 8 : 4;

        public int EntryBytes => 4 + 2 * OffsetBytes;

        public ushort Half(ReadOnlySpan<byte> tiff, long at) => IsLittleEndian
            ? BinaryPrimitives.ReadUInt16LittleEndian(tiff[(int)at..])
            : BinaryPrimitives.ReadUInt16BigEndian(tiff[(int)at..]);

        public uint Word(ReadOnlySpan<byte> tiff, long at) => IsLittleEndian
            ? BinaryPrimitives.ReadUInt32LittleEndian(tiff[(int)at..])
            : BinaryPrimitives.ReadUInt32BigEndian(tiff[(int)at..]);

        public long Offset(ReadOnlySpan<byte> tiff, long at) => !IsBig ? Word(tiff, at) : Clamp(IsLittleEndian
            ? BinaryPrimitives.ReadUInt64LittleEndian(tiff[(int)at..])
            : BinaryPrimitives.ReadUInt64BigEndian(tiff[(int)at..]));

        /// <summary>Returns the number of entries of a directory, all of which lie in the file, with the offset after them.</summary>
        public long EntryCount(ReadOnlySpan<byte> tiff, long at, int page)
        {
            long most = (tiff.Length - at - CountBytes - OffsetBytes) / EntryBytes;
            long count = at > tiff.Length - CountBytes - OffsetBytes ? 0 : IsBig ? Offset(tiff, at) : Half(tiff, at);
            return count > 0 && count <= most ? count : throw TiffDecoder.Error(at,
                $"the directory of page {page} at offset {at} claims {count} entries of {EntryBytes} bytes; " +
                $"it must have at least one, and the file ends at {tiff.Length}. It is cut off, or an offset is damaged.");
        }
    }
}
