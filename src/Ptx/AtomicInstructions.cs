namespace TinyZsad.Ptx;

/// <summary>Decodes atomic operations.</summary>
internal static class AtomicInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        if (d.Opcode is not ("atom" or "red")) return null;
        bool hasResult = d.Opcode == "atom";
        if (d.Any("relaxed", "acquire", "release", "acq_rel").Length != 0) d.OneOf("cta", "gpu", "sys");
        Space space = MemoryInstructions.SpaceOf(d, ["global", "shared"]);
        d.Any("cta", "gpu", "sys");
        string operation = d.OneOf("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec");
        PtxType type = d.Type(PtxType.B32, PtxType.U32, PtxType.S32, PtxType.B64, PtxType.U64, PtxType.S64, PtxType.F32);
        if (type == PtxType.F32 && operation != "add") throw d.Error("only 'add' is an atomic operation on floats.");
        bool isBits = operation is "and" or "or" or "xor" or "exch" or "cas";
        if (isBits != type.IsBits()) throw d.Error($"'{operation}' is not an operation on .{type.Word()}.");
        if (operation is "inc" or "dec" && type != PtxType.U32) throw d.Error($"'{operation}' is an operation on .u32.");
        if (!hasResult && (operation is "exch" or "cas")) throw d.Error($"'red' has no '{operation}'.");
        int at = hasResult ? 1 : 0;
        return new Atomic(space, operation, type, hasResult ? d.Destination(0, type) : null, d.Address(at, space), d.Source(at + 1, type),
            operation == "cas" ? d.Source(at + 2, type) : null);
    }

    private sealed unsafe class Atomic(
        Space space, string operation, PtxType type, Slot? d, AddressSlot address, Slot b, Slot? c) : Instruction
    {
        private readonly int size = type.Size();

        public override void Execute(Warp warp, uint mask)
        {
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong at = warp.Addresses[lane] = warp.AddressOf(address, lane);
                byte* place = warp.Change(space, at, size, lane);
                ulong operand = Lanes.Raw(warp.File + b.Offset, b.Stride, lane), old;
                ulong third = c is { } slot ? Lanes.Raw(warp.File + slot.Offset, slot.Stride, lane) : 0;
                if (size == 8)
                {
                    ulong seen = Volatile.Read(ref *(ulong*)place);
                    while ((old = Interlocked.CompareExchange(ref *(ulong*)place, Compute(seen, operand, third), seen)) != seen) seen = old;
                }
                else
                {
                    uint seen = Volatile.Read(ref *(uint*)place), now;
                    while ((now = Interlocked.CompareExchange(ref *(uint*)place, (uint)Compute(seen, operand, third), seen)) != seen)
                        seen = now;
                    old = now;
                }

                if (d is { } to) Lanes.SetRaw(warp.File + to.Offset, to.Stride, lane, old);
            }

            warp.Count(Index, space, mask, size);
        }

        private ulong Compute(ulong old, ulong value, ulong third) => operation switch
        {
            "exch" => value,
            "cas" => old == value ? third : old,
            "and" => old & value,
            "or" => old | value,
            "xor" => old ^ value,
            "inc" => (uint)old >= (uint)value ? 0 : old + 1,
            "dec" => (uint)old == 0 || (uint)old > (uint)value ? value : old - 1,
            "add" when type == PtxType.F32 => BitConverter.SingleToUInt32Bits(
                BitConverter.UInt32BitsToSingle((uint)old) + BitConverter.UInt32BitsToSingle((uint)value)),
            "add" => unchecked(old + value),
            _ => IsFirst(old, value) == (operation == "min") ? old : value,
        };

        /// <summary>Gets whether a number is less than another.</summary>
        private bool IsFirst(ulong a, ulong b) => type switch
        {
            PtxType.S32 => (int)a < (int)b,
            PtxType.S64 => (long)a < (long)b,
            _ => a < b,
        };
    }
}
