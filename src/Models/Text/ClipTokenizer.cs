using System.Buffers;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Unicode;

namespace TinyZsad.Models;

/// <summary>
/// Represents CLIP's tokenizer, which cleans a text, splits it into words, and encodes each word as byte pairs. Every string has an
/// encoding. Instances are immutable and thread safe.
/// </summary>
/// <remarks>
/// The ids equal those of open_clip's <c>SimpleTokenizer</c> with ftfy, except that ftfy's repair of wrongly decoded text ("Ã¶") is
/// not implemented. A lone surrogate is read as U+FFFD. To bound the work, only the first 16,384 UTF-16 units after leading white space
/// are read, and nested HTML references are resolved up to a depth of about 14.
/// </remarks>
internal sealed class ClipTokenizer
{
    /// <summary>The id of the start token.</summary>
    public const int StartToken = 49406;

    /// <summary>The id of the end token, the largest id. The text encoder pools at its first position.</summary>
    public const int EndToken = 49407;

    /// <summary>The number of ids of an encoding.</summary>
    public const int ContextLength = 77;

    private static readonly Lazy<ClipTokenizer> LazyShared = new(() => new ClipTokenizer());

    private static readonly (string Text, int Id)[] Specials =
        [("<start_of_text>", StartToken), ("<end_of_text>", EndToken)];

    private static readonly string[] Contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

    private readonly BytePairMerges merges;

    private ClipTokenizer()
    {
        using Stream table = OpenTable();
        this.merges = new BytePairMerges(table);
    }

    /// <summary>Gets the shared tokenizer. Its table is read at first use.</summary>
    public static ClipTokenizer Shared => LazyShared.Value;

    /// <summary>Opens CLIP's merge table. It is decompressed while it is read.</summary>
    internal static Stream OpenTable() => new GZipStream(
        typeof(ClipTokenizer).Assembly.GetManifestResourceStream("bpe_simple_vocab_16e6.txt.gz")!, CompressionMode.Decompress);

    /// <summary>Encodes a text as start token, ids and end token, padded with 0. More than 75 ids are truncated.</summary>
    /// <param name="text">Any string.</param>
    /// <returns><see cref="ContextLength"/> ids.</returns>
    public int[] Encode(string text)
    {
        int[] ids = new int[ContextLength];
        Encode(text, ids);
        return ids;
    }

    /// <summary>Encodes a text as start token, ids and end token, padded with 0. More than 75 ids are truncated.</summary>
    /// <param name="text">Any string.</param>
    /// <param name="ids">Receives the <see cref="ContextLength"/> ids.</param>
    /// <returns>The pooled position: that of the first end token, which a text may contain.</returns>
    /// <exception cref="ArgumentException"><paramref name="ids"/> has another length.</exception>
    public int Encode(string text, Span<int> ids)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (ids.Length != ContextLength)
            throw new ArgumentException($"An encoding has {ContextLength} ids; the span has room for {ids.Length}.", nameof(ids));

        ids[0] = StartToken;
        int end = 1 + EncodeWords(TextCleaning.Clean(text), ids[1..^1]);
        ids[end] = EndToken;
        ids[(end + 1)..].Clear();
        return ids.IndexOf(EndToken);
    }

    /// <summary>Writes the ids of a clean text as far as they fit, and returns their number.</summary>
    private int EncodeWords(ReadOnlySpan<char> text, Span<int> ids)
    {
        int[] scratch = ArrayPool<int>.Shared.Rent(2 * BytePairMerges.MaxWordBytes);
        byte[] utf8 = ArrayPool<byte>.Shared.Rent(BytePairMerges.MaxWordBytes);
        Span<int> symbols = scratch.AsSpan(0, BytePairMerges.MaxWordBytes);
        Span<int> merges = scratch.AsSpan(BytePairMerges.MaxWordBytes);
        int count = 0;
        while (count < ids.Length && !(text = text.TrimStart(' ')).IsEmpty)
        {
            int length = NextWord(text, out int special);
            if (special != 0)
            {
                ids[count++] = special;
            }
            else
            {
                Utf8.FromUtf16(text[..length], utf8.AsSpan(0, BytePairMerges.MaxWordBytes), out _, out int bytes);
                int encoded = this.merges.Encode(utf8.AsSpan(0, bytes), symbols, merges);
                int kept = Math.Min(encoded, ids.Length - count);
                symbols[..kept].CopyTo(ids[count..]);
                count += kept;
            }
            text = text[length..];
        }
        ArrayPool<int>.Shared.Return(scratch);
        ArrayPool<byte>.Shared.Return(utf8);
        return count;
    }

    /// <summary>
    /// Gets the length of the first word of a text: a special token, a contraction, a run of letters, one digit, or a run of other
    /// characters.
    /// </summary>
    private static int NextWord(ReadOnlySpan<char> text, out int special)
    {
        foreach ((string token, int id) in Specials)
        {
            if (text.StartsWith(token))
            {
                special = id;
                return token.Length;
            }
        }
        special = 0;
        foreach (string contraction in Contractions)
        {
            if (text.StartsWith(contraction))
                return contraction.Length;
        }

        Kind first = KindAt(text, out int length);
        if (first == Kind.Number)
            return length;
        while (length < text.Length && KindAt(text[length..], out int more) == first)
            length += more;
        return length;
    }

    private enum Kind { Space, Letter, Number, Other }

    private static Kind KindAt(ReadOnlySpan<char> text, out int length)
    {
        Rune.DecodeFromUtf16(text, out Rune rune, out length);
        return Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => rune.Value == ' ' ? Kind.Space : Kind.Other,
        };
    }
}
