using System.Globalization;
using System.Text;

namespace TinyZsad.Weights;

/// <summary>Formats text from files for error messages: with a limited length and without control characters.</summary>
internal static class Shown
{
    private const int MaxLength = 80;

    /// <summary>Formats a text in quotation marks.</summary>
    public static string Quote(string text) => $"'{Clip(text)}'";

    /// <summary>Formats the first characters of a text. Control and format characters and surrogates become \uXXXX.</summary>
    public static string Clip(string text)
    {
        StringBuilder shown = new StringBuilder();
        foreach (char c in text.AsSpan(0, Math.Min(text.Length, MaxLength)))
        {
            bool plain = char.GetUnicodeCategory(c) is not (UnicodeCategory.Control or UnicodeCategory.Format
                or UnicodeCategory.Surrogate or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
            _ = plain ? shown.Append(c) : shown.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
        }
        return text.Length > MaxLength ? shown.Append("...").ToString() : shown.ToString();
    }

    /// <summary>Formats a shape as "[2, 3]".</summary>
    public static string Shape(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
