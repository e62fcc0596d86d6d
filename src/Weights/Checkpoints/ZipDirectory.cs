using System.Text;

namespace TinyZsad.Weights;

/// <summary>
/// Reads the central directory of a ZIP archive (PKWARE's APPNOTE 6.3, including Zip64). Entries are used in place, so only
/// uncompressed ones are supported; PyTorch does not compress tensors.
/// </summary>
internal sealed class ZipDirectory
{
    private const uint LocalSignature = 0x04034b50, CentralSignature = 0x02014b50, EndSignature = 0x06054b50,
        End64Signature = 0x06064b50, Locator64Signature = 0x07064b50;

    private const int LocalLength = 30, CentralLength = 46, EndLength = 22, End64Length = 56, Locator64Length = 20;
    private const int MaxComment = ushort.MaxValue;

    /// <summary>The maximum length of a name in bytes. It bounds the cost of the lookups that a pickle can cause.</summary>
    private const int MaxName = 1024;
    private const ushort Zip64Field = 1;

    private readonly FileBytes file;
    private readonly Dictionary<string, Entry> entries = new(StringComparer.Ordinal);

    private readonly record struct Entry(long Header, long Stored, long Length, int Method, bool Encrypted);

    /// <summary>Reads the central directory and checks that no two entries overlap.</summary>
    /// <exception cref="ModelFormatException">The file is not a well-formed ZIP archive.</exception>
    public ZipDirectory(FileBytes file)
    {
        this.file = file;
        (long start, long length, long count) = FindDirectory();
        if (count > length / CentralLength)
            throw file.Error($"its ZIP directory of {length} bytes cannot hold the {count} entries it tells of", start);
        List<(long Begin, long End, string Name)> places = new((int)Math.Min(count, 1 << 16));
        long at = start;
        for (long i = 0; i < count; i++)
        {
            (string name, Entry entry, int size) = ReadEntry(at, start + length);
            if (!entries.TryAdd(name, entry))
                throw file.Error($"ZIP entry {Shown.Quote(name)} is given twice; names must be unique", at);
            places.Add((entry.Header, entry.Header + LocalLength + entry.Stored, name));
            at += size;
        }
        if (at != start + length)
            throw file.Error($"{start + length - at} bytes of its ZIP directory belong to no entry", at);
        CheckApart(places, start);
    }

    /// <summary>Gets the names of all entries.</summary>
    public IReadOnlyCollection<string> Names => entries.Keys;

    /// <summary>Gets the offset and length of an entry's bytes in the file.</summary>
    /// <exception cref="ModelFormatException">The entry is missing, compressed, encrypted or damaged.</exception>
    public (long Offset, long Length) Find(string name)
    {
        string where = $"ZIP entry {Shown.Quote(name)}";
        if (!entries.TryGetValue(name, out Entry entry))
            throw file.Error($"{where} is missing");
        if (entry.Encrypted)
            throw file.Error($"{where} is encrypted; PyTorch encrypts nothing", entry.Header);
        if (entry.Method != 0 || entry.Stored != entry.Length)
        {
            throw file.Error($"{where} is compressed (method {entry.Method}, {entry.Stored} bytes for {entry.Length}); "
                + "PyTorch stores tensors as they are, and only those archives are read", entry.Header);
        }

        if (file.UInt32(entry.Header) != LocalSignature)
            throw file.Error($"{where} has no local header at byte {entry.Header}", entry.Header);
        int nameLength = file.UInt16(entry.Header + 26), extra = file.UInt16(entry.Header + 28);
        if (nameLength > MaxName || Encoding.UTF8.GetString(file.Span(entry.Header + LocalLength, nameLength)) != name)
            throw file.Error($"{where} has another name in its local header at byte {entry.Header}", entry.Header);
        long offset = entry.Header + LocalLength + nameLength + extra;
        if (entry.Length > file.Length - offset)
        {
            throw file.Error(
                $"{where} of {entry.Length} bytes at byte {offset} passes the end of the file, {file.Length}", offset);
        }

        return (offset, entry.Length);
    }

    /// <summary>Reads the offset, length and number of entries of the directory from the record at the end of the archive.</summary>
    private (long Start, long Length, long Count) FindDirectory()
    {
        long end = file.Length - EndLength, first = Math.Max(0, end - MaxComment);
        while (end >= first && !IsEnd(end)) end--;
        if (end < first)
            throw file.Error("it begins as a ZIP archive, but has no record of its end; it may be cut short", file.Length);
        if (file.UInt16(end + 4) is not (0 or ushort.MaxValue))
            throw file.Error("it is a part of a ZIP archive of several files", end + 4);
        (long start, long length, long count) = (file.UInt32(end + 16), file.UInt32(end + 12), file.UInt16(end + 10));
        long locator = end - Locator64Length;
        if (locator >= 0 && file.UInt32(locator) == Locator64Signature)
        {
            long end64 = file.UInt64(locator + 8);
            if (end64 > locator - End64Length || file.UInt32(end64) != End64Signature)
                throw file.Error($"its Zip64 record of the end is not at byte {end64}, where it should be", locator + 8);
            (start, length, count) = (file.UInt64(end64 + 48), file.UInt64(end64 + 40), file.UInt64(end64 + 32));
        }
        return start <= end && length <= end - start
            ? (start, length, count)
            : throw file.Error(
                $"its ZIP directory, bytes {start} to {start + length}, passes the record of the end at byte {end}", end);

        // A comment, which may contain the signature, must reach the end of the file.
        bool IsEnd(long at) => file.UInt32(at) == EndSignature && at + EndLength + file.UInt16(at + 20) == file.Length;
    }

    private (string Name, Entry Entry, int Size) ReadEntry(long at, long end)
    {
        if (at > end - CentralLength || file.UInt32(at) != CentralSignature)
            throw file.Error($"its ZIP directory has no entry at byte {at}, where one should be", at);
        int nameLength = file.UInt16(at + 28), extraLength = file.UInt16(at + 30), comment = file.UInt16(at + 32);
        int size = CentralLength + nameLength + extraLength + comment;
        if (size > end - at)
            throw file.Error($"the entry of its ZIP directory at byte {at} passes the directory's end", at);
        if (nameLength > MaxName)
        {
            throw file.Error(
                $"the entry of its ZIP directory at byte {at} has a name of {nameLength} bytes; at most {MaxName} are read", at);
        }

        string name = Encoding.UTF8.GetString(file.Span(at + CentralLength, nameLength));
        long stored = file.UInt32(at + 20), length = file.UInt32(at + 24), header = file.UInt32(at + 42);
        // The Zip64 field holds only the numbers that do not fit in 32 bits.
        long field = at + CentralLength + nameLength, fieldEnd = field + extraLength;
        while (field + 4 <= fieldEnd)
        {
            (int kind, long next) = (file.UInt16(field), field + 4 + file.UInt16(field + 2));
            field += 4;
            if (next > fieldEnd)
                throw file.Error($"ZIP entry {Shown.Quote(name)} has an extra field that passes the others' end", field);
            if (kind == Zip64Field)
            {
                Wide(ref length);
                Wide(ref stored);
                Wide(ref header);
            }
            field = next;

            void Wide(ref long number)
            {
                if (number != uint.MaxValue) return;
                if (field + 8 > next)
                    throw file.Error($"ZIP entry {Shown.Quote(name)} lacks a number in its Zip64 field", field);
                number = file.UInt64(field);
                field += 8;
            }
        }
        return header <= file.Length - LocalLength && stored <= file.Length - LocalLength - header
            ? (name, new Entry(header, stored, length, file.UInt16(at + 10), (file.UInt16(at + 8) & 1) != 0), size)
            : throw file.Error(
                $"ZIP entry {Shown.Quote(name)} of {stored} bytes at byte {header} passes the end of the file, {file.Length}", at);
    }

    private void CheckApart(List<(long Begin, long End, string Name)> places, long directory)
    {
        places.Sort();
        for (int i = 0; i < places.Count; i++)
        {
            bool last = i + 1 == places.Count;
            if (places[i].End > (last ? directory : places[i + 1].Begin))
            {
                throw file.Error($"ZIP entry {Shown.Quote(places[i].Name)} overlaps "
                    + (last ? "the directory" : Shown.Quote(places[i + 1].Name)), places[i].Begin);
            }
        }
    }
}
