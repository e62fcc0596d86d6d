using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace TinyZsad.Weights;

/// <summary>
/// Describes a tensor to be written by <see cref="SafetensorsWriter"/>: its name, type, shape and the source of its bytes.
/// </summary>
internal sealed class TensorDeclaration
{
    /// <summary>Initializes a tensor whose bytes are produced while the file is written.</summary>
    /// <param name="name">The name: any text except <c>__metadata__</c>.</param>
    /// <param name="type">The type of the elements.</param>
    /// <param name="shape">At most 64 dimensions, none negative; empty for a scalar.</param>
    /// <param name="writeContent">
    /// Writes the elements, little-endian and row-major, to a stream: exactly <see cref="ByteLength"/> bytes. It is called once per
    /// file.
    /// </param>
    /// <exception cref="ArgumentException">The name or the shape is not allowed.</exception>
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
        TypeName = type.ToString();
        Shape = shape;
        ByteLength = bytes;
        WriteContent = writeContent;
    }

    /// <summary>Initializes a copy of a tensor of a file, of whatever type. The file must be open while the copy is written.</summary>
    /// <param name="entry">The tensor.</param>
    public TensorDeclaration(TensorEntry entry)
    {
        Name = entry.Name;
        Type = entry.Type;
        TypeName = entry.TypeName;
        Shape = entry.Shape;
        ByteLength = entry.ByteLength;
        WriteContent = entry.CopyTo;
    }

    /// <summary>Creates a tensor of values in memory, stored as their own type (<see cref="float"/> as F32, ...).</summary>
    /// <param name="name">The name: any text except <c>__metadata__</c>.</param>
    /// <param name="shape">At most 64 dimensions, none negative; empty for a scalar.</param>
    /// <param name="values">The elements in row-major order. They are read when the file is written.</param>
    /// <exception cref="ArgumentException">
    /// The name or the shape is not allowed, the number of values does not match the shape, or the format has no such element type.
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

    /// <summary>Gets the name of the tensor.</summary>
    public string Name { get; }

    /// <summary>Gets the type of the elements.</summary>
    public ElementType Type { get; }

    /// <summary>Gets the name of the type in the file.</summary>
    public string TypeName { get; }

    /// <summary>Gets the dimensions, outermost first.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Gets the size of all elements in bytes.</summary>
    public long ByteLength { get; }

    internal Action<Stream> WriteContent { get; }
}
