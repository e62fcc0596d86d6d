using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>Where the values of one run lie.</summary>
internal readonly unsafe struct Frame(byte* arena, Layout layout)
{
    public float* Floats(Value value) => (float*)Address(value);

    /// <summary>A row of a value.</summary>
    public float* Floats(Value value, int row) => (float*)Address(value) + (nint)row * Stride(value);

    public int* Ints(Value value) => (int*)Address(value);

    public byte* Bytes(Value value) => Address(value);

    /// <summary>Elements from one row to the next.</summary>
    public int Stride(Value value) => layout.Stride(value);

    private byte* Address(Value value) => arena + layout.Offset(value);
}

/// <summary>A piece of work for the thread team: independent items that any thread may take in any order.</summary>
internal abstract unsafe class Step
{
    /// <summary>Where in the network it stands, for profiles.</summary>
    public abstract string Label { get; }

    /// <summary>What it does, for profiles.</summary>
    public abstract string Kind { get; }

    /// <summary>What it reads and writes. Another step may run at the same time if it writes none of these.</summary>
    public abstract IReadOnlyList<Value> Reads { get; }

    public abstract IReadOnlyList<Value> Writes { get; }

    /// <summary>A value it reads whose memory what it writes may take, element for element; null if there is none.</summary>
    public virtual Value? InPlace => null;

    public virtual long Flops => 0;

    public virtual long WeightBytes => 0;

    /// <summary>
    /// How many items there are. They are as many groups of the same size as <see cref="Groups"/> says, one after the other;
    /// neighbours in a group had better be neighbours in memory, above all rows: a thread keeps to the same stretch of every
    /// group, as long as nobody has to help out.
    /// </summary>
    public abstract int Items { get; }

    /// <summary>
    /// Groups of items that share something which a thread makes once and finds in its scratch for the next item.
    /// </summary>
    public virtual int Groups => 1;

    /// <summary>Floats of scratch that an item needs, 64-byte aligned.</summary>
    public virtual nint ScratchFloats => 0;

    /// <summary>Computes one item.</summary>
    /// <param name="frame">Where the values lie.</param>
    /// <param name="item">0 up to <see cref="Items"/>.</param>
    /// <param name="previous">
    /// The item of this step that the thread computed just before, so that what it left in <paramref name="scratch"/> is still
    /// there; -1 if this is its first.
    /// </param>
    /// <param name="scratch">The thread's own.</param>
    public abstract void Run(in Frame frame, int item, int previous, float* scratch);
}

/// <summary>A step that computes an operation, or the greater part of one.</summary>
internal abstract class OperationStep(Operation operation) : Step
{
    public override string Label => operation.Label;

    public override string Kind { get; } = operation.Kind;

    public override IReadOnlyList<Value> Reads { get; } = operation.Inputs;

    public override IReadOnlyList<Value> Writes { get; } = [operation.Output];

    public override long Flops => operation.Flops;

    public override long WeightBytes => operation.WeightBytes;
}
