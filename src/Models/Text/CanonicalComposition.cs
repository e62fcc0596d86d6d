// The data in ../Vocabulary/canonical_composition.txt is an excerpt of the Unicode Character Database, (c) Unicode, Inc.
using System.Globalization;
using System.Text;

namespace TinyZsad.Models;

/// <summary>
/// Provides normalization form C of Unicode 14. <see cref="string.Normalize()"/> does nothing in programs with
/// InvariantGlobalization, which this library supports. All members are thread safe.
/// </summary>
internal static class CanonicalComposition
{
    private const int HangulBase = 0xac00, LeadBase = 0x1100, VowelBase = 0x1161, TailBase = 0x11a7;
    private const int LeadCount = 19, VowelCount = 21, TailCount = 28, HangulCount = LeadCount * VowelCount * TailCount;

    private static readonly Lazy<Tables> LazyTables = new(() => new Tables());

    /// <summary>Normalizes well-formed UTF-16 to form C.</summary>
    internal static string Compose(string text)
    {
        // Characters below the first combining mark are unchanged by normalization.
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', '\u02ff') < 0)
            return text;
        List<int> points = Decompose(text);
        Join(points);
        StringBuilder result = new StringBuilder(text.Length);
        foreach (int point in points)
            result.Append(new Rune(point));
        return result.ToString();
    }

    /// <summary>Decomposes a text fully, with marks in canonical order: normalization form D.</summary>
    internal static List<int> Decompose(string text)
    {
        Tables tables = LazyTables.Value;
        List<int> points = new List<int>(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            Append(rune.Value);
        SortMarks();
        return points;

        void Append(int point)
        {
            int syllable = point - HangulBase;
            if ((uint)syllable < HangulCount)
            {
                points.Add(LeadBase + syllable / (VowelCount * TailCount));
                points.Add(VowelBase + syllable / TailCount % VowelCount);
                if (syllable % TailCount != 0)
                    points.Add(TailBase + syllable % TailCount);
            }
            else if (tables.Decompositions.TryGetValue(point, out (int First, int Second) pair))
            {
                Append(pair.First);
                if (pair.Second != 0)
                    points.Add(pair.Second); // second parts have no decomposition
            }
            else
            {
                points.Add(point);
            }
        }

        void SortMarks()
        {
            for (int start = 0, end; start < points.Count; start = end + 1)
            {
                for (end = start; end < points.Count && tables.Class(points[end]) != 0;)
                    end++;
                if (end - start > 1)
                {
                    // The canonical order needs a stable sort, which OrderBy is.
                    int[] sorted = [.. points.GetRange(start, end - start).OrderBy(tables.Class)];
                    for (int i = 0; i < sorted.Length; i++)
                        points[start + i] = sorted[i];
                }
            }
        }
    }

    /// <summary>Composes each starter with the following marks that are not blocked, in place.</summary>
    private static void Join(List<int> points)
    {
        Tables tables = LazyTables.Value;
        int starter = -1, last = 0, count = 0; // last: the class of the last character after the starter; 0 for none
        foreach (int point in points.ToArray())
        {
            int mark = tables.Class(point);
            bool blocked = starter < 0 || (starter != count - 1 && (last == 0 || last >= mark));
            if (!blocked && tables.Composite(points[starter], point) is int joined)
            {
                points[starter] = joined;
                continue;
            }
            if (mark == 0)
                starter = count;
            last = mark;
            points[count++] = point;
        }
        points.RemoveRange(count, points.Count - count);
    }

    private sealed class Tables
    {
        private readonly Dictionary<int, int> classes = [];
        private readonly Dictionary<(int, int), int> composites = [];

        internal Tables()
        {
            using Stream resource = typeof(Tables).Assembly.GetManifestResourceStream("canonical_composition.txt")!;
            using StreamReader reader = new StreamReader(resource, Encoding.ASCII);
            while (reader.ReadLine() is string line)
            {
                if (line[0] == '#')
                    continue;
                string[] words = line.Split(' ');
                int code = Hex(words[1]), first = Hex(words[2]), second = words.Length > 3 ? Hex(words[3]) : 0;
                if (line[0] == 'c')
                {
                    for (; code <= first; code++)
                        classes.Add(code, int.Parse(words[3], CultureInfo.InvariantCulture));
                    continue;
                }
                Decompositions.Add(code, (first, second));
                if (line[0] == 'p')
                    composites.Add((first, second), code);
            }
        }

        internal Dictionary<int, (int First, int Second)> Decompositions { get; } = [];

        internal int Class(int point) => classes.GetValueOrDefault(point);

        internal int? Composite(int first, int second)
        {
            int lead = first - LeadBase, vowel = second - VowelBase, tail = second - TailBase, syllable = first - HangulBase;
            if ((uint)lead < LeadCount && (uint)vowel < VowelCount)
                return HangulBase + (lead * VowelCount + vowel) * TailCount;
            if ((uint)syllable < HangulCount && syllable % TailCount == 0 && tail is > 0 and < TailCount)
                return first + tail;
            return composites.TryGetValue((first, second), out int joined) ? joined : null;
        }

        private static int Hex(string digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }
}
