using System.Text.Json;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>
/// Represents a value in the JSON file of a case. A value that is missing, of another kind or out of range is a
/// <see cref="ModelFormatException"/> with the file and the path of the value.
/// </summary>
/// <param name="file">The path of the file.</param>
/// <param name="place">The path of the value, such as <c>taps.x.shape[1]</c>; empty for the root.</param>
/// <param name="json">The value.</param>
internal readonly struct ManifestValue(string file, string place, JsonElement json)
{
    /// <summary>The maximum length of a path in a message.</summary>
    private const int MaxPlace = 100;

    /// <summary>Reads a file.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="ModelFormatException">The file is not valid JSON.</exception>
    public static ManifestValue Read(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes);
            return new ManifestValue(path, "", document.RootElement.Clone());
        }
        catch (JsonException e)
        {
            throw new ModelFormatException(path, $"no file of a reference case: it is not valid JSON: {e.Message}", e)
            {
                Offset = e.Offset(bytes),
            };
        }
    }

    /// <summary>Gets the value of a required key.</summary>
    public ManifestValue this[string key] =>
        TryGet(key, out ManifestValue value) ? value : throw value.Error("there");

    /// <summary>Gets a value that indicates whether an object has a key.</summary>
    public bool Has(string key) => TryGet(key, out _);

    /// <summary>Gets a value that indicates whether the value is a number. Other values mean an undefined metric.</summary>
    public bool IsNumber => json.ValueKind == JsonValueKind.Number;

    /// <summary>Gets the value of an optional key.</summary>
    public bool TryGet(string key, out ManifestValue value)
    {
        if (json.ValueKind != JsonValueKind.Object) throw Error("an object");
        JsonElement self = json, element = default;
        Unescaped(() => self.TryGetProperty(key, out element));
        value = new ManifestValue(file, Below(key), element);
        return element.ValueKind != JsonValueKind.Undefined;
    }

    /// <summary>Gets the keys and values of an object. Keys must be unique.</summary>
    public IReadOnlyList<(string Name, ManifestValue Value)> Members()
    {
        if (json.ValueKind != JsonValueKind.Object) throw Error("an object");
        List<(string, ManifestValue)> members = [];
        HashSet<string> names = [];
        foreach (JsonProperty member in json.EnumerateObject())
        {
            string name = Unescaped(() => member.Name);
            ManifestValue value = new(file, Below(name), member.Value);
            members.Add(names.Add(name) ? (name, value) : throw value.Error("given once"));
        }
        return members;
    }

    /// <summary>Gets the items of an array.</summary>
    public IReadOnlyList<ManifestValue> Items()
    {
        if (json.ValueKind != JsonValueKind.Array) throw Error("a list");
        List<ManifestValue> items = [];
        foreach (JsonElement item in json.EnumerateArray()) items.Add(new ManifestValue(file, $"{place}[{items.Count}]", item));
        return items;
    }

    /// <summary>Gets the value as a string.</summary>
    public string Text()
    {
        if (json.ValueKind != JsonValueKind.String) throw Error("a text");
        JsonElement text = json;
        return Unescaped(() => text.GetString()!);
    }

    /// <summary>Gets the full path of an existing file, given relative to the folder of the manifest.</summary>
    public string FilePath()
    {
        string path = Text();
        if (path.Length == 0 || path.Contains('\0')) throw Error("the path of a file");
        path = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, path));
        return File.Exists(path) ? path : throw Error($"the path of a file; there is no {path}");
    }

    /// <summary>Gets the value as a finite number.</summary>
    public double Number() =>
        IsNumber && json.TryGetDouble(out double number) && double.IsFinite(number) ? number : throw Error("a finite number");

    /// <summary>Gets the value as an integer from <paramref name="min"/> to <paramref name="max"/> inclusive.</summary>
    public int Int(int min, int max) =>
        IsNumber && json.TryGetInt32(out int number) && number >= min && number <= max
            ? number
            : throw Error($"a whole number from {min} to {max}");

    /// <summary>Gets the value as an integer that is not negative.</summary>
    public long Count() =>
        IsNumber && json.TryGetInt64(out long number) && number >= 0 ? number : throw Error("a whole number from 0 to 2^63 - 1");

    /// <summary>Gets the value as an unsigned 64-bit integer.</summary>
    public ulong UInt64() =>
        IsNumber && json.TryGetUInt64(out ulong number) ? number : throw Error("a whole number from 0 to 2^64 - 1");

    /// <summary>Gets the value as a Boolean.</summary>
    public bool Truth() => json.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Error("true or false"),
    };

    /// <summary>Creates an error of the value.</summary>
    /// <param name="must">What the value must be.</param>
    /// <param name="inner">The error that caused it; null for none.</param>
    public ModelFormatException Error(string must, Exception? inner = null)
    {
        string where = place.Length > MaxPlace ? place[..MaxPlace] + "..." : place;
        string found = json.ValueKind == JsonValueKind.Undefined ? "is missing" : $"is {Kind()}";
        return new ModelFormatException(
            file, $"no file of a reference case: {(where.Length == 0 ? "it" : $"'{where}'")} {found}; it must be {must}.", inner)
        {
            Key = place.Length == 0 ? null : place,
        };
    }

    private string Kind() => json.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => $"the number {(json.GetRawText() is { Length: < 40 } number ? number : "of many digits")}",
        JsonValueKind.True or JsonValueKind.False => "a truth value",
        _ => "null",
    };

    private string Below(string key) => place.Length == 0 ? key : $"{place}.{key}";

    /// <summary>Reads a string. A lone surrogate, for which .NET throws InvalidOperationException, is an error of the file.</summary>
    private T Unescaped<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            throw Error("a text of whole characters");
        }
    }
}
