using System.Collections.Immutable;

namespace TinyZsad.Weights;

/// <summary>One tensor of an open <see cref="SafetensorsFile"/>: what it is, and a view of its bytes. Thread-safe.</summary>
/// <remarks>
/// A tensor may lie at any address: the format packs tensors without gaps, so a float may follow an odd number of bytes.
/// x86-64 and Arm64 read unaligned values with their ordinary and vector loads, so unaligned tensors are served like all
/// others; only atomic access and aligned-load instructions are not for these views.
/// </remarks>
public sealed unsafe class TensorEntry
{
    private readonly SafetensorsFile file;

    internal TensorEntry(SafetensorsFile file, string name, ElementType type, ImmutableArray<long> shape, long elementCount,
        long offset)
    {
        this.file = file;
        Name = name;
        Type = type;
        Shape = shape;
        ElementCount = elementCount;
        Offset = offset;
    }

    /// <summary>The tensor's name in the file.</summary>
    public string Name { get; }

    /// <summary>What its elements are.</summary>
    public ElementType Type { get; }

    /// <summary>Its dimensions, outermost first, none negative; empty for a scalar. Elements are in row-major order.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>The product of <see cref="Shape"/>; 1 for a scalar.</summary>
    public long ElementCount { get; }

    /// <summary>Bytes of the tensor.</summary>
    public long ByteLength => ElementCount * Type.ByteSize();

    /// <summary>
    /// The first byte, for kernels; <see cref="ByteLength"/> bytes may be read from it, none written. Valid until the file is
    /// disposed, so the file must be kept alive while it is in use.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public nint Address => (nint)file.At(Offset);

    /// <summary>Where the tensor's bytes begin, from the start of the file.</summary>
    internal long Offset { get; }

    /// <summary>
    /// The elements, without a copy, valid until the file is disposed. F16 may be read as <see cref="Half"/> or, like BF16, as
    /// its bits (<see cref="ushort"/>); BOOL is read as <see cref="byte"/>; every other type as its .NET namesake.
    /// </summary>
    /// <exception cref="ModelFormatException">
    /// The tensor is of another type than <typeparamref name="T"/>, or has more elements than a span can hold.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<T> AsSpan<T>() where T : unmanaged
    {
        if (!Type.IsReadableAs<T>())
            throw Error($"its elements are {Type}, which cannot be read as {typeof(T).Name}");
        return Span<T>(ElementCount);
    }

    /// <summary>The bytes as they are in the file, whatever the type, without a copy; valid until the file is disposed.</summary>
    /// <exception cref="ModelFormatException">The tensor has more bytes than a span can hold.</exception>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public ReadOnlySpan<byte> AsBytes() => Span<byte>(ByteLength);

    /// <summary>Writes the tensor's bytes to a stream, whatever its size.</summary>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public void CopyTo(Stream destination)
    {
        ArgumentNullException.ThrowIfNull(destination);
        const int Chunk = 1 << 20;
        for (long at = 0; at < ByteLength; at += Chunk)
            destination.Write(new ReadOnlySpan<byte>(file.At(Offset + at), (int)Math.Min(Chunk, ByteLength - at)));
        GC.KeepAlive(file);
    }

    /// <summary>"name: F32 [2, 3]".</summary>
    public override string ToString() => $"{Shown.Clip(Name)}: {Type} {Shown.Shape(Shape)}";

    private ModelFormatException Error(string what) =>
        new(file.Name, $"tensor {Shown.Quote(Name)}: {what}.") { Tensor = Name };

    private ReadOnlySpan<T> Span<T>(long count) where T : unmanaged
    {
        if (count > int.MaxValue)
            throw Error($"{count} elements are more than the {int.MaxValue} that a span can hold");
        return new ReadOnlySpan<T>(file.At(Offset), (int)count);
    }
}
