using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>Verifies the tokenizer with the strings of a case and the ids of the official tokenizer.</summary>
internal static class TokenisedStrings
{
    private const string Name = "strings";
    private const int Context = ClipTokenizer.ContextLength, Most = 4096;

    /// <summary>Reads the ids from a safetensors file, one row per string.</summary>
    /// <exception cref="ModelFormatException">The ids are missing or invalid.</exception>
    public static int[][] Read(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        if (!file.TryGet(Name, out TensorEntry? entry)) throw Error("is missing");
        if (entry.Shape is not [> 0 and <= Most, Context])
        {
            throw Error($"is [{string.Join(", ", entry.Shape)}]; "
                + $"it must have a row of {Context} ids for each of 1 to {Most} strings");
        }

        int[][] rows = [.. entry.AsSpan<int>().ToArray().Chunk(Context)];
        foreach ((int i, int[] row) in rows.Index())
        {
            int wrong = row.AsSpan().IndexOfAnyExceptInRange(0, ClipTokenizer.EndToken);
            if (wrong >= 0) throw Error($"has the id {row[wrong]} at [{i}, {wrong}]; ids are 0 to {ClipTokenizer.EndToken}");
            if (!row.Contains(ClipTokenizer.EndToken))
                throw Error($"has no id {ClipTokenizer.EndToken} in row {i}, which ends a text");
        }
        return rows;

        ModelFormatException Error(string what) => new(file.Name, $"tensor '{Name}' {what}.") { Tensor = Name };
    }

    /// <summary>Tokenizes the strings of a JSON file and counts the ids that differ.</summary>
    /// <exception cref="ModelFormatException">The file is not an array of as many strings as there are rows of ids.</exception>
    public static TapComparison Compare(string path, int[][] expected)
    {
        ManifestValue list = ManifestValue.Read(path);
        IReadOnlyList<ManifestValue> strings = list.Items();
        if (strings.Count != expected.Length) throw list.Error($"one of {expected.Length} strings, as there are rows of ids");
        int wrong = 0, worst = 0, compared = 0;
        float wanted = 0, given = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            // ftfy repairs wrongly decoded text, which the tokenizer does not.
            string text = strings[i]["text"].Text();
            if (strings[i]["needs"].Text() == "ftfy" && text.Contains('\u00C3')) continue;
            int[] ids = ClipTokenizer.Shared.Encode(text);
            compared++;
            for (int j = 0; j < Context; j++)
                if (ids[j] != expected[i][j] && wrong++ == 0) (worst, wanted, given) = (i * Context + j, expected[i][j], ids[j]);
        }
        return new TapComparison("text.tokens", [compared, Context], wrong, wrong, null, worst, wanted, given, 0, null);
    }
}
