// CLIP's merge table, ../Vocabulary/bpe_simple_vocab_16e6.txt.gz, is OpenAI's, under the MIT licence:
// see ../Vocabulary/bpe_simple_vocab_16e6.NOTICE.txt.
using System.Runtime.CompilerServices;
using System.Text;

namespace TinyZsad.Models;

/// <summary>
/// CLIP's byte-level byte-pair encoding of one word. Symbols are their ids: 0..255 the bytes, 256..511 the bytes that end a
/// word, 512 + r the pair that the merge of rank r joins. An id therefore serves as the rank of the merge that makes it.
/// </summary>
internal sealed class BytePairMerges
{
    internal const int MergeCount = 48_894;

    /// <summary>
    /// A word counts with its first 4096 bytes. No symbol is longer than 32 bytes, so the 75 ids that a text may have lie
    /// within 2400; the rest is a margin for what follows to have its say, and keeps the work on any word bounded.
    /// </summary>
    internal const int MaxWordBytes = 4096;

    private const int WordEnd = 256;
    private const int NoMerge = int.MaxValue;

    private readonly int[] byteIds = new int[256];
    private readonly IdTable merged = new();

    /// <summary>Reads the table once over its bytes; only the lines that CLIP uses are read.</summary>
    /// <param name="table">A line of version, then two symbols a line with a space between them, in the order of rank.</param>
    /// <exception cref="ModelFormatException">It is no such table.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // runs once, in a loop: better compiled well at once
    internal BytePairMerges(Stream table)
    {
        // Symbols are looked up by a 64-bit hash of their spelling. That no two of CLIP's collide is a fact: its table would be
        // refused otherwise.
        IdTable ids = new IdTable();
        AddByteSymbols(ids);

        byte[] buffer = new byte[1 << 16];
        int filled = 0, id = 512;
        bool header = true;
        while (id < 512 + MergeCount)
        {
            if (filled == buffer.Length)
                throw Error(id, $"a line is longer than {buffer.Length} bytes");
            filled += Read(table, buffer.AsSpan(filled), id);
            ReadOnlySpan<byte> rest = buffer.AsSpan(0, filled);
            for (int end; id < 512 + MergeCount && (end = rest.IndexOf((byte)'\n')) >= 0; rest = rest[(end + 1)..])
            {
                if (header)
                {
                    header = false;
                    continue;
                }
                ReadOnlySpan<byte> line = rest[..end];
                int space = line.IndexOf((byte)' ');
                if (space < 0)
                    throw Error(id, "a line holds no two symbols with a space between them");
                ReadOnlySpan<byte> left = line[..space], right = line[(space + 1)..];
                ulong leftHash = Hash(left);
                (int leftId, int rightId) = (ids.Find(leftHash), ids.Find(Hash(right)));
                if (leftId < 0 || rightId < 0)
                    throw Error(id, "a line joins a symbol that none before it makes");
                if (!merged.TryAdd(Pair(leftId, rightId), id) || !ids.TryAdd(Hash(right, leftHash), id))
                    throw Error(id, "a line makes a symbol that is there already");
                id++;
            }
            rest.CopyTo(buffer);
            filled = rest.Length;
        }
    }

    private static int Read(Stream table, Span<byte> buffer, int id)
    {
        try
        {
            return table.Read(buffer) is > 0 and int read ? read : throw Error(id, "it ends");
        }
        catch (InvalidDataException e)
        {
            throw Error(id, "its compressed bytes are damaged", e);
        }
    }

    private static ModelFormatException Error(int id, string what, Exception? inner = null) =>
        new($"The vocabulary, at merge {id - 512} of {MergeCount}: {what}.", inner);

    /// <summary>Encodes one word.</summary>
    /// <param name="word">At least one and at most <see cref="MaxWordBytes"/> bytes of UTF-8.</param>
    /// <param name="symbols">Receives the ids; at least as long as the word.</param>
    /// <param name="merges">Scratch space, at least as long as the word.</param>
    /// <returns>How many ids the word has.</returns>
    internal int Encode(ReadOnlySpan<byte> word, Span<int> symbols, Span<int> merges)
    {
        int count = word.Length;
        for (int i = 0; i < count; i++)
            symbols[i] = byteIds[word[i]];
        symbols[count - 1] += WordEnd;
        // merges[i] is what symbols i and i + 1 become.
        for (int i = 0; i + 1 < count; i++)
            merges[i] = Merged(symbols[i], symbols[i + 1]);

        while (count > 1)
        {
            int best = NoMerge;
            foreach (int merge in merges[..(count - 1)])
                best = Math.Min(best, merge);
            if (best == NoMerge)
                break;
            count = MergeAll(best, symbols[..count], merges);
        }
        return count;
    }

    /// <summary>Joins every occurrence of one pair, left to right.</summary>
    private int MergeAll(int merge, Span<int> symbols, Span<int> merges)
    {
        int count = 0;
        for (int i = 0; i < symbols.Length; i++, count++)
        {
            bool joins = i + 1 < symbols.Length && merges[i] == merge;
            symbols[count] = joins ? merge : symbols[i];
            if (joins)
                i++;
            // The pair that this symbol forms with the next is known from before unless either has changed; the one with the
            // symbol before it is settled now.
            merges[count] = i + 1 < symbols.Length ? merges[i] : NoMerge;
            if (joins && i + 1 < symbols.Length)
                merges[count] = Merged(merge, symbols[i + 1]);
            if (joins && count > 0)
                merges[count - 1] = Merged(symbols[count - 1], merge);
        }
        return count;
    }

    private int Merged(int left, int right) => merged.Find(Pair(left, right)) is >= 0 and int id ? id : NoMerge;

    private static ulong Pair(int left, int right) => (ulong)(left + 1) << 32 | (uint)right;

    private void AddByteSymbols(IdTable ids)
    {
        // Printable bytes are spelt as themselves and come first; the others are spelt U+0100, U+0101, ...
        int[] order = [.. Enumerable.Range(0, 256).OrderBy(b => IsPrintable(b) ? 0 : 1)];
        Span<byte> spelling = stackalloc byte[2];
        int others = 0;
        for (int id = 0; id < 256; id++)
        {
            int value = order[id];
            byteIds[value] = id;
            Rune rune = new Rune(IsPrintable(value) ? value : 256 + others++);
            ulong hash = Hash(spelling[..rune.EncodeToUtf8(spelling)]);
            ids.TryAdd(hash, id);
            ids.TryAdd(Hash("</w>"u8, hash), id + WordEnd);
        }
    }

    private static bool IsPrintable(int b) => b is >= 33 and <= 126 or >= 161 and <= 172 or >= 174;

    /// <summary>FNV-1a; a hash may be continued, so that of a merge follows from that of its left part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Hash(ReadOnlySpan<byte> bytes, ulong hash = 14695981039346656037)
    {
        foreach (byte b in bytes)
            hash = (hash ^ b) * 1099511628211;
        return hash;
    }
}
