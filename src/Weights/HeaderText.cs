using System.Globalization;
using System.Text;

namespace TinyZsad.Weights;

/// <summary>
/// Writes a safetensors header as Python's <c>json.dumps(header, separators=(",", ":"))</c> does: without spaces, and with all
/// characters escaped that are not printable ASCII. Both writers therefore give the same bytes for the same tensors.
/// </summary>
internal sealed class HeaderText
{
    /// <summary>The key of the metadata, the only key that is not a tensor.</summary>
    public const string MetadataKey = "__metadata__";

    private readonly StringBuilder json = new("{");

    /// <summary>Adds the metadata. It must be added before the tensors.</summary>
    public void Add(IReadOnlyCollection<KeyValuePair<string, string>> metadata)
    {
        AppendKey(MetadataKey).Append('{');
        foreach ((string key, string value) in metadata)
        {
            AppendKey(key);
            AppendString(value);
        }
        json.Append('}');
    }

    /// <summary>Adds a tensor.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="offset">The offset of its bytes from the start of the data.</param>
    public void Add(TensorDeclaration tensor, long offset)
    {
        AppendKey(tensor.Name).Append("{\"dtype\":");
        AppendString(tensor.TypeName);
        json.Append(",\"shape\":[").AppendJoin(',', tensor.Shape)
            .Append(CultureInfo.InvariantCulture, $$"""],"data_offsets":[{{offset}},{{offset + tensor.ByteLength}}]}""");
    }

    /// <summary>Gets the whole header, padded with spaces to a multiple of 8 bytes so that the data is aligned.</summary>
    public byte[] ToBytes()
    {
        json.Append('}');
        json.Append(' ', -json.Length & 7);
        return Encoding.ASCII.GetBytes(json.ToString());
    }

    private StringBuilder AppendKey(string key)
    {
        if (json[^1] != '{')
            json.Append(',');
        AppendString(key);
        return json.Append(':');
    }

    private void AppendString(string text)
    {
        json.Append('"');
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' => json.Append("\\\""),
                '\\' => json.Append("\\\\"),
                '\b' => json.Append("\\b"),
                '\f' => json.Append("\\f"),
                '\n' => json.Append("\\n"),
                '\r' => json.Append("\\r"),
                '\t' => json.Append("\\t"),
                >= ' ' and <= '~' => json.Append(c),
                _ => json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
            };
        }
        json.Append('"');
    }
}
