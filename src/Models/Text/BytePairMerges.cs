// CLIP's merge table, ../Vocabulary/bpe_simple_vocab_16e6.txt.gz, is by OpenAI, under the MIT license:
// see ../Vocabulary/bpe_simple_vocab_16e6.NOTICE.txt.
using System.Runtime.CompilerServices;
using System.Text;

namespace TinyZsad.Models;

/// <summary>
/// Provides CLIP's byte-level byte-pair encoding of words. Symbols are ids: 0 to 255 are bytes, 256 to 511 are bytes at the end of a
/// word, and 512 + r is the pair that the merge of rank r joins. The id of a symbol therefore orders merges like their ranks. Instances
/// are immutable and thread safe.
/// </summary>
internal sealed class BytePairMerges
{
    /// <summary>The number of merges that CLIP uses.</summary>
    internal const int MergeCount = 48_894;

    /// <summary>
    /// The maximum length of a word in bytes; the rest of a longer word is ignored. No symbol is longer than 32 bytes, so the 75 ids of
    /// a text cover at most 2400 bytes. The margin covers merges that depend on later bytes. The limit bounds the work per word.
    /// </summary>
    internal const int MaxWordBytes = 4096;

    private const int WordEnd = 256;
    private const int NoMerge = int.MaxValue;

    private readonly int[] byteIds = new int[256];
    private readonly IdTable merged = new();

    /// <summary>Reads the merge table, up to the last merge that CLIP uses.</summary>
    /// <param name="table">A line with the version, then a line per merge by rank: two symbols separated by a space.</param>
    /// <exception cref="ModelFormatException">The table is malformed.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // It runs only once, so tiered compilation would not optimize it.
    internal BytePairMerges(Stream table)
    {
        // Symbols are found by a 64-bit hash of their text. No two symbols of CLIP collide: a collision would be reported as an error.
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
    /// <param name="word">1 to <see cref="MaxWordBytes"/> bytes of UTF-8.</param>
    /// <param name="symbols">Receives the ids; it is at least as long as the word.</param>
    /// <param name="merges">Scratch memory, at least as long as the word.</param>
    /// <returns>The number of ids.</returns>
    internal int Encode(ReadOnlySpan<byte> word, Span<int> symbols, Span<int> merges)
    {
        int count = word.Length;
        for (int i = 0; i < count; i++)
            symbols[i] = byteIds[word[i]];
        symbols[count - 1] += WordEnd;
        // merges[i] is the symbol that joins symbols i and i + 1.
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

    /// <summary>Joins all occurrences of one pair, from left to right.</summary>
    private int MergeAll(int merge, Span<int> symbols, Span<int> merges)
    {
        int count = 0;
        for (int i = 0; i < symbols.Length; i++, count++)
        {
            bool joins = i + 1 < symbols.Length && merges[i] == merge;
            symbols[count] = joins ? merge : symbols[i];
            if (joins)
                i++;
            // The merge with the next symbol is known unless this symbol has changed. The merge with the previous one is updated.
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
        // Printable bytes come first and represent themselves. The others are represented by U+0100, U+0101, ...
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

    /// <summary>Computes the FNV-1a hash. The hash of a merge continues that of its left part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Hash(ReadOnlySpan<byte> bytes, ulong hash = 14695981039346656037)
    {
        foreach (byte b in bytes)
            hash = (hash ^ b) * 1099511628211;
        return hash;
    }
}
