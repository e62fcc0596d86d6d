using System.Text;

namespace TinyZsad.Models;

/// <summary>
/// Cleans a text as open_clip does before it splits it: the fixes of ftfy (without the repair of wrongly decoded text), two passes over
/// HTML references, collapsed white space, and lower case.
/// </summary>
internal static class TextCleaning
{
    /// <summary>The number of UTF-16 units after leading white space that are read. It bounds the work; 77 ids need far fewer.</summary>
    internal const int MaxLength = 16_384;

    /// <summary>
    /// The maximum number of passes of ftfy's steps. Each pass resolves one level of nested references (<c>&amp;amp;amp;lt;</c>). The
    /// limit bounds the work for hostile texts.
    /// </summary>
    internal const int MaxRounds = 16;

    // The normal-width forms of U+FF61 to U+FFEF. Unassigned characters and U+FFE3, which becomes two characters, are unchanged.
    private const string OrdinaryWidth =
        "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン\u3099\u309a" +
        "\u1160\u1100\u1101\u11aa\u1102\u11ac\u11ad\u1103\u1104\u1105\u11b0\u11b1\u11b2\u11b3\u11b4\u11b5\u111a\u1106" +
        "\u1107\u1108\u1121\u1109\u110a\u110b\u110c\u110d\u110e\u110f\u1110\u1111\u1112\uffbf\uffc0\uffc1\u1161\u1162" +
        "\u1163\u1164\u1165\u1166\uffc8\uffc9\u1167\u1168\u1169\u116a\u116b\u116c\uffd0\uffd1\u116d\u116e\u116f\u1170" +
        "\u1171\u1172\uffd8\uffd9\u1173\u1174\u1175\uffdd\uffde\uffdf\u00a2\u00a3\u00ac\uffe3\u00a6\u00a5\u20a9\uffe7" +
        "\u2502\u2190\u2191\u2192\u2193\u25a0\u25cb\uffef";

    /// <summary>Cleans any string. Lone surrogates become U+FFFD. Text after <see cref="MaxLength"/> units is removed.</summary>
    internal static string Clean(string text)
    {
        ReadOnlySpan<char> counted = text.AsSpan().TrimStart();
        text = WellFormed(counted[..Math.Min(counted.Length, MaxLength)].ToString());
        text = HtmlEntities.Unescape(Tidy(text), closedOnly: false);
        text = HtmlEntities.Unescape(text, closedOnly: false);
        return LowerCase.Of(CollapseWhiteSpace(text));
    }

    private static string WellFormed(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\ud800', '\udfff'))
            return text;
        StringBuilder result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            result.Append(rune);
        return result.ToString();
    }

    /// <summary>
    /// Applies ftfy's steps until nothing changes, at most <see cref="MaxRounds"/> times. Its handling of line breaks is omitted, because
    /// white space is collapsed afterwards.
    /// </summary>
    private static string Tidy(string text)
    {
        for (int round = 0; round < MaxRounds; round++)
        {
            string before = text;
            if (!text.Contains('<'))
                text = HtmlEntities.Unescape(text, closedOnly: true);
            text = CanonicalComposition.Compose(TidyCharacters(text));
            if (text == before)
                break;
        }
        return text;
    }

    private static string TidyCharacters(string text)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            return text;
        StringBuilder result = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            if (Tidied(c) is string tidied)
                result.Append(tidied);
            else
                result.Append(c);
        }
        return result.ToString();
    }

    /// <summary>
    /// Gets the replacement of a character: ligatures are split, full- and half-width forms become normal, quotes become straight, and
    /// control characters are removed. Null if the character is unchanged.
    /// </summary>
    private static string? Tidied(char c) => c switch
    {
        'ĳ' => "ij", 'Ĳ' => "IJ", 'ŉ' => "'n",
        'Ǆ' => "DŽ", 'ǅ' => "Dž", 'ǆ' => "dž", 'Ǳ' => "DZ", 'ǲ' => "Dz", 'ǳ' => "dz",
        'Ǉ' => "LJ", 'ǈ' => "Lj", 'ǉ' => "lj", 'Ǌ' => "NJ", 'ǋ' => "Nj", 'ǌ' => "nj",
        'ﬀ' => "ff", 'ﬁ' => "fi", 'ﬂ' => "fl", 'ﬃ' => "ffi", 'ﬄ' => "ffl", 'ﬅ' => "ſt", 'ﬆ' => "st",
        '\uffe3' => " \u0304",
        >= '\uff01' and <= '\uff5e' => ((char)(c - '\uff01' + '!')).ToString(),
        '\uff5f' or '\uff60' => ((char)(c - '\uff5f' + '\u2985')).ToString(),
        >= '\uff61' and <= '\uffef' => OrdinaryWidth[c - '\uff61'].ToString(),
        '\u02bc' or (>= '\u2018' and <= '\u201b') => "'",
        >= '\u201c' and <= '\u201f' => "\"",
        (< ' ' and not (>= '\t' and <= '\r')) or '\v' or '\u007f' or (>= '\u206a' and <= '\u206f') or '\ufeff'
            or (>= '\ufff9' and <= '\ufffc') => "",
        _ => null,
    };

    private static string CollapseWhiteSpace(string text) =>
        string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
