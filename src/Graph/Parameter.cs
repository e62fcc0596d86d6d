using TinyZsad.Formats;

namespace TinyZsad.Graph;

/// <summary>
/// Represents the weights of a parameter: numbers in memory, usually in a mapped file. The memory must outlive every plan that
/// uses the parameter, and its owner keeps it alive. A parameter is immutable.
/// </summary>
internal sealed unsafe class Parameter
{
    /// <summary>Initializes a parameter at an address.</summary>
    /// <param name="name">The name in the checkpoint, for messages and profiles.</param>
    /// <param name="address">The address of the first number. The numbers are contiguous and row-major.</param>
    /// <param name="type">The number format.</param>
    /// <param name="shape">The dimensions, each at least 1.</param>
    public Parameter(string name, nint address, FloatType type, params int[] shape)
    {
        Name = name;
        Address = address;
        Type = type;
        Shape = shape;
        Count = shape.Aggregate(1L, (n, d) => n * d);
    }

    /// <summary>Gets the name in the checkpoint.</summary>
    public string Name { get; }

    /// <summary>Gets the address of the first number.</summary>
    public nint Address { get; }

    /// <summary>Gets the number format.</summary>
    public FloatType Type { get; }

    /// <summary>Gets the dimensions.</summary>
    public IReadOnlyList<int> Shape { get; }

    /// <summary>Gets the product of the dimensions.</summary>
    public long Count { get; }

    /// <summary>Gets the size in bytes.</summary>
    public long Bytes => Count * Type.Size();

    /// <summary>
    /// Gets the memory of the parameter. Two parameters with the same memory hold the same bytes, so a device uploads or packs
    /// them once.
    /// </summary>
    internal (nint Address, FloatType Type, long Count) Memory => (Address, Type, Count);

    internal void* Pointer => (void*)Address;

    /// <summary>Gets a pointer to a vector that kernels read as floats: biases, norms and scales are stored as floats.</summary>
    internal float* Floats => (float*)Address;
}
