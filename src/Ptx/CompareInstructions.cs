using System.Numerics;

namespace TinyZsad.Ptx;

/// <summary>Decodes comparisons and selections.</summary>
internal static class CompareInstructions
{
    private static readonly string[] Operators =
        ["eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"];

    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        switch (d.Opcode)
        {
            case "setp":
                return Compare(d, isSet: false);
            case "set":
                return Compare(d, isSet: true);
            case "selp":
                PtxType type = d.Type();
                if (type.Size() < 2) throw d.Error("'selp' is for types of 16, 32 and 64 bits.");
                return new Select(d.Destination(0, type), d.Source(1, type), d.Source(2, type), d.Source(3, PtxType.Pred));
            case "slct":
                bool flush = d.Has("ftz");
                PtxType result = d.Type();
                PtxType by = d.Type(PtxType.S32, PtxType.F32);
                if (flush && by != PtxType.F32) throw d.Error("'.ftz' is for a selection by .f32.");
                Slot to = d.Destination(0, result), a = d.Source(1, result), b = d.Source(2, result), c = d.Source(3, by);
                bool isLong = result.Size() == 8;
                if (by == PtxType.S32)
                {
                    return isLong
                        ? new Ternary<ulong, ulong, ulong, int>(to, a, b, c, static (x, y, z) => z >= 0 ? x : y)
                        : new Ternary<uint, uint, uint, int>(to, a, b, c, static (x, y, z) => z >= 0 ? x : y);
                }

                return isLong
                    ? new Ternary<ulong, ulong, ulong, float>(to, a, b, c,
                        (x, y, z) => (flush ? FloatInstructions.Flush(z) : z) >= 0 ? x : y)
                    : new Ternary<uint, uint, uint, float>(to, a, b, c, (x, y, z) => (flush ? FloatInstructions.Flush(z) : z) >= 0 ? x : y);
            default:
                return null;
        }
    }

    private static Instruction Compare(Decoder d, bool isSet)
    {
        string sign = d.OneOf(Operators), combine = d.Any("and", "or", "xor");
        bool flush = d.Has("ftz");
        PtxType result = isSet ? d.Type(PtxType.U32, PtxType.S32, PtxType.F32) : PtxType.Pred;
        PtxType type = d.Type();
        if (flush && type != PtxType.F32) throw d.Error("'.ftz' is for .f32.");
        return type switch
        {
            PtxType.U16 => Make<ushort>(Whole<ushort>()),
            PtxType.S16 => Make<short>(Whole<short>()),
            PtxType.U32 => Make<uint>(Whole<uint>()),
            PtxType.S32 => Make<int>(Whole<int>()),
            PtxType.U64 => Make<ulong>(Whole<ulong>()),
            PtxType.S64 => Make<long>(Whole<long>()),
            PtxType.B16 => Make<ushort>(Bits<ushort>()),
            PtxType.B32 => Make<uint>(Bits<uint>()),
            PtxType.B64 => Make<ulong>(Bits<ulong>()),
            PtxType.F16 => Make<Half>(Float<Half>()),
            PtxType.F32 when flush => Make<float>(Flushed(Float<float>())),
            PtxType.F32 => Make<float>(Float<float>()),
            PtxType.F64 => Make<double>(Float<double>()),
            _ => throw d.Error($"comparisons of .{type.Word()} are not supported."),
        };

        static Func<float, float, bool> Flushed(Func<float, float, bool> f) =>
            (x, y) => f(FloatInstructions.Flush(x), FloatInstructions.Flush(y));

        Func<T, T, bool> Bits<T>() where T : IBinaryInteger<T> => sign is "eq" or "ne"
            ? Whole<T>()
            : throw d.Error($"bits are compared with .eq and .ne, not with .{sign}.");

        Func<T, T, bool> Whole<T>() where T : IBinaryInteger<T> => sign switch
        {
            "eq" => static (x, y) => x == y,
            "ne" => static (x, y) => x != y,
            "lt" => static (x, y) => x < y,
            "le" => static (x, y) => x <= y,
            "gt" => static (x, y) => x > y,
            "ge" => static (x, y) => x >= y,
            "lo" when !type.IsSigned() => static (x, y) => x < y,
            "ls" when !type.IsSigned() => static (x, y) => x <= y,
            "hi" when !type.IsSigned() => static (x, y) => x > y,
            "hs" when !type.IsSigned() => static (x, y) => x >= y,
            _ => throw d.Error($"'.{sign}' is no comparison of .{type.Word()}."),
        };

        Func<T, T, bool> Float<T>() where T : IFloatingPointIeee754<T> => sign switch
        {
            "eq" => static (x, y) => x == y,
            "ne" => static (x, y) => x < y || x > y,
            "lt" => static (x, y) => x < y,
            "le" => static (x, y) => x <= y,
            "gt" => static (x, y) => x > y,
            "ge" => static (x, y) => x >= y,
            "equ" => static (x, y) => !(x < y || x > y),
            "neu" => static (x, y) => !(x == y),
            "ltu" => static (x, y) => !(x >= y),
            "leu" => static (x, y) => !(x > y),
            "gtu" => static (x, y) => !(x <= y),
            "geu" => static (x, y) => !(x < y),
            "num" => static (x, y) => !T.IsNaN(x) && !T.IsNaN(y),
            "nan" => static (x, y) => T.IsNaN(x) || T.IsNaN(y),
            _ => throw d.Error($"'.{sign}' is no comparison of .{type.Word()}."),
        };

        Instruction Make<T>(Func<T, T, bool> compare) where T : unmanaged
        {
            Slot first;
            Slot? second = null;
            Operand operand = d.Operand(0);
            if (operand is PairOperand pair && !isSet)
            {
                first = d.Destination(pair.First, PtxType.Pred);
                second = d.Destination(pair.Second, PtxType.Pred);
            }
            else
            {
                first = d.Destination(operand, result);
            }

            Slot a = d.Source(1, type), b = d.Source(2, type);
            Slot? c = combine.Length == 0 ? null : d.Source(3, PtxType.Pred);
            return new Comparison<T>(first, second, a, b, c, combine, isSet ? result == PtxType.F32 ? 0x3F800000U : uint.MaxValue : null,
                compare);
        }
    }

    private sealed unsafe class Comparison<T>(Slot first, Slot? second, Slot a, Slot b, Slot? c, string combine, uint? set,
        Func<T, T, bool> compare) : Instruction where T : unmanaged
    {
        public override void Execute(Warp warp, uint mask)
        {
            byte* x = warp.File + a.Offset, y = warp.File + b.Offset;
            uint holds = 0;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                if (compare(Lanes.Get<T>(x, lane), Lanes.Get<T>(y, lane))) holds |= 1U << lane;
            }

            uint not = ~holds;
            if (c is Slot with)
            {
                uint p = Lanes.Holds(warp, with);
                (holds, not) = combine switch
                {
                    "and" => (holds & p, not & p),
                    "or" => (holds | p, not | p),
                    _ => (holds ^ p, not ^ p),
                };
            }

            if (set is uint value)
            {
                for (uint m = mask; m != 0; m &= m - 1)
                {
                    int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                    Lanes.Set(warp.File + first.Offset, lane, (holds >> lane & 1) != 0 ? value : 0U);
                }

                return;
            }

            Lanes.SetHolds(warp, first, mask, holds);
            if (second is Slot also) Lanes.SetHolds(warp, also, mask, not);
        }
    }

    private sealed unsafe class Select(Slot d, Slot a, Slot b, Slot p) : Instruction
    {
        public override void Execute(Warp warp, uint mask)
        {
            uint holds = Lanes.Holds(warp, p);
            byte* to = warp.File + d.Offset, x = warp.File + a.Offset, y = warp.File + b.Offset;
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                Lanes.SetRaw(to, d.Stride, lane, Lanes.Raw((holds >> lane & 1) != 0 ? x : y, d.Stride, lane));
            }
        }
    }
}
