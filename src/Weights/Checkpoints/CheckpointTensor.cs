using System.Collections.Immutable;
using System.Diagnostics;

namespace TinyZsad.Weights;

/// <summary>
/// Represents a tensor of an open <see cref="Checkpoint"/>: a strided view of a mapped file. It is read in row-major order in parts,
/// whatever its type and layout. All members are thread safe.
/// </summary>
internal sealed unsafe class CheckpointTensor
{
    private readonly Func<nint> address;
    private readonly ImmutableArray<long> strides;

    /// <summary>Initializes a view. All elements must lie in the memory at the address.</summary>
    /// <param name="file">The path of the checkpoint, for messages.</param>
    /// <param name="name">The name in the checkpoint.</param>
    /// <param name="type">The type of the elements.</param>
    /// <param name="shape">The dimensions, outermost first.</param>
    /// <param name="strides">The distance between neighbours in each dimension, in elements.</param>
    /// <param name="address">Gets the address of the first element, or throws if the file is closed.</param>
    public CheckpointTensor(
        string file, string name, ElementType type, ImmutableArray<long> shape, ImmutableArray<long> strides, Func<nint> address)
    {
        File = file;
        Name = name;
        Type = type;
        Shape = shape;
        this.strides = strides;
        this.address = address;
        TypeName = type.ToString();
        ElementCount = shape.Aggregate(1L, (n, d) => n * d);
    }

    /// <summary>Initializes a tensor that cannot be read.</summary>
    /// <param name="file">The path of the checkpoint, for messages.</param>
    /// <param name="name">The name in the checkpoint.</param>
    /// <param name="typeName">The name of the type of the elements, or of what makes the tensor.</param>
    /// <param name="shape">The dimensions, as far as they are known.</param>
    /// <param name="problem">Why it cannot be read: the predicate of a sentence about the tensor, without a full stop.</param>
    public CheckpointTensor(string file, string name, string typeName, ImmutableArray<long> shape, string problem)
        : this(file, name, ElementType.Other, shape, [], () => throw new InvalidOperationException(problem))
    {
        TypeName = typeName;
        Problem = problem;
    }

    /// <summary>Creates a tensor whose elements are of a type that is not computed with.</summary>
    public static CheckpointTensor OfOtherType(string file, string name, string typeName, ImmutableArray<long> shape) => new(
        file, name, typeName, shape, $"has elements of {Shown.Clip(typeName)}, which are not read; those of F64, F32, F16 and BF16 are");

    /// <summary>Gets the path of the checkpoint, for messages.</summary>
    public string File { get; }

    /// <summary>Gets the name in the checkpoint.</summary>
    public string Name { get; }

    /// <summary>Gets the type of the elements.</summary>
    public ElementType Type { get; }

    /// <summary>Gets the name of the type, which says more than <see cref="ElementType.Other"/>.</summary>
    public string TypeName { get; }

    /// <summary>Gets why the tensor cannot be read, as the predicate of a sentence; null if it can be.</summary>
    public string? Problem { get; }

    /// <summary>Gets the dimensions, outermost first; empty for a scalar.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Gets the number of elements.</summary>
    public long ElementCount { get; }

    /// <summary>Gets a value that indicates whether the elements are floating-point numbers. All weights are.</summary>
    public bool IsFloat => Type is ElementType.F64 or ElementType.F32 or ElementType.F16 or ElementType.BF16;

    /// <summary>Gets the strides of a contiguous tensor in row-major order.</summary>
    public static ImmutableArray<long> RowMajor(ImmutableArray<long> shape)
    {
        long[] strides = new long[shape.Length];
        long next = 1;
        for (int i = strides.Length - 1; i >= 0; i--)
        {
            strides[i] = next;
            next *= Math.Max(1, shape[i]);
        }
        return [.. strides];
    }

    /// <summary>Gets a range of the first dimension, without a copy.</summary>
    public CheckpointTensor Rows(long first, long count)
    {
        Debug.Assert(Shape.Length > 0 && first >= 0 && count >= 0 && first + count <= Shape[0]);
        long skipped = first * strides[0] * Type.ByteSize();
        return new CheckpointTensor(File, Name, Type, Shape.SetItem(0, count), strides, () => address() + (nint)skipped);
    }

    /// <summary>Reads elements as double, without loss. The elements must be floating-point numbers.</summary>
    /// <param name="first">The row-major index of the first element.</param>
    /// <param name="values">Receives the elements from <paramref name="first"/> on; the tensor must have as many.</param>
    /// <exception cref="ObjectDisposedException">The checkpoint is closed.</exception>
    public void Read(long first, Span<double> values)
    {
        Debug.Assert(IsFloat && first >= 0 && first + values.Length <= ElementCount);
        byte* start = (byte*)address();
        if (strides.SequenceEqual(RowMajor(Shape)))
        {
            start += first * Type.ByteSize();
            for (int i = 0; i < values.Length; i++) values[i] = Number(start, i);
            return;
        }
        // Counts through the indices; the last dimension changes fastest.
        long[] index = new long[Shape.Length];
        long at = 0;
        for (int d = index.Length - 1; d >= 0; d--)
        {
            (first, index[d]) = Math.DivRem(first, Shape[d]);
            at += index[d] * strides[d];
        }
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = Number(start, at);
            for (int d = index.Length - 1; d >= 0; d--)
            {
                at += strides[d];
                if (++index[d] < Shape[d]) break;
                at -= Shape[d] * strides[d];
                index[d] = 0;
            }
        }
    }

    private double Number(byte* start, long at) => Type switch
    {
        ElementType.F64 => ((double*)start)[at],
        ElementType.F32 => ((float*)start)[at],
        ElementType.F16 => (double)((Half*)start)[at],
        _ => BitConverter.UInt32BitsToSingle((uint)((ushort*)start)[at] << 16),
    };

    /// <summary>Returns the name, type and shape, such as "name: F32 [2, 3]".</summary>
    public override string ToString() => $"{Shown.Clip(Name)}: {Shown.Clip(TypeName)} {Shown.Shape(Shape)}";
}
