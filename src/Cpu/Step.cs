using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>Provides the addresses of the values of one run.</summary>
internal readonly unsafe struct Frame(byte* arena, Layout layout)
{
    public float* Floats(Value value) => (float*)Address(value);

    /// <summary>Gets the address of a row of a value.</summary>
    public float* Floats(Value value, int row) => (float*)Address(value) + (nint)row * Stride(value);

    public int* Ints(Value value) => (int*)Address(value);

    public byte* Bytes(Value value) => Address(value);

    /// <summary>Gets the row stride in elements.</summary>
    public int Stride(Value value) => layout.Stride(value);

    private byte* Address(Value value) => arena + layout.Offset(value);
}

/// <summary>Represents a piece of work for the thread team: independent items that any thread may compute in any order.</summary>
internal abstract unsafe class Step
{
    /// <summary>Gets the position in the network, for profiles.</summary>
    public abstract string Label { get; }

    /// <summary>Gets the kind of work, for profiles.</summary>
    public abstract string Kind { get; }

    /// <summary>
    /// Gets the values that the step reads. Another step may run at the same time if it writes neither these nor those in
    /// <see cref="Writes"/>.
    /// </summary>
    public abstract IReadOnlyList<Value> Reads { get; }

    public abstract IReadOnlyList<Value> Writes { get; }

    /// <summary>
    /// Gets a value that the step reads and whose memory its output may reuse, element by element; null if there is none.
    /// </summary>
    public virtual Value? InPlace => null;

    public virtual long Flops => 0;

    public virtual long WeightBytes => 0;

    /// <summary>
    /// Gets the number of items. They consist of <see cref="Groups"/> consecutive groups of the same size. Adjacent items of a
    /// group should be adjacent in memory, in particular by rows, because a thread computes the same range of every group unless
    /// it takes items from other threads.
    /// </summary>
    public abstract int Items { get; }

    /// <summary>
    /// Gets the number of groups. The items of a group share data that a thread computes once and finds in its scratch memory for
    /// the next item.
    /// </summary>
    public virtual int Groups => 1;

    /// <summary>Gets the number of scratch floats that an item needs; 64-byte aligned.</summary>
    public virtual nint ScratchFloats => 0;

    /// <summary>Computes one item.</summary>
    /// <param name="frame">The addresses of the values.</param>
    /// <param name="item">The item, from 0 to <see cref="Items"/> - 1.</param>
    /// <param name="previous">
    /// The item of this step that the thread computed just before, whose data is still in <paramref name="scratch"/>; -1 if this
    /// is its first.
    /// </param>
    /// <param name="scratch">The scratch memory of the calling thread.</param>
    public abstract void Run(in Frame frame, int item, int previous, float* scratch);
}

/// <summary>Computes an operation, or most of one.</summary>
internal abstract class OperationStep(Operation operation) : Step
{
    public override string Label => operation.Label;

    public override string Kind { get; } = operation.Kind;

    public override IReadOnlyList<Value> Reads { get; } = operation.Inputs;

    public override IReadOnlyList<Value> Writes { get; } = [operation.Output];

    public override long Flops => operation.Flops;

    public override long WeightBytes => operation.WeightBytes;
}
