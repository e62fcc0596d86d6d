namespace TinyZsad.Ptx;

/// <summary>Decodes branches, barriers and fences.</summary>
internal static class ControlInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        switch (d.Opcode)
        {
            case "bra":
                return new BranchInstruction(d.Label(0), d.Has("uni"));
            case "ret":
                d.Any("uni");
                return new ExitInstruction();
            case "exit":
                return new ExitInstruction();
            case "trap":
                return new Trap();
            case "bar" or "barrier":
                d.Any("cta");
                if (d.Has("warp"))
                {
                    d.Need("sync");
                    return new WarpBarrier(d.Source(0, PtxType.B32));
                }

                d.Need("sync");
                if (d.Opcode == "barrier") d.Any("aligned");
                return new BarrierInstruction(d.Source(0, PtxType.U32), d.Count > 1 ? d.Source(1, PtxType.U32) : null);
            case "membar":
                d.OneOf("cta", "gl", "sys");
                return new Nothing();
            case "fence":
                d.Any("sc", "acq_rel");
                d.OneOf("cta", "gpu", "sys");
                return new Nothing();
            default:
                return null;
        }
    }

    /// <summary>Represents a fence. Accesses are executed in order anyway.</summary>
    private sealed class Nothing : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
        }
    }

    private sealed class Trap : Instruction
    {
        public override void Execute(Warp warp, uint mask) =>
            throw new PtxFault(int.CreateTruncating(uint.TrailingZeroCount(mask)), "the kernel stops itself.");
    }

    private sealed class WarpBarrier(Slot members) : Instruction
    {
        public override void Execute(Warp warp, uint mask) => warp.CheckMembers(members, mask);
    }
}
