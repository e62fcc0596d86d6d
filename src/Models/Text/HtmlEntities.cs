using System.Globalization;
using System.Net;
using System.Text;

namespace TinyZsad.Models;

/// <summary>
/// Resolves HTML character references as Python's <c>html.unescape</c> does: numeric ones with the corrections of HTML 5, and older
/// names also without a semicolon (<c>&amp;eacute</c>, <c>&amp;amplifier</c>). Supported are the 253 names of XHTML and
/// <c>AMP LT GT QUOT COPY REG</c>, but not the other names of HTML 5 (<c>&amp;check;</c>).
/// </summary>
internal static class HtmlEntities
{
    private const int LongestBareName = 6;

    // The characters of &#128; to &#159;: those of Windows-1252. Its five unassigned codes are unchanged.
    private const string Windows1252 =
        "\u20ac\u0081\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u008d\u017d\u008f" +
        "\u0090\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u009d\u017e\u0178";

    /// <summary>Resolves all references once, from left to right.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="closedOnly">Whether to resolve only references of 1 to 24 letters and digits with a semicolon.</param>
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

    /// <summary>Resolves one reference.</summary>
    /// <param name="body">The text after the ampersand.</param>
    /// <param name="value">Receives the characters of the reference.</param>
    /// <param name="length">Receives the length of the reference in the body.</param>
    private static bool TryResolve(ReadOnlySpan<char> body, out string value, out int length)
    {
        if (body.StartsWith('#'))
            return TryResolveNumber(body, out value, out length);

        // No name has 25 letters or digits.
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

    /// <summary>Gets a value that indicates whether a name may lack its semicolon: those of Latin-1 and of the markup characters.</summary>
    private static bool MayStandBare(string value) => value[0] is (>= '\u00a0' and <= '\u00ff') or '&' or '<' or '>' or '"';

    private static string? Named(ReadOnlySpan<char> name)
    {
        switch (name)
        {
            case "AMP" or "LT" or "GT" or "QUOT" or "COPY" or "REG":
                return Named(name.ToString().ToLowerInvariant());
            case "lang":
                return "\u27e8"; // HTML 5 changed the angle brackets
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
        // Control characters and noncharacters are removed.
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
