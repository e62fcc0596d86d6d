using System.Globalization;
using System.Net;
using System.Text;

namespace TinyZsad.Models;

/// <summary>
/// HTML character references resolved as Python's <c>html.unescape</c> does: numeric ones with HTML 5's corrections, and the
/// older names also where their semicolon is missing (<c>&amp;eacute</c>, <c>&amp;amplifier</c>). The names are the 253 of
/// XHTML and <c>AMP LT GT QUOT COPY REG</c>; the other names of HTML 5 (<c>&amp;check;</c>) are not known.
/// </summary>
internal static class HtmlEntities
{
    private const int LongestBareName = 6;

    // What &#128; to &#159; stand for: Windows-1252, with its five gaps left as they are.
    private const string Windows1252 =
        "\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f" +
        "\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178";

    /// <summary>Resolves all references once, left to right.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="closedOnly">Only those that look whole: at most 24 letters and digits, then a semicolon.</param>
    internal static string Unescape(string text, bool closedOnly)
    {
        int next = text.IndexOf('&');
        if (next < 0)
            return text;
        StringBuilder result = new StringBuilder(text.Length);
        int done = 0;
        for (; next >= 0; next = text.IndexOf('&', next))
        {
            ReadOnlySpan<char> body = text.AsSpan(next + 1);
            if ((closedOnly && !LooksWhole(body)) || !TryResolve(body, out string value, out int length))
            {
                next++;
                continue;
            }
            result.Append(text, done, next - done).Append(value);
            done = next += 1 + length;
        }
        return result.Append(text, done, text.Length - done).ToString();
    }

    private static bool LooksWhole(ReadOnlySpan<char> body)
    {
        if (body.StartsWith('#'))
            body = body[1..];
        int name = AlphanumericLength(body, 25);
        return name is >= 1 and <= 24 && name < body.Length && body[name] == ';';
    }

    /// <param name="body">What follows the ampersand.</param>
    /// <param name="value">What the reference stands for.</param>
    /// <param name="length">How much of the body belongs to it.</param>
    private static bool TryResolve(ReadOnlySpan<char> body, out string value, out int length)
    {
        if (body.StartsWith('#'))
            return TryResolveNumber(body, out value, out length);

        // A name of 25 letters is none, and names without a semicolon are short: no need to look further.
        int run = AlphanumericLength(body, 25);
        length = run + 1;
        if (run < body.Length && body[run] == ';' && Named(body[..run]) is string whole)
        {
            value = whole;
            return true;
        }
        for (length = Math.Min(run, LongestBareName); length >= 2; length--)
        {
            if (Named(body[..length]) is string bare && MayStandBare(bare))
            {
                value = bare;
                return true;
            }
        }
        value = "";
        return false;
    }

    /// <summary>The names that HTML once allowed without a semicolon are those of Latin-1 and of the markup itself.</summary>
    private static bool MayStandBare(string value) => value[0] is (>= '\u00a0' and <= '\u00ff') or '&' or '<' or '>' or '"';

    private static string? Named(ReadOnlySpan<char> name)
    {
        switch (name)
        {
            case "AMP" or "LT" or "GT" or "QUOT" or "COPY" or "REG":
                return Named(name.ToString().ToLowerInvariant());
            case "lang":
                return "\u27e8"; // HTML 5 moved the angle brackets
            case "rang":
                return "\u27e9";
            default:
                string decoded = WebUtility.HtmlDecode($"&{name};");
                return decoded.Length == 1 ? decoded : null;
        }
    }

    private static bool TryResolveNumber(ReadOnlySpan<char> body, out string value, out int length)
    {
        bool hex = body.Length > 1 && body[1] is 'x' or 'X';
        int first = length = hex ? 2 : 1;
        int code = 0;
        for (; length < body.Length && (hex ? char.IsAsciiHexDigit(body[length]) : char.IsAsciiDigit(body[length])); length++)
            code = Math.Min(code * (hex ? 16 : 10) + int.Parse(body.Slice(length, 1), NumberStyles.AllowHexSpecifier), 0x110000);
        value = CodePoint(code);
        if (length == first)
            return false;
        if (length < body.Length && body[length] == ';')
            length++;
        return true;
    }

    private static string CodePoint(int code) => code switch
    {
        '\r' => "\r",
        >= 0x80 and <= 0x9f => Windows1252[code - 0x80].ToString(),
        0 or (>= 0xd800 and <= 0xdfff) or > 0x10ffff => "\ufffd",
        // Control characters and the code points that are none stand for nothing.
        (< 0x20 and not ('\t' or '\n' or '\f')) or 0x7f or (>= 0xfdd0 and <= 0xfdef) => "",
        _ => (code & 0xfffe) == 0xfffe ? "" : char.ConvertFromUtf32(code),
    };

    private static int AlphanumericLength(ReadOnlySpan<char> text, int most)
    {
        int length = 0;
        while (length < text.Length && length < most && char.IsAsciiLetterOrDigit(text[length]))
            length++;
        return length;
    }
}
