using System.Numerics;

namespace TinyZsad.Ptx;

/// <summary>Decodes arithmetic on integers.</summary>
internal static class IntegerInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        if (d.Opcode is "popc" or "clz" or "brev" or "bfe" or "bfi") return Bits(d);
        if (d.Opcode is "dp4a") return Dot(d);
        if (d.Opcode is not ("add" or "sub" or "mul" or "mad" or "sad" or "div" or "rem" or "abs" or "neg" or "min" or "max"))
            return null;
        // The last modifier tells whether the instruction is of this group or of floats.
        if (d.LastType() is not (PtxType.U16 or PtxType.S16 or PtxType.U32 or PtxType.S32 or PtxType.U64 or PtxType.S64)) return null;
        string part = d.Opcode is "mul" or "mad" ? d.OneOf("lo", "hi", "wide") : "";
        PtxType type = d.Type();
        if (part == "wide")
        {
            return type switch
            {
                PtxType.U16 => Wide<uint, ushort>(d, type, PtxType.U32, (a, b) => (uint)a * b),
                PtxType.S16 => Wide<int, short>(d, type, PtxType.S32, (a, b) => a * b),
                PtxType.U32 => Wide<ulong, uint>(d, type, PtxType.U64, (a, b) => (ulong)a * b),
                PtxType.S32 => Wide<long, int>(d, type, PtxType.S64, (a, b) => (long)a * b),
                _ => throw d.Error("'.wide' is for types of 16 and 32 bits."),
            };
        }

        return type switch
        {
            PtxType.U16 => Arithmetic<ushort>(d, type, part, (a, b) => (ushort)(((uint)a * b) >> 16)),
            PtxType.S16 => Arithmetic<short>(d, type, part, (a, b) => (short)((a * b) >> 16)),
            PtxType.U32 => Arithmetic<uint>(d, type, part, (a, b) => (uint)(((ulong)a * b) >> 32)),
            PtxType.S32 => Arithmetic<int>(d, type, part, (a, b) => (int)(((long)a * b) >> 32)),
            PtxType.U64 => Arithmetic<ulong>(d, type, part, (a, b) => Math.BigMul(a, b, out _)),
            _ => Arithmetic<long>(d, type, part, (a, b) => Math.BigMul(a, b, out _)),
        };
    }

    private static Instruction Wide<TD, TA>(Decoder d, PtxType type, PtxType result, Func<TA, TA, TD> multiply)
        where TD : unmanaged, IBinaryInteger<TD> where TA : unmanaged
    {
        Slot to = d.Destination(0, result), a = d.Source(1, type), b = d.Source(2, type);
        return d.Opcode == "mul"
            ? new Binary<TD, TA, TA>(to, a, b, multiply)
            : new Ternary<TD, TA, TA, TD>(to, a, b, d.Source(3, result), (x, y, z) => unchecked(multiply(x, y) + z));
    }

    private static Instruction Arithmetic<T>(Decoder d, PtxType type, string part, Func<T, T, T> high)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        Slot to = d.Destination(0, type), a = d.Source(1, type);
        if (d.Opcode is "abs" or "neg")
        {
            if (!type.IsSigned()) throw d.Error($"'{d.Opcode}' is for signed types.");
            return d.Opcode == "abs"
                ? new Unary<T, T>(to, a, x => x < T.Zero ? unchecked(T.Zero - x) : x)
                : new Unary<T, T>(to, a, x => unchecked(T.Zero - x));
        }

        Slot b = d.Source(2, type);
        Instruction simple;
        switch (d.Opcode)
        {
            case "add":
                simple = new Binary<T, T, T>(to, a, b, (x, y) => unchecked(x + y));
                return Vectors.Add(type, simple, to, a, b) ?? simple;
            case "sub":
                simple = new Binary<T, T, T>(to, a, b, (x, y) => unchecked(x - y));
                return Vectors.Subtract(type, simple, to, a, b) ?? simple;
            case "min":
                return new Binary<T, T, T>(to, a, b, (x, y) => x < y ? x : y);
            case "max":
                return new Binary<T, T, T>(to, a, b, (x, y) => x > y ? x : y);
            case "div":
                // A division by zero gives an unspecified value: all bits set on NVIDIA's GPUs.
                return new Binary<T, T, T>(to, a, b, (x, y) => y == T.Zero ? T.AllBitsSet
                    : x == T.MinValue && y == T.AllBitsSet && T.IsNegative(y) ? x : x / y);
            case "rem":
                return new Binary<T, T, T>(to, a, b, (x, y) => y == T.Zero ? x : T.IsNegative(y) && y == T.AllBitsSet ? T.Zero : x % y);
            case "mul":
                if (part == "hi") return new Binary<T, T, T>(to, a, b, high);
                simple = new Binary<T, T, T>(to, a, b, (x, y) => unchecked(x * y));
                return Vectors.Multiply(type, simple, to, a, b) ?? simple;
            case "mad":
                Slot c = d.Source(3, type);
                if (part == "hi") return new Ternary<T, T, T, T>(to, a, b, c, (x, y, z) => unchecked(high(x, y) + z));
                simple = new Ternary<T, T, T, T>(to, a, b, c, (x, y, z) => unchecked(x * y + z));
                return Vectors.MultiplyAdd(type, simple, to, a, b, c) ?? simple;
            default:
                if (type.Size() == 8) throw d.Error("'sad' is for types of 16 and 32 bits.");
                return new Ternary<T, T, T, T>(to, a, b, d.Source(3, type), (x, y, z) => unchecked((x > y ? x - y : y - x) + z));
        }
    }

    private static Instruction Bits(Decoder d)
    {
        PtxType type = d.Opcode is "bfe"
            ? d.Type(PtxType.U32, PtxType.S32, PtxType.U64, PtxType.S64)
            : d.Type(PtxType.B32, PtxType.B64);
        switch (d.Opcode)
        {
            case "popc" when type == PtxType.B32:
                return new Unary<uint, uint>(d.Destination(0, PtxType.U32), d.Source(1, type), uint.PopCount);
            case "popc":
                return new Unary<uint, ulong>(d.Destination(0, PtxType.U32), d.Source(1, type), x => (uint)ulong.PopCount(x));
            case "clz" when type == PtxType.B32:
                return new Unary<uint, uint>(d.Destination(0, PtxType.U32), d.Source(1, type), uint.LeadingZeroCount);
            case "clz":
                return new Unary<uint, ulong>(d.Destination(0, PtxType.U32), d.Source(1, type), x => (uint)ulong.LeadingZeroCount(x));
            case "brev" when type == PtxType.B32:
                return new Unary<uint, uint>(d.Destination(0, type), d.Source(1, type), x => (uint)(Reverse(x) >> 32));
            case "brev":
                return new Unary<ulong, ulong>(d.Destination(0, type), d.Source(1, type), Reverse);
            case "bfi":
                Slot to = d.Destination(0, type), a = d.Source(1, type), b = d.Source(2, type);
                Slot at = d.Source(3, PtxType.U32), length = d.Source(4, PtxType.U32);
                return type == PtxType.B32
                    ? new Quaternary<uint, uint, uint, uint, uint>(to, a, b, at, length, (x, y, p, n) => (uint)Insert(x, y, p, n, 32))
                    : new Quaternary<ulong, ulong, ulong, uint, uint>(to, a, b, at, length, (x, y, p, n) => Insert(x, y, p, n, 64));
            default:
                Slot result = d.Destination(0, type), source = d.Source(1, type);
                Slot from = d.Source(2, PtxType.U32), count = d.Source(3, PtxType.U32);
                return type switch
                {
                    PtxType.U32 => new Ternary<uint, uint, uint, uint>(result, source, from, count,
                        (x, p, n) => (uint)Extract(x, p, n, 32, false)),
                    PtxType.S32 => new Ternary<uint, uint, uint, uint>(result, source, from, count,
                        (x, p, n) => (uint)Extract(unchecked((ulong)(int)x), p, n, 32, true)),
                    PtxType.U64 => new Ternary<ulong, ulong, uint, uint>(result, source, from, count,
                        (x, p, n) => Extract(x, p, n, 64, false)),
                    _ => new Ternary<ulong, ulong, uint, uint>(result, source, from, count,
                        (x, p, n) => Extract(x, p, n, 64, true)),
                };
        }
    }

    private static ulong Reverse(ulong x)
    {
        ulong y = 0;
        for (int i = 0; i < 64; i++) y |= ((x >> i) & 1) << (63 - i);
        return y;
    }

    private static ulong Insert(ulong a, ulong b, uint at, uint count, int bits)
    {
        int p = (int)(at & 255), n = (int)(count & 255);
        for (int i = 0; i < n && p + i < bits; i++) b = (b & ~(1UL << (p + i))) | (((a >> i) & 1) << (p + i));
        return b;
    }

    private static ulong Extract(ulong a, uint at, uint count, int bits, bool isSigned)
    {
        int p = (int)(at & 255), n = (int)(count & 255);
        ulong sign = isSigned && n > 0 ? (a >> Math.Min(p + n - 1, bits - 1)) & 1 : 0;
        ulong result = 0;
        for (int i = 0; i < bits; i++) result |= (i < n && p + i < bits ? (a >> (p + i)) & 1 : sign) << i;
        return result;
    }

    private static Ternary<int, uint, uint, int> Dot(Decoder d)
    {
        PtxType first = d.Type(PtxType.U32, PtxType.S32), second = d.Type(PtxType.U32, PtxType.S32);
        bool a = first == PtxType.S32, b = second == PtxType.S32;
        PtxType sum = a || b ? PtxType.S32 : PtxType.U32;
        return new Ternary<int, uint, uint, int>(d.Destination(0, sum), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32),
            d.Source(3, sum), (x, y, z) =>
            {
                for (int i = 0; i < 32; i += 8)
                {
                    int p = a ? (sbyte)(x >> i) : (byte)(x >> i), q = b ? (sbyte)(y >> i) : (byte)(y >> i);
                    z = unchecked(z + p * q);
                }

                return z;
            });
    }
}
