using System.Buffers.Binary;

namespace TinyZsad.Weights;

/// <summary>
/// Writes safetensors files. Tensors are written one after another, ordered by the code points of their names. The header is
/// formatted as Python's json module does and padded to 8 bytes. The same tensors always give the same bytes.
/// </summary>
internal static class SafetensorsWriter
{
    /// <summary>
    /// Writes a file. The data is written to a temporary file in the same folder, flushed to disk and then moved, so that a failure
    /// leaves no partial file and does not change an existing one. An existing file is replaced.
    /// </summary>
    /// <param name="path">The path of the file. Its folder must exist.</param>
    /// <param name="tensors">The tensors, in any order, with unique names.</param>
    /// <param name="metadata">The header's <c>__metadata__</c>, in this order; omitted if null or empty.</param>
    /// <exception cref="ArgumentException">
    /// A name or key is not unique, the header exceeds 100 MB, or a tensor's content does not have the length of its shape.
    /// </exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, IEnumerable<TensorDeclaration> tensors,
        IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        TensorDeclaration[] ordered = InOrder(tensors);
        byte[] header = Header(ordered, metadata);
        AtomicFile.Write(path, stream => Write(stream, header, ordered), flushToDisk: true);
    }

    /// <summary>Writes to a stream at its position. The stream is left open and need not be seekable.</summary>
    /// <param name="destination">The stream.</param>
    /// <param name="tensors">The tensors, in any order, with unique names.</param>
    /// <param name="metadata">The header's <c>__metadata__</c>, in this order; omitted if null or empty.</param>
    /// <exception cref="ArgumentException">
    /// A name or key is not unique, the header exceeds 100 MB, or a tensor's content does not have the length of its shape.
    /// </exception>
    public static void Write(Stream destination, IEnumerable<TensorDeclaration> tensors,
        IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(destination);
        TensorDeclaration[] ordered = InOrder(tensors);
        Write(destination, Header(ordered, metadata), ordered);
    }

    // The length of the whole file must fit in 63 bits.
    private const long MaxDataLength = long.MaxValue - SafetensorsFile.MaxHeaderLength - SafetensorsFile.PrefixLength;

    /// <summary>Gets a value that indicates whether a text has no lone surrogate, so that it can be encoded as UTF-8.</summary>
    internal static bool IsWellFormed(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (!char.IsSurrogatePair(text, i))
                return false;
            i++;
        }
        return true;
    }

    private static void Write(Stream destination, byte[] header, TensorDeclaration[] tensors)
    {
        Span<byte> prefix = stackalloc byte[SafetensorsFile.PrefixLength];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, header.Length);
        destination.Write(prefix);
        destination.Write(header);
        foreach (TensorDeclaration tensor in tensors)
        {
            using TensorStream content = new TensorStream(destination, tensor);
            tensor.WriteContent(content);
            content.Finish();
        }
    }

    private static TensorDeclaration[] InOrder(IEnumerable<TensorDeclaration> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        TensorDeclaration[] ordered = [.. tensors];
        Array.Sort(ordered, (a, b) => CompareCodePoints(a.Name, b.Name));
        for (int i = 1; i < ordered.Length; i++)
        {
            if (ordered[i].Name == ordered[i - 1].Name)
                throw new ArgumentException($"Tensor {Shown.Quote(ordered[i].Name)} is given twice.", nameof(tensors));
        }
        return ordered;
    }

    private static byte[] Header(TensorDeclaration[] tensors, IEnumerable<KeyValuePair<string, string>>? metadata)
    {
        HeaderText header = new HeaderText();
        KeyValuePair<string, string>[] pairs = [.. metadata ?? []];
        CheckMetadata(pairs);
        if (pairs.Length > 0)
            header.Add(pairs);
        long offset = 0;
        foreach (TensorDeclaration tensor in tensors)
        {
            if (tensor.ByteLength > MaxDataLength - offset)
                throw new ArgumentException($"The tensors up to {Shown.Quote(tensor.Name)} pass 2^63 bytes.", nameof(tensors));
            header.Add(tensor, offset);
            offset += tensor.ByteLength;
        }
        byte[] bytes = header.ToBytes();
        return bytes.Length <= SafetensorsFile.MaxHeaderLength
            ? bytes
            : throw new ArgumentException(
                $"The header would be {bytes.Length} bytes; the format allows {SafetensorsFile.MaxHeaderLength}.",
                nameof(tensors));
    }

    private static void CheckMetadata(KeyValuePair<string, string>[] metadata)
    {
        HashSet<string> keys = new HashSet<string>();
        foreach ((string key, string value) in metadata)
        {
            if (key is null || value is null)
                throw new ArgumentException($"Metadata {Shown.Quote(key ?? "null")} is null.", nameof(metadata));
            if (!IsWellFormed(key) || !IsWellFormed(value))
                throw new ArgumentException($"Metadata {Shown.Quote(key)} holds half a surrogate pair.", nameof(metadata));
            if (!keys.Add(key))
                throw new ArgumentException($"Metadata {Shown.Quote(key)} is given twice.", nameof(metadata));
        }
    }

    // The order of code points is also that of UTF-8 bytes and of Python's strings. It differs from string.CompareOrdinal, the order
    // of UTF-16 units, in that surrogates come after U+FFFF.
    private static int CompareCodePoints(string a, string b)
    {
        int same = a.AsSpan().CommonPrefixLength(b);
        if (same == a.Length || same == b.Length)
            return a.Length.CompareTo(b.Length);
        return Rank(a[same]).CompareTo(Rank(b[same]));

        static int Rank(char c) => char.IsSurrogate(c) ? c + 0x10000 : c;
    }
}
