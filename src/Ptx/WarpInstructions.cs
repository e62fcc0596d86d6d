namespace TinyZsad.Ptx;

/// <summary>Decodes instructions by which the lanes of a warp exchange values.</summary>
internal static class WarpInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        switch (d.Opcode)
        {
            case "shfl":
                d.Need("sync");
                string mode = d.OneOf("up", "down", "bfly", "idx");
                d.Need("b32");
                (Slot to, Slot? inRange) = Pair(d);
                return new Shuffle(mode, to, inRange, d.Source(1, PtxType.B32), d.Source(2, PtxType.B32), d.Source(3, PtxType.B32),
                    d.Source(4, PtxType.B32));
            case "vote":
                d.Need("sync");
                string vote = d.OneOf("all", "any", "uni", "ballot");
                if (vote == "ballot")
                {
                    d.Need("b32");
                    return new Ballot(d.Destination(0, PtxType.B32), d.Source(1, PtxType.Pred), d.Source(2, PtxType.B32));
                }

                d.Need("pred");
                return new Vote(vote, d.Destination(0, PtxType.Pred), d.Source(1, PtxType.Pred), d.Source(2, PtxType.B32));
            case "activemask":
                d.Need("b32");
                return new ActiveMask(d.Destination(0, PtxType.B32));
            case "redux":
                d.Need("sync");
                string operation = d.OneOf("add", "min", "max", "and", "or", "xor");
                PtxType type = operation is "and" or "or" or "xor" ? d.Type(PtxType.B32) : d.Type(PtxType.U32, PtxType.S32);
                return new Reduction(operation, type, d.Destination(0, type), d.Source(1, type), d.Source(2, PtxType.B32));
            default:
                return null;
        }
    }

    private static (Slot First, Slot? Second) Pair(Decoder d) => d.Operand(0) is PairOperand pair
        ? (d.Destination(pair.First, PtxType.B32), d.Destination(pair.Second, PtxType.Pred))
        : (d.Destination(0, PtxType.B32), null);

    private sealed unsafe class Shuffle(string mode, Slot d, Slot? inRange, Slot a, Slot b, Slot c, Slot members) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            warp.CheckMembers(members, mask);
            uint* values = stackalloc uint[32];
            uint* from = (uint*)(warp.File + a.Offset);
            for (int i = 0; i < 32; i++) values[i] = from[i];
            uint* to = (uint*)(warp.File + d.Offset), distances = (uint*)(warp.File + b.Offset), controls = (uint*)(warp.File + c.Offset);
            uint holds = 0;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                int distance = (int)(distances[lane] & 31), clamp = (int)(controls[lane] & 31), segment = (int)(controls[lane] >> 8 & 31);
                int most = (lane & segment) | (clamp & ~segment), least = lane & segment;
                int other = mode switch
                {
                    "up" => lane - distance,
                    "down" => lane + distance,
                    "bfly" => lane ^ distance,
                    _ => least | (distance & ~segment),
                };
                bool isIn = mode == "up" ? other >= most : other <= most;
                if (!isIn) other = lane;
                if ((mask >> other & 1) == 0)
                    throw new PtxFault(lane, $"the lane reads the value of lane {other}, which does not execute the instruction.");
                to[lane] = values[other];
                if (isIn) holds |= 1U << lane;
            }

            if (inRange is { } predicate) Lanes.SetHolds(warp, predicate, mask, holds);
        }
    }

    private sealed class Vote(string vote, Slot d, Slot a, Slot members) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            warp.CheckMembers(members, mask);
            uint holds = Lanes.Holds(warp, a) & mask;
            bool result = vote switch
            {
                "all" => holds == mask,
                "any" => holds != 0,
                _ => holds == 0 || holds == mask,
            };
            Lanes.SetHolds(warp, d, mask, result ? uint.MaxValue : 0);
        }
    }

    private sealed unsafe class Ballot(Slot d, Slot a, Slot members) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            warp.CheckMembers(members, mask);
            uint holds = Lanes.Holds(warp, a) & mask;
            for (uint m = mask; m != 0; m &= m - 1)
                Lanes.Set(warp.File + d.Offset, int.CreateTruncating(uint.TrailingZeroCount(m)), holds);
        }
    }

    private sealed unsafe class ActiveMask(Slot d) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            for (uint m = mask; m != 0; m &= m - 1)
                Lanes.Set(warp.File + d.Offset, int.CreateTruncating(uint.TrailingZeroCount(m)), mask);
        }
    }

    private sealed unsafe class Reduction(string operation, PtxType type, Slot d, Slot a, Slot members) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            warp.CheckMembers(members, mask);
            uint* from = (uint*)(warp.File + a.Offset);
            uint result = from[int.CreateTruncating(uint.TrailingZeroCount(mask))];
            for (uint m = mask & (mask - 1); m != 0; m &= m - 1)
            {
                uint value = from[int.CreateTruncating(uint.TrailingZeroCount(m))];
                result = operation switch
                {
                    "add" => unchecked(result + value),
                    "and" => result & value,
                    "or" => result | value,
                    "xor" => result ^ value,
                    "min" when type == PtxType.S32 => (uint)Math.Min((int)result, (int)value),
                    "max" when type == PtxType.S32 => (uint)Math.Max((int)result, (int)value),
                    "min" => Math.Min(result, value),
                    _ => Math.Max(result, value),
                };
            }

            for (uint m = mask; m != 0; m &= m - 1)
                Lanes.Set(warp.File + d.Offset, int.CreateTruncating(uint.TrailingZeroCount(m)), result);
        }
    }
}
