using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace TinyZsad.Weights;

/// <summary>
/// A tensor to be written by <see cref="SafetensorsWriter"/>: its name, type and shape, and where its bytes come from.
/// </summary>
internal sealed class TensorDeclaration
{
    /// <summary>Declares a tensor whose bytes are made as the writer comes to them, so that they are never in memory.</summary>
    /// <param name="name">The name, any text but <c>__metadata__</c>.</param>
    /// <param name="type">What the elements are.</param>
    /// <param name="shape">At most 64 dimensions, none negative; empty for a scalar.</param>
    /// <param name="writeContent">
    /// Writes the elements, little-endian and row-major, to the stream it is given: <see cref="ByteLength"/> bytes, no more and
    /// no fewer. Called once a file.
    /// </param>
    /// <exception cref="ArgumentException">The name or the shape is not allowed; the message says why.</exception>
    public TensorDeclaration(string name, ElementType type, ImmutableArray<long> shape, Action<Stream> writeContent)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(writeContent);
        if (name == HeaderText.MetadataKey)
            throw new ArgumentException($"A tensor cannot be called {name}; the format keeps that name.", nameof(name));
        if (!SafetensorsWriter.IsWellFormed(name))
            throw new ArgumentException($"Tensor name {Shown.Quote(name)} holds half a surrogate pair.", nameof(name));
        string where = $"Tensor {Shown.Quote(name)}";
        if (shape.IsDefault)
            throw new ArgumentException($"{where} has no shape; a scalar's is empty.", nameof(shape));
        if (shape.Length > TensorSize.MaxRank)
        {
            throw new ArgumentException(
                $"{where} has {shape.Length} dimensions; at most {TensorSize.MaxRank} are allowed.", nameof(shape));
        }
        if (shape.Any(dimension => dimension < 0))
            throw new ArgumentException($"{where} has a negative dimension: {Shown.Shape(shape)}.", nameof(shape));
        if (!TensorSize.TryCount(shape.AsSpan(), type, out _, out long bytes))
            throw new ArgumentException($"{where} of shape {Shown.Shape(shape)} passes 2^63 bytes.", nameof(shape));
        Name = name;
        Type = type;
        Shape = shape;
        ByteLength = bytes;
        WriteContent = writeContent;
    }

    /// <summary>Declares a tensor of values in memory, stored as their own type (<see cref="float"/> as F32, ...).</summary>
    /// <param name="name">The name, any text but <c>__metadata__</c>.</param>
    /// <param name="shape">At most 64 dimensions, none negative; empty for a scalar.</param>
    /// <param name="values">The elements, row-major; read when the file is written.</param>
    /// <exception cref="ArgumentException">
    /// The name or the shape is not allowed, the count of values is not the shape's, or the format has no such element type.
    /// </exception>
    public static TensorDeclaration FromValues<T>(string name, ImmutableArray<long> shape, ReadOnlyMemory<T> values)
        where T : unmanaged
    {
        TensorDeclaration tensor = new TensorDeclaration(name, ElementTypes.Of<T>(), shape,
            stream => stream.Write(MemoryMarshal.AsBytes(values.Span)));
        long expected = tensor.ByteLength / tensor.Type.ByteSize();
        return values.Length == expected
            ? tensor
            : throw new ArgumentException(
                $"Tensor {Shown.Quote(name)} of shape {Shown.Shape(shape)} has {expected} elements, not {values.Length}.",
                nameof(values));
    }

    /// <summary>The tensor's name.</summary>
    public string Name { get; }

    /// <summary>What its elements are.</summary>
    public ElementType Type { get; }

    /// <summary>Its dimensions, outermost first.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Bytes of all its elements.</summary>
    public long ByteLength { get; }

    internal Action<Stream> WriteContent { get; }
}
