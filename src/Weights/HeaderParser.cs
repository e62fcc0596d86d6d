using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace TinyZsad.Weights;

/// <summary>Parses a safetensors header and checks the rules of the format. Each rule has its own error message.</summary>
internal ref struct HeaderParser
{
    private const string MetadataKey = HeaderText.MetadataKey;

    // A shape is at depth 3. One more level gives a nested value of the wrong kind its own message.
    private const int MaxDepth = 4;

    /// <summary>
    /// The maximum numbers of tensors and of pairs of metadata, far more than any model has. An empty pair takes 6 bytes of a header and
    /// some 100 bytes of memory.
    /// </summary>
    private const int MaxTensors = 1 << 18, MaxMetadata = 1 << 16;

    /// <summary>The characters that JSON allows around a value, with which writers pad the header.</summary>
    public static ReadOnlySpan<byte> WhiteSpace => " \t\r\n"u8;

    private readonly SafetensorsFile file;
    private readonly ReadOnlySpan<byte> header;
    private readonly long dataStart;
    private readonly long dataLength;
    private Utf8JsonReader json;
    private string? tensor; // the one that is being parsed
    private string? metadataKey; // the one that is being parsed

    /// <summary>Initializes a parser.</summary>
    /// <param name="file">The file that the tensors are views of.</param>
    /// <param name="header">The bytes of the header.</param>
    /// <param name="fileLength">The length of the whole file in bytes.</param>
    public HeaderParser(SafetensorsFile file, ReadOnlySpan<byte> header, long fileLength)
    {
        this.file = file;
        this.header = header;
        dataStart = SafetensorsFile.PrefixLength + header.Length;
        dataLength = fileLength - dataStart;
        json = new Utf8JsonReader(header, new JsonReaderOptions { MaxDepth = MaxDepth });
    }

    /// <summary>Gets the metadata.</summary>
    public Dictionary<string, string> Metadata { get; } = [];

    /// <summary>Gets the tensors by name.</summary>
    public Dictionary<string, TensorEntry> Tensors { get; } = [];

    /// <summary>Parses the header.</summary>
    /// <exception cref="ModelFormatException">The header is malformed.</exception>
    public void Parse()
    {
        int first = header.IndexOfAnyExcept(WhiteSpace);
        if (first < 0 || header[first] != '{')
        {
            string found = first < 0 ? "it is empty" : $"it begins with byte 0x{header[first]:X2}";
            throw file.Describe() is { } foreign ? ErrorAt(0, foreign) : ErrorAt(SafetensorsFile.PrefixLength + Math.Max(0, first),
                $"the header must be a JSON object, beginning with '{{' (0x7B), but {found}");
        }
        if (!Utf8.IsValid(header))
            throw ErrorAt(SafetensorsFile.PrefixLength + FirstInvalidByte(), "the header is not valid UTF-8, as JSON must be");
        try
        {
            ParseObject();
        }
        catch (JsonException e)
        {
            throw ErrorAt(Position, $"the header is not valid JSON at byte {Position}: {Shown.Clip(e.Message)}", e);
        }
    }

    /// <summary>Gets the tensors in the order of their bytes, and checks that they cover the data without gaps or overlaps.</summary>
    /// <exception cref="ModelFormatException">The tensors leave a gap or overlap.</exception>
    public List<TensorEntry> TensorsInFileOrder()
    {
        List<TensorEntry> ordered = [.. Tensors.Values.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.ByteLength)];
        long covered = 0; // the end of the last tensor, from the start of the data
        TensorEntry? last = null;
        foreach (TensorEntry entry in ordered)
        {
            long begin = entry.Offset - dataStart;
            if (begin != covered)
            {
                tensor = entry.Name;
                string rule = begin > covered ? "leave no hole between them" : "not overlap";
                throw ErrorAt(entry.Offset, $"tensor {Shown.Quote(tensor)} begins at data byte {begin}, but {Name(last)} ends at "
                    + $"{covered}; tensors must {rule}");
            }
            covered += entry.ByteLength;
            last = entry;
        }
        return covered == dataLength
            ? ordered
            : throw ErrorAt(dataStart + covered, $"{dataLength - covered} bytes follow {Name(last)}, which ends at data byte "
                + $"{covered}; every byte must belong to a tensor");

        static string Name(TensorEntry? last) => last is null ? "the header" : $"tensor {Shown.Quote(last.Name)}";
    }

    private void ParseObject()
    {
        json.Read(); // StartObject
        bool metadataSeen = false;
        while (NextKey() is { } key)
        {
            if (key != MetadataKey)
                ParseTensor(key);
            else if (!metadataSeen)
                ParseMetadata();
            else
                throw Error($"{MetadataKey} stands in the header twice; one is right");
            metadataSeen |= key == MetadataKey;
        }
        int end = (int)json.BytesConsumed;
        int stray = header[end..].IndexOfAnyExcept(WhiteSpace);
        if (stray >= 0)
        {
            long at = SafetensorsFile.PrefixLength + end + stray;
            throw ErrorAt(at, $"byte 0x{header[end + stray]:X2} follows the header's JSON object at byte {at}; only white space may");
        }
    }

    private void ParseMetadata()
    {
        json.Read();
        if (json.TokenType != JsonTokenType.StartObject)
            throw Error($"{MetadataKey} is {Found()}; it must be an object of strings");
        while (NextKey() is { } key)
        {
            metadataKey = key;
            json.Read();
            if (json.TokenType != JsonTokenType.String)
                throw Error($"metadata {Shown.Quote(key)} is {Found()}; it must be a string");
            if (Metadata.Count == MaxMetadata)
                throw Error($"{MetadataKey} has more than {MaxMetadata} keys; at most {MaxMetadata} are read");
            if (!Metadata.TryAdd(key, Text()))
                throw Error($"metadata {Shown.Quote(key)} is given twice; keys must be unique");
            metadataKey = null;
        }
    }

    private void ParseTensor(string name)
    {
        tensor = name;
        json.Read();
        if (json.TokenType != JsonTokenType.StartObject)
            throw TensorError($"is {Found()}; it must be an object with dtype, shape and data_offsets");

        if (Tensors.Count == MaxTensors)
            throw Error($"the header has more than {MaxTensors} tensors; at most {MaxTensors} are read");

        string? type = null;
        ImmutableArray<long>? shape = null;
        (long Begin, long End)? offsets = null;
        while (NextKey() is { } key)
        {
            bool seen = key switch
            {
                "dtype" => type is not null,
                "shape" => shape is not null,
                "data_offsets" => offsets is not null,
                _ => throw TensorError($"has an unknown key {Shown.Quote(key)}; it must have dtype, shape and data_offsets only"),
            };
            if (seen)
                throw TensorError($"has {key} twice; one is right");
            json.Read();
            if (key == "dtype")
                type = ParseType();
            else if (key == "shape")
                shape = ParseShape();
            else
                offsets = ParseOffsets();
        }

        TensorEntry entry = Checked(name,
            type ?? throw TensorError($"has no dtype; it must be a type's name, such as {ElementTypes.AllNames}"),
            shape ?? throw TensorError("has no shape; it must be an array of non-negative integers"),
            offsets ?? throw TensorError("has no data_offsets; they must be two integers, [begin, end]"));
        if (!Tensors.TryAdd(name, entry))
            throw TensorError("is given twice; names must be unique");
        tensor = null;
    }

    private readonly TensorEntry Checked(string name, string type, ImmutableArray<long> shape, (long Begin, long End) offsets)
    {
        (long begin, long end) = offsets;
        if (!TensorSize.TryCount(shape.AsSpan(), out long elements) || BitsOf(elements, type) >= (Int128)1 << 66)
        {
            throw TensorError($"has shape {Shown.Shape(shape)}, whose {Shown.Clip(type)} bytes cannot be counted; they must stay below "
                + "2^63");
        }
        if (begin > end)
            throw TensorError($"has data_offsets [{begin}, {end}]; the begin must not lie behind the end");
        if (end > dataLength)
            throw TensorError($"ends at data byte {end}, but the file holds {dataLength} bytes of data; it may be cut short");
        if (BitsOf(elements, type) is { } bits && bits != 8 * (Int128)(end - begin))
        {
            string size = bits % 8 == 0 ? $"{bits / 8}" : $"{bits} bits";
            throw TensorError($"has {end - begin} bytes by its data_offsets [{begin}, {end}], but {size} by its shape "
                + $"{Shown.Shape(shape)} of {type}; they must agree");
        }
        // Without this, a few bytes could claim any number of elements, and sums of them would overflow.
        if (elements > 8 * (Int128)(end - begin))
        {
            throw TensorError($"has {end - begin} bytes by its data_offsets [{begin}, {end}] for shape {Shown.Shape(shape)} of "
                + $"{Shown.Clip(type)}; an element takes at least a bit");
        }
        return new TensorEntry(file, name, type, shape, elements, end - begin, dataStart + begin);
    }

    /// <summary>Gets the size of elements in bits; null for a type whose size is not known.</summary>
    private static Int128? BitsOf(long elements, string type) => elements * (Int128?)ElementTypes.BitSize(type);

    private readonly string ParseType() => json.TokenType == JsonTokenType.String
        ? Interned(Text())
        : throw TensorError($"has {Found()} as dtype; it must be a type's name, such as {ElementTypes.AllNames}");

    /// <summary>Gets the one string of a type's name, which thousands of tensors share.</summary>
    private static string Interned(string type) =>
        ElementTypes.Parse(type) is not ElementType.Other and ElementType known ? Enum.GetName(known)! : type;

    private ImmutableArray<long> ParseShape()
    {
        if (json.TokenType != JsonTokenType.StartArray)
            throw TensorError($"has {Found()} as shape; it must be an array of non-negative integers");
        ImmutableArray<long>.Builder shape = ImmutableArray.CreateBuilder<long>();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (shape.Count == TensorSize.MaxRank)
                throw TensorError($"has more than {TensorSize.MaxRank} dimensions; at most {TensorSize.MaxRank} are read");
            shape.Add(Integer(out long dimension)
                ? dimension
                : throw TensorError($"has {Found()} in its shape; a dimension must be a non-negative integer below 2^63"));
        }
        return shape.DrainToImmutable();
    }

    private (long Begin, long End) ParseOffsets()
    {
        if (json.TokenType != JsonTokenType.StartArray)
            throw TensorError($"has {Found()} as data_offsets; they must be two integers, [begin, end]");
        long begin = ParseOffset();
        long end = ParseOffset();
        json.Read();
        return json.TokenType == JsonTokenType.EndArray
            ? (begin, end)
            : throw TensorError("has more than two data_offsets; they must be two integers, [begin, end]");
    }

    private long ParseOffset()
    {
        json.Read();
        return json.TokenType == JsonTokenType.EndArray
            ? throw TensorError("has fewer than two data_offsets; they must be two integers, [begin, end]")
            : Integer(out long offset)
            ? offset
            : throw TensorError($"has {Found()} in its data_offsets; an offset must be a non-negative integer below 2^63");
    }

    /// <summary>Reads the next key of the current object; null at its end.</summary>
    private string? NextKey()
    {
        json.Read();
        return json.TokenType == JsonTokenType.PropertyName ? Text() : null;
    }

    /// <summary>Gets the current token if it is an integer from 0 to 2^63 - 1 without sign, point or exponent.</summary>
    private readonly bool Integer(out long value)
    {
        value = 0;
        return json.TokenType == JsonTokenType.Number && json.ValueSpan[0] != '-' && json.TryGetInt64(out value);
    }

    private readonly string Text()
    {
        try
        {
            return json.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            string owner = tensor is null ? "the header" : $"tensor {Shown.Quote(tensor)}";
            throw Error($"{owner} has half a surrogate pair in a string, before byte {Position}; both halves must be there", e);
        }
    }

    /// <summary>Describes the current token for a message.</summary>
    private readonly string Found() => json.TokenType switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => $"the string {Shown.Quote(Text())}",
        JsonTokenType.Number => $"the number {Shown.Clip(Encoding.ASCII.GetString(json.ValueSpan))}",
        JsonTokenType.True => "true",
        JsonTokenType.False => "false",
        _ => "null",
    };

    /// <summary>Gets the offset in the file up to which the JSON was read.</summary>
    private readonly long Position => SafetensorsFile.PrefixLength + json.BytesConsumed;

    private readonly ModelFormatException TensorError(string message) => Error($"tensor {Shown.Quote(tensor!)} {message}");

    /// <summary>Creates an error at the current token.</summary>
    private readonly ModelFormatException Error(string message, Exception? inner = null) =>
        ErrorAt(SafetensorsFile.PrefixLength + json.TokenStartIndex, message, inner);

    /// <summary>Creates an error at an offset in the file.</summary>
    private readonly ModelFormatException ErrorAt(long offset, string message, Exception? inner = null) =>
        new(file.Name, $"{message}.", inner) { Tensor = tensor, Key = metadataKey, Offset = offset };

    private readonly int FirstInvalidByte()
    {
        int at = 0;
        while (Rune.DecodeFromUtf8(header[at..], out _, out int length) == OperationStatus.Done) at += length;
        return at;
    }
}
