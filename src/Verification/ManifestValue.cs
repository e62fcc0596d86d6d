using System.Text.Json;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>
/// A value of a case's JSON. What is missing, of another kind or out of range is a <see cref="ModelFormatException"/> that names
/// the file and the place in it.
/// </summary>
/// <param name="file">The file, for messages.</param>
/// <param name="place">Where in it, such as <c>taps.x.shape[1]</c>; empty for all of it.</param>
/// <param name="json">The value.</param>
internal readonly struct ManifestValue(string file, string place, JsonElement json)
{
    /// <summary>The longest place that a message shows.</summary>
    private const int MaxPlace = 100;

    /// <summary>Reads a file.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="ModelFormatException">It is no JSON.</exception>
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

    /// <summary>The value of a key, which must be there.</summary>
    public ManifestValue this[string key] =>
        TryGet(key, out ManifestValue value) ? value : throw value.Error("there");

    /// <summary>Whether this, an object, has a key.</summary>
    public bool Has(string key) => TryGet(key, out _);

    /// <summary>Whether it is a number; others stand where the official code gives none.</summary>
    public bool IsNumber => json.ValueKind == JsonValueKind.Number;

    /// <summary>The value of a key, if it is there.</summary>
    public bool TryGet(string key, out ManifestValue value)
    {
        if (json.ValueKind != JsonValueKind.Object) throw Error("an object");
        JsonElement self = json, element = default;
        Unescaped(() => self.TryGetProperty(key, out element));
        value = new ManifestValue(file, Below(key), element);
        return element.ValueKind != JsonValueKind.Undefined;
    }

    /// <summary>The keys and values of an object, each key once.</summary>
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

    /// <summary>The items of a list.</summary>
    public IReadOnlyList<ManifestValue> Items()
    {
        if (json.ValueKind != JsonValueKind.Array) throw Error("a list");
        List<ManifestValue> items = [];
        foreach (JsonElement item in json.EnumerateArray()) items.Add(new ManifestValue(file, $"{place}[{items.Count}]", item));
        return items;
    }

    /// <summary>A text.</summary>
    public string Text()
    {
        if (json.ValueKind != JsonValueKind.String) throw Error("a text");
        JsonElement text = json;
        return Unescaped(() => text.GetString()!);
    }

    /// <summary>The whole path of a file that is there, given from the manifest's folder.</summary>
    public string FilePath()
    {
        string path = Text();
        if (path.Length == 0 || path.Contains('\0')) throw Error("the path of a file");
        path = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, path));
        return File.Exists(path) ? path : throw Error($"the path of a file; there is no {path}");
    }

    /// <summary>A finite number.</summary>
    public double Number() =>
        IsNumber && json.TryGetDouble(out double number) && double.IsFinite(number) ? number : throw Error("a finite number");

    /// <summary>A whole number within limits.</summary>
    public int Int(int min, int max) =>
        IsNumber && json.TryGetInt32(out int number) && number >= min && number <= max
            ? number
            : throw Error($"a whole number from {min} to {max}");

    /// <summary>A whole number that is not negative.</summary>
    public long Count() =>
        IsNumber && json.TryGetInt64(out long number) && number >= 0 ? number : throw Error("a whole number from 0 to 2^63 - 1");

    /// <summary>A whole number of 64 bits that is not negative.</summary>
    public ulong UInt64() =>
        IsNumber && json.TryGetUInt64(out ulong number) ? number : throw Error("a whole number from 0 to 2^64 - 1");

    /// <summary>True or false.</summary>
    public bool Truth() => json.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Error("true or false"),
    };

    /// <summary>An error: what the value must be.</summary>
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

    /// <summary>A JSON text may hold half a surrogate pair, which .NET reads as an error of the caller's.</summary>
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
