using System.Collections.Immutable;

namespace TinyZsad.Weights;

/// <summary>
/// Represents a tensor of an open <see cref="SafetensorsFile"/>: its description and a view of its bytes. All members are thread safe.
/// </summary>
/// <remarks>
/// The bytes may be at any address: the format packs tensors without gaps, so a float may follow an odd number of bytes. Ordinary and
/// vector loads of x86-64 and Arm64 read unaligned values. Do not use atomic operations or aligned loads on these views.
/// </remarks>
public sealed unsafe class TensorEntry
{
    private readonly SafetensorsFile file;

    internal TensorEntry(SafetensorsFile file, string name, string typeName, ImmutableArray<long> shape, long elementCount,
        long byteLength, long offset)
    {
        this.file = file;
        Name = name;
        TypeName = typeName;
        Type = ElementTypes.Parse(typeName);
        Shape = shape;
        ElementCount = elementCount;
        ByteLength = byteLength;
        Offset = offset;
    }

    /// <summary>Gets the name of the tensor in the file.</summary>
    public string Name { get; }

    /// <summary>Gets the type of the elements.</summary>
    public ElementType Type { get; }

    /// <summary>
    /// Gets the name of the type as the file spells it. It says which type <see cref="ElementType.Other"/> is; otherwise it is the name
    /// of <see cref="Type"/>.
    /// </summary>
    public string TypeName { get; }

    /// <summary>
    /// Gets the dimensions, outermost first; none is negative. The shape of a scalar is empty. Elements are in row-major order.
    /// </summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Gets the number of elements: the product of <see cref="Shape"/>, 1 for a scalar.</summary>
    public long ElementCount { get; }

    /// <summary>Gets the size of all elements in bytes.</summary>
    public long ByteLength { get; }

    /// <summary>
    /// Gets the address of the first byte. <see cref="ByteLength"/> bytes can be read from it; none may be written. The address is valid
    /// until the file is disposed or collected, so keep a reference to the file while it is in use.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public nint Address => (nint)file.At(Offset);

    /// <summary>Gets the offset of the first byte from the start of the file.</summary>
    internal long Offset { get; }

    /// <summary>
    /// Gets the elements in row-major order, without a copy. The span is valid until the file is disposed or collected.
    /// </summary>
    /// <typeparam name="T">
    /// The .NET type of the elements: <see cref="Half"/> or <see cref="ushort"/> for F16, <see cref="ushort"/> for the bits of BF16,
    /// <see cref="byte"/> for BOOL, and the corresponding .NET type for every other type.
    /// </typeparam>
    /// <returns><see cref="ElementCount"/> elements.</returns>
    /// <exception cref="ModelFormatException">
    /// The elements cannot be read as <typeparamref name="T"/>, or are more than a span can hold (2^31 - 1).
    /// </exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<T> AsSpan<T>() where T : unmanaged
    {
        if (!Type.IsReadableAs<T>())
            throw Error($"its elements are {Shown.Clip(TypeName)}, which cannot be read as {typeof(T).Name}");
        return Span<T>(ElementCount);
    }

    /// <summary>
    /// Gets the bytes of the tensor as they are in the file, without a copy. The span is valid until the file is disposed or collected.
    /// </summary>
    /// <returns><see cref="ByteLength"/> bytes.</returns>
    /// <exception cref="ModelFormatException">The tensor has more bytes than a span can hold (2^31 - 1).</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<byte> AsBytes() => Span<byte>(ByteLength);

    /// <summary>Writes the bytes of the tensor to a stream. The size of the tensor is not limited.</summary>
    /// <param name="destination">The stream.</param>
    /// <exception cref="ArgumentNullException"><paramref name="destination"/> is null.</exception>
    /// <exception cref="IOException">The stream cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public void CopyTo(Stream destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        const int Chunk = 1 << 20;
        for (long at = 0; at < ByteLength; at += Chunk)
            destination.Write(new ReadOnlySpan<byte>(file.At(Offset + at), (int)Math.Min(Chunk, ByteLength - at)));
        GC.KeepAlive(file);
    }

    /// <summary>Returns the name, type and shape, such as "name: F32 [2, 3]".</summary>
    public override string ToString() => $"{Shown.Clip(Name)}: {Shown.Clip(TypeName)} {Shown.Shape(Shape)}";

    private ModelFormatException Error(string what) =>
        new(file.Name, $"tensor {Shown.Quote(Name)}: {what}.") { Tensor = Name };

    private ReadOnlySpan<T> Span<T>(long count) where T : unmanaged
    {
        if (count > int.MaxValue)
            throw Error($"{count} elements are more than the {int.MaxValue} that a span can hold");
        return new ReadOnlySpan<T>(file.At(Offset), (int)count);
    }
}
