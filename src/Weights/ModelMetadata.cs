using System.Globalization;
using System.Numerics;

namespace TinyZsad.Weights;

/// <summary>
/// Typed access to what a model file says about its model. Values are text: numbers in invariant culture, truth as
/// <c>true</c> or <c>false</c>, lists as numbers with commas between them (<c>0.48,0.46,0.41</c>; spaces may follow a comma).
/// Whatever is missing, of another kind or out of range is a <see cref="ModelFormatException"/> that names the file, the key,
/// the value found and what is allowed. The <c>...Or</c> forms give a fallback for a missing key, but for no wrong value.
/// Immutable and thread-safe.
/// </summary>
internal sealed class ModelMetadata
{
    /// <summary>What <c>format</c> reads in a TinyZsad model.</summary>
    public const string Format = "tinyzsad";

    /// <summary>The one <c>format_version</c> that is read.</summary>
    public const string FormatVersion = "1";

    private readonly string file;
    private readonly IReadOnlyDictionary<string, string> values;

    /// <summary>Reads a file's metadata, whatever it holds; <see cref="RequireModel"/> asks whether it is a model's.</summary>
    public ModelMetadata(SafetensorsFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        this.file = file.Name;
        values = file.Metadata;
    }

    /// <summary>Checks that the file is a TinyZsad model of the version that is read.</summary>
    /// <returns>Which model it holds: the value of <c>model</c>.</returns>
    /// <exception cref="ModelFormatException">It is not; the message says what it is instead.</exception>
    public string RequireModel()
    {
        if (TextOr("format", "") != Format)
        {
            string found = values.TryGetValue("format", out string? format) ? $"is {Shown.Quote(format)}" : "is missing";
            throw Error("format",
                $"this is a safetensors file but not a TinyZsad model (metadata 'format' {found}, not '{Format}'); convert it first");
        }
        string version = Text("format_version");
        return version == FormatVersion
            ? Text("model")
            : throw Wrong("format_version", version, $"'{FormatVersion}', the version that this release reads");
    }

    /// <summary>The text of a key.</summary>
    /// <exception cref="ModelFormatException">The key is missing.</exception>
    public string Text(string key) => values.TryGetValue(key, out string? value) ? value : throw Missing(key, "text");

    /// <summary>The text of a key, which must be one of the given words, letter for letter.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its text is another.</exception>
    public string Text(string key, params ReadOnlySpan<string> oneOf)
    {
        string allowed = $"one of {string.Join(", ", oneOf)}";
        string value = values.TryGetValue(key, out string? found) ? found : throw Missing(key, allowed);
        return oneOf.Contains(value) ? value : throw Wrong(key, value, allowed);
    }

    /// <summary>The whole number of a key, from <paramref name="min"/> to <paramref name="max"/>, both included.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its value is no such number.</exception>
    public int Int(string key, int min, int max) => Number(key, min, max);

    /// <summary>The number of a key, from <paramref name="min"/> to <paramref name="max"/>, both included.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its value is no such number.</exception>
    public float Float(string key, float min, float max) => Number(key, min, max);

    /// <summary>The truth value of a key.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its value is neither true nor false.</exception>
    public bool Bool(string key) => Text(key, "true", "false") == "true";

    /// <summary>The whole numbers of a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="count">How many there must be; null for any number but none.</param>
    /// <param name="min">The least each may be.</param>
    /// <param name="max">The most each may be.</param>
    /// <exception cref="ModelFormatException">The key is missing, or its value is no such list.</exception>
    public int[] Ints(string key, int? count = null, int min = int.MinValue, int max = int.MaxValue) =>
        Numbers(key, count, min, max);

    /// <summary>The numbers of a key, all finite.</summary>
    /// <param name="key">The key.</param>
    /// <param name="count">How many there must be; null for any number but none.</param>
    /// <param name="min">The least each may be.</param>
    /// <param name="max">The most each may be.</param>
    /// <exception cref="ModelFormatException">The key is missing, or its value is no such list.</exception>
    public float[] Floats(string key, int? count = null, float min = float.MinValue, float max = float.MaxValue) =>
        Numbers(key, count, min, max);

    /// <summary><see cref="Text(string)"/>, or the fallback if the key is missing.</summary>
    public string TextOr(string key, string fallback) => values.GetValueOrDefault(key, fallback);

    /// <summary><see cref="Text(string, ReadOnlySpan{string})"/>, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The key's text is none of the given words.</exception>
    public string TextOr(string key, string fallback, params ReadOnlySpan<string> oneOf) =>
        values.ContainsKey(key) ? Text(key, oneOf) : fallback;

    /// <summary><see cref="Int"/>, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The key's value is no such number.</exception>
    public int IntOr(string key, int min, int max, int fallback) => values.ContainsKey(key) ? Int(key, min, max) : fallback;

    /// <summary><see cref="Float"/>, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The key's value is no such number.</exception>
    public float FloatOr(string key, float min, float max, float fallback) =>
        values.ContainsKey(key) ? Float(key, min, max) : fallback;

    /// <summary><see cref="Bool"/>, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The key's value is neither true nor false.</exception>
    public bool BoolOr(string key, bool fallback) => values.ContainsKey(key) ? Bool(key) : fallback;

    /// <summary><see cref="Ints"/>, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The key's value is no such list.</exception>
    public int[] IntsOr(string key, int[] fallback, int? count = null, int min = int.MinValue, int max = int.MaxValue) =>
        values.ContainsKey(key) ? Ints(key, count, min, max) : fallback;

    /// <summary><see cref="Floats"/>, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The key's value is no such list.</exception>
    public float[] FloatsOr(string key, float[] fallback, int? count = null, float min = float.MinValue,
        float max = float.MaxValue) => values.ContainsKey(key) ? Floats(key, count, min, max) : fallback;

    private T Number<T>(string key, T min, T max) where T : struct, INumber<T>
    {
        string allowed = Allowed("a", min, max);
        string value = values.TryGetValue(key, out string? found) ? found : throw Missing(key, allowed);
        return TryParse(value, min, max, out T number) ? number : throw Wrong(key, value, allowed);
    }

    private T[] Numbers<T>(string key, int? count, T min, T max) where T : struct, INumber<T>
    {
        string allowed = Allowed(count is { } n ? $"{n} comma-separated, each a" : "comma-separated, each a", min, max);
        string value = values.TryGetValue(key, out string? found) ? found : throw Missing(key, allowed);
        int length = value.AsSpan().Count(',') + 1;
        if (count is not null && length != count)
            throw Wrong(key, value, allowed);
        T[] numbers = new T[length];
        int i = 0;
        foreach (Range part in value.AsSpan().Split(','))
        {
            if (!TryParse(value.AsSpan(part).TrimStart(' '), min, max, out numbers[i++]))
                throw Wrong(key, value, allowed);
        }
        return numbers;
    }

    // The comparisons are false for NaN, and finite limits shut out the infinities.
    private static bool TryParse<T>(ReadOnlySpan<char> text, T min, T max, out T number) where T : struct, INumber<T> =>
        T.TryParse(text, StyleOf<T>(), CultureInfo.InvariantCulture, out number) && number >= min && number <= max;

    private static NumberStyles StyleOf<T>() => typeof(T) == typeof(int)
        ? NumberStyles.AllowLeadingSign
        : NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;

    private static string Allowed<T>(string article, T min, T max) where T : struct, INumber<T> => string.Create(
        CultureInfo.InvariantCulture, $"{article} {(typeof(T) == typeof(int) ? "whole number" : "number")} from {min} to {max}");

    private ModelFormatException Missing(string key, string allowed) =>
        Error(key, $"metadata '{key}' is missing; it must be {allowed}");

    private ModelFormatException Wrong(string key, string value, string allowed) =>
        Error(key, $"metadata '{key}' is {Shown.Quote(value)}; it must be {allowed}");

    /// <summary>Creates the error of a key.</summary>
    private ModelFormatException Error(string key, string what) => new(file, $"{what}.") { Key = key };
}
