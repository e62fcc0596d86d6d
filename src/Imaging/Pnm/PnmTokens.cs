using System.Text;

namespace TinyZsad.Imaging;

/// <summary>Reads the words and numbers of a PNM. Comments from # to the end of the line are skipped.</summary>
internal ref struct PnmTokens(ReadOnlySpan<byte> data, int offset)
{
    private const int LongestWord = 10;

    private readonly ReadOnlySpan<byte> data = data;

    /// <summary>The offset of the next byte.</summary>
    public int Offset { get; private set; } = offset;

    /// <summary>The bytes from <see cref="Offset"/> on.</summary>
    public readonly ReadOnlySpan<byte> Rest => this.data[Offset..];

    public static bool IsSpace(byte c) => c is (byte)' ' or (>= 9 and <= 13);

    /// <summary>Reads a decimal number within a range.</summary>
    /// <param name="what">The number's meaning, for messages.</param>
    /// <param name="least">The smallest valid number.</param>
    /// <param name="most">The largest valid number.</param>
    public int NextNumber(string what, int least, int most)
    {
        SkipSpace();
        int start = Offset;
        long value = 0;
        while (Offset < this.data.Length && char.IsAsciiDigit((char)this.data[Offset]) && Offset - start < LongestWord)
        {
            value = 10 * value + (this.data[Offset++] - '0');
        }

        if (Offset == start || !AtEndOfWord)
        {
            throw FormatError.Pnm(start, $"at offset {start} {what} should be, a number of at most {LongestWord} digits.");
        }

        return value >= least && value <= most
            ? (int)value
            : throw FormatError.Pnm(start, $"{what} at offset {start} is {value}; it must be {least} to {most}.");
    }

    /// <summary>Reads a digit 0 or 1.</summary>
    public bool NextBit()
    {
        SkipSpace();
        return Offset < this.data.Length && this.data[Offset] is (byte)'0' or (byte)'1'
            ? this.data[Offset++] == '1'
            : throw FormatError.Pnm(Offset, $"at offset {Offset} a pixel should be, 0 or 1.");
    }

    /// <summary>Reads a run of letters.</summary>
    /// <param name="start">The offset of the first letter.</param>
    public string NextWord(out int start)
    {
        SkipSpace();
        start = Offset;
        while (Offset < this.data.Length && char.IsAsciiLetter((char)this.data[Offset]) && Offset - start < LongestWord)
        {
            Offset++;
        }

        return Offset > start && AtEndOfWord
            ? Encoding.ASCII.GetString(this.data[start..Offset])
            : throw FormatError.Pnm(start, $"at offset {start} a line of the PAM header should start with a word.");
    }

    /// <summary>Skips the one byte of white space between the header and the pixels, and a comment before it.</summary>
    public void SkipOneSpace()
    {
        if (Offset < this.data.Length && this.data[Offset] == '#')
        {
            SkipLine();
        }

        Offset = Math.Min(Offset + 1, this.data.Length);
    }

    /// <summary>
    /// Skips the rest of the last line of a PAM header, with its line feed, as netpbm does: the line may end in CR LF or have more words.
    /// </summary>
    public void EndLine()
    {
        int length = Rest.IndexOf((byte)'\n');
        if (length < 0)
        {
            throw FormatError.Pnm(Offset, $"the PAM header's last line, with ENDHDR before offset {Offset}, does not end; " +
                "a line feed must follow, and then the pixels.");
        }

        Offset += length + 1;
    }

    /// <summary>Skips the rest of the line.</summary>
    public void SkipLine()
    {
        int length = Rest.IndexOfAny((byte)'\n', (byte)'\r');
        Offset = length < 0 ? this.data.Length : Offset + length;
    }

    private readonly bool AtEndOfWord => Offset == this.data.Length || IsSpace(this.data[Offset]) || this.data[Offset] == '#';

    private void SkipSpace()
    {
        while (Offset < this.data.Length && (IsSpace(this.data[Offset]) || this.data[Offset] == '#'))
        {
            if (this.data[Offset] == '#')
            {
                SkipLine();
            }
            else
            {
                Offset++;
            }
        }
    }
}
