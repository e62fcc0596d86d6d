namespace TinyZsad.Graph;

/// <summary>Where the values of one run lie.</summary>
internal readonly unsafe struct Frame(byte* arena, long[] offsets)
{
    public float* Floats(Value value) => (float*)Address(value);

    /// <summary>A row of a value.</summary>
    public float* Floats(Value value, int row) => (float*)Address(value) + (nint)row * value.RowStride;

    public int* Ints(Value value) => (int*)Address(value);

    public byte* Bytes(Value value) => Address(value);

    private byte* Address(Value value) => arena + offsets[value.Root.Id] + value.Offset;
}

/// <summary>A piece of work for the thread team: independent items that any thread may take in any order.</summary>
internal abstract unsafe class Step(Operation operation)
{
    /// <summary>What it computes, wholly or in part.</summary>
    public Operation Operation => operation;

    /// <summary>What it reads and writes. Another step may run at the same time if it writes none of these.</summary>
    public virtual IReadOnlyList<Value> Reads => operation.Inputs;

    public virtual IReadOnlyList<Value> Writes => [operation.Output];

    /// <summary>A value it reads whose memory its output may take, element for element; null if there is none.</summary>
    public virtual Value? InPlace => null;

    public virtual long Flops => operation.Flops;

    public abstract int Items { get; }

    /// <summary>Floats of scratch that an item needs, 64-byte aligned.</summary>
    public virtual nint ScratchFloats => 0;

    public abstract void Run(in Frame frame, int item, float* scratch);
}
