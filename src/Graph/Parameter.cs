using TinyZsad.Formats;

namespace TinyZsad.Graph;

/// <summary>
/// A weight: numbers that lie somewhere in memory, usually in a mapped file, and outlive every plan made from them. Immutable;
/// the owner of the memory keeps it alive.
/// </summary>
internal sealed unsafe class Parameter
{
    /// <summary>Describes the numbers at an address.</summary>
    /// <param name="name">Its name in the checkpoint, for messages and profiles.</param>
    /// <param name="address">The first number; contiguous, row-major.</param>
    /// <param name="type">Number format.</param>
    /// <param name="shape">Dimensions, each at least 1.</param>
    public Parameter(string name, nint address, FloatType type, params int[] shape)
    {
        Name = name;
        Address = address;
        Type = type;
        Shape = shape;
        Count = shape.Aggregate(1L, (n, d) => n * d);
    }

    /// <summary>Its name in the checkpoint.</summary>
    public string Name { get; }

    /// <summary>The first number.</summary>
    public nint Address { get; }

    /// <summary>Number format.</summary>
    public FloatType Type { get; }

    /// <summary>Dimensions.</summary>
    public IReadOnlyList<int> Shape { get; }

    /// <summary>Product of the dimensions.</summary>
    public long Count { get; }

    /// <summary>Bytes it takes.</summary>
    public long Bytes => Count * Type.Size();

    /// <summary>
    /// The memory it is: two parameters with the same one hold the same bytes, which a device uploads or packs once.
    /// </summary>
    internal (nint Address, FloatType Type, long Count) Memory => (Address, Type, Count);

    internal void* Pointer => (void*)Address;

    /// <summary>The pointer of a vector that kernels read as floats: biases, norms and scales are kept widened.</summary>
    internal float* Floats => (float*)Address;
}
