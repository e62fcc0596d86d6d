using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace TinyZsad.Cli;

/// <summary>Writes JSON for people and programs: unescaped UTF-8, and null for numbers that JSON cannot represent.</summary>
internal static class Json
{
    /// <summary>Writes one object and a line break.</summary>
    /// <param name="output">The writer.</param>
    /// <param name="indented">Whether the object is written on several lines.</param>
    /// <param name="write">Writes the content of the object.</param>
    public static void WriteObject(TextWriter output, bool indented, Action<Utf8JsonWriter> write)
    {
        JsonWriterOptions options = new() { Indented = indented, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, options))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        output.WriteLine(Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length));
        output.Flush();
    }

    public static void Number(this Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value)) json.WriteNumber(name, value);
        else json.WriteNull(name);
    }

    public static void Number(this Utf8JsonWriter json, string name, float value)
    {
        if (float.IsFinite(value)) json.WriteNumber(name, value);
        else json.WriteNull(name);
    }

    public static void Milliseconds(this Utf8JsonWriter json, string name, TimeSpan time) =>
        json.WriteNumber(name, Math.Round(time.TotalMilliseconds, 4));

    public static void Array<T>(this Utf8JsonWriter json, string name, IEnumerable<T> items, Action<T> write)
    {
        json.WriteStartArray(name);
        foreach (T item in items) write(item);
        json.WriteEndArray();
    }
}
