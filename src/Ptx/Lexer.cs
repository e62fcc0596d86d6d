using System.Globalization;

namespace TinyZsad.Ptx;

/// <summary>Specifies what a token is.</summary>
internal enum TokenKind
{
    /// <summary>A name, a directive or an instruction with its modifiers.</summary>
    Word,

    /// <summary>An integer.</summary>
    Integer,

    /// <summary>A float given by its bits, <c>0f3F800000</c>.</summary>
    Float,

    /// <summary>A double given by its bits.</summary>
    Double,

    /// <summary>A text in quotes.</summary>
    Text,

    /// <summary>One character.</summary>
    Sign,

    /// <summary>The end of the file.</summary>
    End,
}

/// <summary>Represents a token.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">Its text.</param>
/// <param name="Bits">The value of a number.</param>
/// <param name="Line">The line, from 1.</param>
internal readonly record struct Token(TokenKind Kind, string Text, ulong Bits, int Line);

/// <summary>Splits PTX into tokens.</summary>
internal static class Lexer
{
    /// <summary>Gets the tokens of a text, the last of which is <see cref="TokenKind.End"/>.</summary>
    public static List<Token> Split(string file, string text)
    {
        List<Token> tokens = [];
        int line = 1, at = 0;
        while (at < text.Length)
        {
            char c = text[at];
            if (c == '\n')
            {
                line++;
                at++;
            }
            else if (char.IsWhiteSpace(c))
            {
                at++;
            }
            else if (c == '/' && at + 1 < text.Length && text[at + 1] == '/')
            {
                while (at < text.Length && text[at] != '\n') at++;
            }
            else if (c == '/' && at + 1 < text.Length && text[at + 1] == '*')
            {
                int end = text.IndexOf("*/", at + 2, StringComparison.Ordinal);
                if (end < 0) throw new PtxException($"{file}({line}): the comment has no end.");
                line += text.AsSpan(at, end - at).Count('\n');
                at = end + 2;
            }
            else if (c == '"')
            {
                int end = text.IndexOf('"', at + 1);
                if (end < 0) throw new PtxException($"{file}({line}): the text has no end.");
                tokens.Add(new(TokenKind.Text, text[(at + 1)..end], 0, line));
                at = end + 1;
            }
            else if (char.IsAsciiDigit(c))
            {
                int end = at;
                while (end < text.Length && char.IsAsciiLetterOrDigit(text[end])) end++;
                tokens.Add(Number(file, line, text[at..end]));
                at = end;
            }
            else if (IsWord(c) || c == '.')
            {
                int end = at + 1;
                while (end < text.Length && (IsWord(text[end]) || text[end] == '.' || IsScope(text, end))) end++;
                tokens.Add(new(TokenKind.Word, text[at..end], 0, line));
                at = end;
            }
            else if ("{}[](),;:+-<>=@!|".Contains(c, StringComparison.Ordinal))
            {
                tokens.Add(new(TokenKind.Sign, c.ToString(), 0, line));
                at++;
            }
            else
            {
                throw new PtxException($"{file}({line}): the character '{c}' has no meaning here.");
            }
        }

        tokens.Add(new(TokenKind.End, "the end of the file", 0, line));
        return tokens;
    }

    private static bool IsWord(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$' or '%';

    /// <summary>Tells whether a colon is one of the two in <c>.L1::no_allocate</c>.</summary>
    private static bool IsScope(string text, int at) =>
        text[at] == ':' && (text[at - 1] == ':' || (at + 1 < text.Length && text[at + 1] == ':'));

    private static Token Number(string file, int line, string word)
    {
        ReadOnlySpan<char> digits = word;
        if (word.Length == 10 && word[0] == '0' && word[1] is 'f' or 'F' &&
            uint.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint single))
        {
            return new(TokenKind.Float, word, single, line);
        }

        if (word.Length == 18 && word[1] is 'd' or 'D' &&
            ulong.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong number))
        {
            return new(TokenKind.Double, word, number, line);
        }

        if (digits[^1] == 'U') digits = digits[..^1];
        bool hex = digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        if (ulong.TryParse(hex ? digits[2..] : digits, hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None,
            CultureInfo.InvariantCulture, out ulong value) && (hex || digits.Length == 1 || digits[0] != '0'))
        {
            return new(TokenKind.Integer, word, value, line);
        }

        throw new PtxException($"{file}({line}): '{word}' is no number that is supported: decimal, 0x…, 0f… or 0d….");
    }
}
