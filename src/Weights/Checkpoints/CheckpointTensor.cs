using System.Collections.Immutable;
using System.Diagnostics;

namespace TinyZsad.Weights;

/// <summary>
/// One tensor of an open <see cref="Checkpoint"/>: a strided view of numbers in a mapped file, read in row-major order in
/// portions, whatever its type and layout. Thread-safe.
/// </summary>
internal sealed unsafe class CheckpointTensor
{
    private readonly Func<nint> address;
    private readonly ImmutableArray<long> strides;

    /// <summary>Makes the view; every element must lie in the memory behind the address.</summary>
    /// <param name="file">The checkpoint, for messages.</param>
    /// <param name="name">What the checkpoint calls it.</param>
    /// <param name="type">What the elements are.</param>
    /// <param name="shape">The dimensions.</param>
    /// <param name="strides">Elements from one index to the next, a dimension each.</param>
    /// <param name="address">Gives the first element, or throws once the file is closed.</param>
    public CheckpointTensor(
        string file, string name, ElementType type, ImmutableArray<long> shape, ImmutableArray<long> strides, Func<nint> address)
    {
        File = file;
        Name = name;
        Type = type;
        Shape = shape;
        this.strides = strides;
        this.address = address;
        ElementCount = shape.Aggregate(1L, (n, d) => n * d);
    }

    /// <summary>The checkpoint, for messages.</summary>
    public string File { get; }

    public string Name { get; }

    public ElementType Type { get; }

    /// <summary>Its dimensions, outermost first; empty for a scalar.</summary>
    public ImmutableArray<long> Shape { get; }

    public long ElementCount { get; }

    /// <summary>Whether the elements are floats, which can be weights.</summary>
    public bool IsFloat => Type is ElementType.F64 or ElementType.F32 or ElementType.F16 or ElementType.BF16;

    /// <summary>Strides of a tensor whose elements lie one after the other.</summary>
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

    /// <summary>Some of the first dimension's indices.</summary>
    public CheckpointTensor Rows(long first, long count)
    {
        Debug.Assert(Shape.Length > 0 && first >= 0 && count >= 0 && first + count <= Shape[0]);
        long skipped = first * strides[0] * Type.ByteSize();
        return new CheckpointTensor(File, Name, Type, Shape.SetItem(0, count), strides, () => address() + (nint)skipped);
    }

    /// <summary>Reads floats, exactly.</summary>
    /// <param name="first">The first element's place in row-major order.</param>
    /// <param name="values">Receives the elements from there on, all of which the tensor must have.</param>
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
        // An odometer: its last wheel turns fastest.
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

    /// <summary>"name: F32 [2, 3]".</summary>
    public override string ToString() => $"{Shown.Clip(Name)}: {Type} {Shown.Shape(Shape)}";
}
