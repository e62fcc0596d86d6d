namespace TinyZsad.Ptx;

/// <summary>Decodes logic and shifts.</summary>
internal static class LogicInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        switch (d.Opcode)
        {
            case "and" or "or" or "xor" or "not" or "cnot":
                return Logic(d);
            case "shl" or "shr":
                return Shift(d);
            case "lop3":
                d.Type(PtxType.B32);
                int table = d.Immediate(4);
                if (table is < 0 or > 255) throw d.Error("the table of lop3 is a number from 0 to 255.");
                return new Ternary<uint, uint, uint, uint>(
                    d.Destination(0, PtxType.B32), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32),
                    d.Source(3, PtxType.B32), (x, y, z) => Table(x, y, z, table));
            case "prmt":
                d.Type(PtxType.B32);
                return new Ternary<uint, uint, uint, uint>(
                    d.Destination(0, PtxType.B32), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32),
                    d.Source(3, PtxType.B32), Permute);
            case "shf":
                string direction = d.OneOf("l", "r"), mode = d.OneOf("clamp", "wrap");
                d.Type(PtxType.B32);
                return new Ternary<uint, uint, uint, uint>(
                    d.Destination(0, PtxType.B32), d.Source(1, PtxType.B32), d.Source(2, PtxType.B32),
                    d.Source(3, PtxType.U32), (direction, mode) switch
                    {
                        ("l", "wrap") => static (x, y, n) => (uint)((((ulong)y << 32 | x) << (int)(n & 31)) >> 32),
                        ("l", _) => static (x, y, n) => (uint)((((ulong)y << 32 | x) << (int)Math.Min(n, 32)) >> 32),
                        ("r", "wrap") => static (x, y, n) => (uint)(((ulong)y << 32 | x) >> (int)(n & 31)),
                        _ => static (x, y, n) => (uint)(((ulong)y << 32 | x) >> (int)Math.Min(n, 32)),
                    });
            default:
                return null;
        }
    }

    private static Instruction Logic(Decoder d)
    {
        PtxType type = d.Type(PtxType.Pred, PtxType.B16, PtxType.B32, PtxType.B64);
        Slot to = d.Destination(0, type), a = d.Source(1, type);
        bool isPredicate = type == PtxType.Pred, isLong = type == PtxType.B64;
        switch (d.Opcode)
        {
            case "not":
                if (isPredicate) return new PredicateInstruction(to, a, a, static (x, _) => ~x);
                if (isLong) return new Unary<ulong, ulong>(to, a, static x => ~x);
                return type == PtxType.B32
                    ? new Unary<uint, uint>(to, a, static x => ~x)
                    : new Unary<ushort, ushort>(to, a, static x => (ushort)~x);
            case "cnot":
                if (isPredicate) throw d.Error("'cnot' is for bits.");
                if (isLong) return new Unary<ulong, ulong>(to, a, static x => x == 0 ? 1UL : 0);
                return type == PtxType.B32
                    ? new Unary<uint, uint>(to, a, static x => x == 0 ? 1U : 0)
                    : new Unary<ushort, ushort>(to, a, static x => (ushort)(x == 0 ? 1 : 0));
        }

        Slot b = d.Source(2, type);
        Func<uint, uint, uint> compute = d.Opcode switch
        {
            "and" => static (x, y) => x & y,
            "or" => static (x, y) => x | y,
            _ => static (x, y) => x ^ y,
        };
        if (isPredicate) return new PredicateInstruction(to, a, b, compute);
        if (!isLong)
        {
            // Lanes of 16 bits have zeros above, and these operations keep them.
            return new Binary<uint, uint, uint>(to, a, b, compute);
        }

        return new Binary<ulong, ulong, ulong>(to, a, b, d.Opcode switch
        {
            "and" => static (x, y) => x & y,
            "or" => static (x, y) => x | y,
            _ => static (x, y) => x ^ y,
        });
    }

    private static Instruction Shift(Decoder d)
    {
        PtxType type = d.Opcode == "shl" ? d.Type(PtxType.B16, PtxType.B32, PtxType.B64)
            : d.Type(PtxType.B16, PtxType.B32, PtxType.B64, PtxType.U16, PtxType.U32, PtxType.U64, PtxType.S16, PtxType.S32, PtxType.S64);
        Slot to = d.Destination(0, type), a = d.Source(1, type), n = d.Source(2, PtxType.U32);
        if (d.Opcode == "shl")
        {
            return type.Size() switch
            {
                2 => new Binary<ushort, ushort, uint>(to, a, n, static (x, y) => y > 15 ? (ushort)0 : (ushort)(x << (int)y)),
                4 => new Binary<uint, uint, uint>(to, a, n, static (x, y) => y > 31 ? 0 : x << (int)y),
                _ => new Binary<ulong, ulong, uint>(to, a, n, static (x, y) => y > 63 ? 0 : x << (int)y),
            };
        }

        return (type.Size(), type.IsSigned()) switch
        {
            (2, false) => new Binary<ushort, ushort, uint>(to, a, n, static (x, y) => y > 15 ? (ushort)0 : (ushort)(x >> (int)y)),
            (4, false) => new Binary<uint, uint, uint>(to, a, n, static (x, y) => y > 31 ? 0 : x >> (int)y),
            (_, false) => new Binary<ulong, ulong, uint>(to, a, n, static (x, y) => y > 63 ? 0 : x >> (int)y),
            (2, true) => new Binary<short, short, uint>(to, a, n, static (x, y) => (short)(x >> (int)Math.Min(y, 15))),
            (4, true) => new Binary<int, int, uint>(to, a, n, static (x, y) => x >> (int)Math.Min(y, 31)),
            _ => new Binary<long, long, uint>(to, a, n, static (x, y) => x >> (int)Math.Min(y, 63)),
        };
    }

    private static uint Table(uint x, uint y, uint z, int table)
    {
        uint result = 0;
        if ((table & 1) != 0) result |= ~x & ~y & ~z;
        if ((table & 2) != 0) result |= ~x & ~y & z;
        if ((table & 4) != 0) result |= ~x & y & ~z;
        if ((table & 8) != 0) result |= ~x & y & z;
        if ((table & 16) != 0) result |= x & ~y & ~z;
        if ((table & 32) != 0) result |= x & ~y & z;
        if ((table & 64) != 0) result |= x & y & ~z;
        if ((table & 128) != 0) result |= x & y & z;
        return result;
    }

    private static uint Permute(uint x, uint y, uint selector)
    {
        ulong both = (ulong)y << 32 | x;
        uint result = 0;
        for (int i = 0; i < 4; i++)
        {
            uint s = selector >> (4 * i);
            uint b = (uint)(both >> (int)(8 * (s & 7))) & 255;
            if ((s & 8) != 0) b = (b & 128) != 0 ? 255U : 0;
            result |= b << (8 * i);
        }

        return result;
    }
}
