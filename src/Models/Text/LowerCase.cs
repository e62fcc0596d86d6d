using System.Globalization;
using System.Text;

namespace TinyZsad.Models;

/// <summary>
/// Provides the full lower-case mapping of Unicode, as Python's <c>str.lower</c>: the simple mapping of .NET and two exceptions, İ,
/// which becomes two code points, and Σ, which becomes ς at the end of a word.
/// </summary>
internal static class LowerCase
{
    private const char CapitalSigma = 'Σ';

    internal static string Of(string text)
    {
        if (text.Contains(CapitalSigma))
            text = WithFinalSigmas(text);
        return text.Replace("İ", "i\u0307", StringComparison.Ordinal).ToLowerInvariant();
    }

    private static string WithFinalSigmas(string text)
    {
        char[] result = text.ToCharArray();
        for (int i = text.IndexOf(CapitalSigma); i >= 0; i = text.IndexOf(CapitalSigma, i + 1))
        {
            if (EndsInCasedLetter(text.AsSpan(0, i)) && !StartsWithCasedLetter(text.AsSpan(i + 1)))
                result[i] = 'ς';
        }
        return new string(result);
    }

    private static bool EndsInCasedLetter(ReadOnlySpan<char> text)
    {
        while (!text.IsEmpty)
        {
            Rune.DecodeLastFromUtf16(text, out Rune rune, out int length);
            if (!IsCaseIgnorable(rune))
                return IsCased(rune);
            text = text[..^length];
        }
        return false;
    }

    private static bool StartsWithCasedLetter(ReadOnlySpan<char> text)
    {
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (!IsCaseIgnorable(rune))
                return IsCased(rune);
        }
        return false;
    }

    /// <summary>Gets the Case_Ignorable property: marks, modifiers, format characters and punctuation inside words.</summary>
    private static bool IsCaseIgnorable(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format
            or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol => true,
        _ => rune.Value is '\'' or '.' or ':' or '·' or 0x387 or 0x55f or 0x5f4 or 0x2018 or 0x2019 or 0x2024 or 0x2027
            or 0xfe13 or 0xfe52 or 0xfe55 or 0xff07 or 0xff0e or 0xff1a,
    };

    /// <summary>Gets the Cased property of a character that is not Case_Ignorable.</summary>
    private static bool IsCased(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter => true,
        // ordinal indicators, Roman numerals, letters in circles and squares
        _ => rune.Value is 'ª' or 'º' or (>= 0x2160 and <= 0x217f) or (>= 0x24b6 and <= 0x24e9)
            or (>= 0x1f130 and <= 0x1f149) or (>= 0x1f150 and <= 0x1f169) or (>= 0x1f170 and <= 0x1f189),
    };
}
