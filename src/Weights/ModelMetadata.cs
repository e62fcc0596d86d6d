using System.Globalization;
using System.Numerics;

namespace TinyZsad.Weights;

/// <summary>
/// Provides typed access to the metadata of a model file. Values are text: numbers in the invariant culture, Booleans as <c>true</c>
/// or <c>false</c>, lists as numbers separated by commas (<c>0.48,0.46,0.41</c>; spaces may follow a comma). A value that is missing,
/// malformed or out of range is a <see cref="ModelFormatException"/>, whose message has the file, the key, the value and the allowed
/// values. The <c>...Or</c> methods return a fallback for a missing key, but not for a wrong value. Instances are immutable and thread
/// safe.
/// </summary>
internal sealed class ModelMetadata
{
    /// <summary>The value of <c>format</c> in a TinyZsad model.</summary>
    public const string Format = "tinyzsad";

    /// <summary>The supported value of <c>format_version</c>.</summary>
    public const string FormatVersion = "1";

    private readonly string file;
    private readonly IReadOnlyDictionary<string, string> values;

    /// <summary>Initializes the metadata of a file. <see cref="RequireModel"/> checks whether the file is a model.</summary>
    public ModelMetadata(SafetensorsFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        this.file = file.Name;
        values = file.Metadata;
    }

    /// <summary>Checks that the file is a TinyZsad model of the supported version.</summary>
    /// <returns>The value of <c>model</c>, which names the system.</returns>
    /// <exception cref="ModelFormatException">The file is not such a model.</exception>
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

    /// <summary>Gets the text of a key.</summary>
    /// <exception cref="ModelFormatException">The key is missing.</exception>
    public string Text(string key) => values.TryGetValue(key, out string? value) ? value : throw Missing(key, "text");

    /// <summary>Gets the text of a key, which must be one of the given words. Case matters.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its text is none of the words.</exception>
    public string Text(string key, params ReadOnlySpan<string> oneOf)
    {
        string allowed = $"one of {string.Join(", ", oneOf)}";
        string value = values.TryGetValue(key, out string? found) ? found : throw Missing(key, allowed);
        return oneOf.Contains(value) ? value : throw Wrong(key, value, allowed);
    }

    /// <summary>Gets the integer of a key, from <paramref name="min"/> to <paramref name="max"/> inclusive.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its value is not such a number.</exception>
    public int Int(string key, int min, int max) => Number(key, min, max);

    /// <summary>Gets the number of a key, from <paramref name="min"/> to <paramref name="max"/> inclusive.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its value is not such a number.</exception>
    public float Float(string key, float min, float max) => Number(key, min, max);

    /// <summary>Gets the Boolean of a key.</summary>
    /// <exception cref="ModelFormatException">The key is missing, or its value is neither true nor false.</exception>
    public bool Bool(string key) => Text(key, "true", "false") == "true";

    /// <summary>Gets the integers of a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="count">The required number of values; null for one or more.</param>
    /// <param name="min">The smallest allowed value.</param>
    /// <param name="max">The largest allowed value.</param>
    /// <exception cref="ModelFormatException">The key is missing, or its value is not such a list.</exception>
    public int[] Ints(string key, int? count = null, int min = int.MinValue, int max = int.MaxValue) =>
        Numbers(key, count, min, max);

    /// <summary>Gets the numbers of a key. All are finite.</summary>
    /// <param name="key">The key.</param>
    /// <param name="count">The required number of values; null for one or more.</param>
    /// <param name="min">The smallest allowed value.</param>
    /// <param name="max">The largest allowed value.</param>
    /// <exception cref="ModelFormatException">The key is missing, or its value is not such a list.</exception>
    public float[] Floats(string key, int? count = null, float min = float.MinValue, float max = float.MaxValue) =>
        Numbers(key, count, min, max);

    /// <summary>Gets the value as <see cref="Text(string)"/> does, or the fallback if the key is missing.</summary>
    public string TextOr(string key, string fallback) => values.GetValueOrDefault(key, fallback);

    /// <summary>Gets the value as <see cref="Text(string, ReadOnlySpan{string})"/> does, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The text is none of the words.</exception>
    public string TextOr(string key, string fallback, params ReadOnlySpan<string> oneOf) =>
        values.ContainsKey(key) ? Text(key, oneOf) : fallback;

    /// <summary>Gets the value as <see cref="Int"/> does, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The value is not such a number.</exception>
    public int IntOr(string key, int min, int max, int fallback) => values.ContainsKey(key) ? Int(key, min, max) : fallback;

    /// <summary>Gets the value as <see cref="Float"/> does, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The value is not such a number.</exception>
    public float FloatOr(string key, float min, float max, float fallback) =>
        values.ContainsKey(key) ? Float(key, min, max) : fallback;

    /// <summary>Gets the value as <see cref="Bool"/> does, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The value is neither true nor false.</exception>
    public bool BoolOr(string key, bool fallback) => values.ContainsKey(key) ? Bool(key) : fallback;

    /// <summary>Gets the value as <see cref="Ints"/> does, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The value is not such a list.</exception>
    public int[] IntsOr(string key, int[] fallback, int? count = null, int min = int.MinValue, int max = int.MaxValue) =>
        values.ContainsKey(key) ? Ints(key, count, min, max) : fallback;

    /// <summary>Gets the value as <see cref="Floats"/> does, or the fallback if the key is missing.</summary>
    /// <exception cref="ModelFormatException">The value is not such a list.</exception>
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

    // The comparisons are false for NaN. The limits are finite, which excludes the infinities.
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
