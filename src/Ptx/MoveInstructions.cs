namespace TinyZsad.Ptx;

/// <summary>Decodes moves between registers and the conversion of addresses between spaces.</summary>
internal static class MoveInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        if (d.Opcode == "cvta")
        {
            bool isTo = d.Has("to");
            string space = d.OneOf("global", "shared", "local", "const");
            PtxType size = d.Type(PtxType.U64);
            ulong window = space switch
            {
                "shared" => Windows.Shared,
                "local" => Windows.Local,
                _ => 0,
            };
            Slot target = d.Destination(0, size), source = d.Source(1, size);
            return new Unary<ulong, ulong>(target, source, isTo ? x => unchecked(x - window) : x => unchecked(x + window));
        }

        if (d.Opcode != "mov") return null;
        PtxType type = d.Type();
        if (type.Size() == 1 || type is PtxType.F16 or PtxType.F16x2) throw d.Error($"there is no 'mov.{type.Word()}': use .b16 or .b32.");
        int into = d.Width(0), from = d.Width(1);
        if (into > 1 || from > 1)
        {
            if (!type.IsBits() || (into > 1 && from > 1)) throw d.Error("registers are packed and unpacked by mov.b32 and mov.b64.");
            int count = Math.Max(into, from), part = type.Size() / count;
            PtxType element = part switch
            {
                2 => PtxType.B16,
                4 => PtxType.B32,
                _ => throw d.Error($"{type.Size() * 8} bits cannot be {count} registers."),
            };
            if (from > 1) return new Pack(d.Destination(0, type), d.Vector(1, element, count, isSource: true), part);
            return new Unpack(d.Vector(0, element, count, isSource: false), d.Source(1, type), part);
        }

        Slot to = d.Destination(0, type), a = d.Source(1, type);
        if (type == PtxType.Pred) return new PredicateInstruction(to, a, a, static (x, _) => x);
        return to.Stride == 8
            ? Vectors.Copy(8, new Unary<ulong, ulong>(to, a, static x => x), to, a)
            : Vectors.Copy(4, new Unary<uint, uint>(to, a, static x => x), to, a);
    }

    private sealed unsafe class Pack(Slot d, Slot[] parts, int size) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong value = 0;
                for (int i = 0; i < parts.Length; i++)
                    value |= Lanes.Raw(warp.File + parts[i].Offset, 4, lane) << (8 * size * i);
                Lanes.SetRaw(warp.File + d.Offset, d.Stride, lane, value);
            }
        }
    }

    private sealed unsafe class Unpack(Slot[] parts, Slot a, int size) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong value = Lanes.Raw(warp.File + a.Offset, a.Stride, lane);
                for (int i = 0; i < parts.Length; i++)
                {
                    ulong part = value >> (8 * size * i);
                    Lanes.SetRaw(warp.File + parts[i].Offset, 4, lane, size == 2 ? (ushort)part : (uint)part);
                }
            }
        }
    }
}
