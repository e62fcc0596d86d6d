namespace TinyZsad.Ptx;

/// <summary>Specifies how the warp goes on after an instruction.</summary>
internal enum Flow
{
    /// <summary>With the next instruction.</summary>
    Next,

    /// <summary>With the instruction of a label.</summary>
    Branch,

    /// <summary>The lanes end.</summary>
    Exit,

    /// <summary>The warp waits until the other warps of the block arrive.</summary>
    Barrier,
}

/// <summary>Represents a decoded instruction: what it does to the lanes of a warp.</summary>
internal abstract class Instruction
{
    /// <summary>Gets or sets the line, from 1.</summary>
    public int Line { get; set; }

    /// <summary>Gets or sets the instruction with its modifiers, for statistics.</summary>
    public string Name { get; set; } = "";

    /// <summary>Gets or sets the number in the kernel.</summary>
    public int Index { get; set; }

    /// <summary>Gets or sets the offset of the predicate, or -1.</summary>
    public int Guard { get; set; } = -1;

    /// <summary>Gets or sets whether the predicate must be false.</summary>
    public bool GuardNot { get; set; }

    /// <summary>Gets or sets the registers that are read, the predicate among them.</summary>
    public Register[] Reads { get; set; } = [];

    /// <summary>Gets or sets the registers that are written.</summary>
    public Register[] Writes { get; set; } = [];

    /// <summary>Gets or sets the registers that are read and may be unwritten; null if there are none.</summary>
    public Register[]? Doubtful { get; set; }

    /// <summary>Gets or sets the written registers whose state is kept; null if there are none.</summary>
    public Register[]? Tracked { get; set; }

    /// <summary>Gets how the warp goes on.</summary>
    public virtual Flow Flow => Flow.Next;

    /// <summary>Executes the instruction.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="mask">The lanes that execute, never 0.</param>
    public abstract void Execute(Warp warp, uint mask);
}

/// <summary>Represents <c>bra</c>.</summary>
internal sealed class BranchInstruction(int target, bool isUniform) : Instruction
{
    /// <summary>Gets the instruction that follows the branch.</summary>
    public int Target { get; } = target;

    /// <summary>Gets whether all lanes must agree.</summary>
    public bool IsUniform { get; } = isUniform;

    /// <summary>Gets or sets where the lanes that disagree meet again: the number of instructions if they do not.</summary>
    public int Meeting { get; set; }

    /// <inheritdoc/>
    public override Flow Flow => Flow.Branch;

    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask) => throw new InvalidOperationException();
}

/// <summary>Represents <c>ret</c> and <c>exit</c>.</summary>
internal sealed class ExitInstruction : Instruction
{
    /// <inheritdoc/>
    public override Flow Flow => Flow.Exit;

    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask) => throw new InvalidOperationException();
}

/// <summary>Represents <c>bar.sync</c> and <c>barrier.sync</c>.</summary>
internal sealed class BarrierInstruction(Slot number, Slot? count) : Instruction
{
    /// <summary>Gets the number of the barrier.</summary>
    public Slot Number { get; } = number;

    /// <summary>Gets the number of threads that meet; null for all of the block.</summary>
    public Slot? Count { get; } = count;

    /// <inheritdoc/>
    public override Flow Flow => Flow.Barrier;

    /// <inheritdoc/>
    public override void Execute(Warp warp, uint mask) => throw new InvalidOperationException();
}
