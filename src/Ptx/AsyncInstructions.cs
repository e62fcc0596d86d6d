namespace TinyZsad.Ptx;

/// <summary>Decodes copies from global to shared memory that go on while the thread does.</summary>
internal static class AsyncInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        if (d.Opcode != "cp") return null;
        d.Need("async");
        if (d.Has("commit_group")) return new Commit();
        if (d.Has("wait_all")) return new Wait(0, isAll: true);
        if (d.Has("wait_group"))
        {
            int pending = d.Immediate(0);
            return pending >= 0 ? new Wait(pending, isAll: false) : throw d.Error("the number of groups is negative.");
        }

        string cache = d.OneOf("ca", "cg");
        d.Need("shared");
        d.Need("global");
        d.Any("L2::64B", "L2::128B", "L2::256B");
        AddressSlot to = d.Address(0, Space.Shared), from = d.Address(1, Space.Global);
        int size = d.Immediate(2);
        if (size is not (4 or 8 or 16) || (cache == "cg" && size != 16))
            throw d.Error($"a copy has 4, 8 or 16 bytes, with .cg 16, and not {size}.");
        return new Copy(to, from, size, d.Count > 3 ? d.Source(3, PtxType.U32) : null);
    }

    private sealed unsafe class Copy(AddressSlot to, AddressSlot from, int size, Slot? sourceSize) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            ulong* addresses = warp.Addresses;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong target = warp.AddressOf(to, lane), source = warp.AddressOf(from, lane);
                uint bytes = sourceSize is { } slot ? Lanes.Get<uint>(warp.File + slot.Offset, lane) : (uint)size;
                if (bytes > (uint)size) throw new PtxFault(lane, $"the source has {bytes} bytes, more than the {size} of the copy.");
                if (source % (uint)size != 0) throw new PtxFault(lane, $"the address 0x{source:x} is not a multiple of {size}.");
                byte* at = warp.BeginCopy(target, size, lane);
                new Span<byte>(at, size).Clear();
                if (bytes == (uint)size)
                {
                    new ReadOnlySpan<byte>(warp.Read(Space.Global, source, size, lane), size).CopyTo(new Span<byte>(at, size));
                }
                else
                {
                    for (uint i = 0; i < bytes; i++) at[i] = *warp.Read(Space.Global, source + i, 1, lane);
                }

                addresses[lane] = source;
            }

            warp.Count(Index, Space.Global, mask, size);
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                addresses[lane] = warp.AddressOf(to, lane);
            }

            warp.Count(Index, Space.Shared, mask, size);
        }
    }

    private sealed class Commit : Instruction
    {
        public override void Execute(Warp warp, uint mask) => warp.CommitCopies(mask);
    }

    private sealed class Wait(int pending, bool isAll) : Instruction
    {
        public override void Execute(Warp warp, uint mask) => warp.FinishCopies(mask, pending, isAll);
    }
}
