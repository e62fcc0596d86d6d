namespace TinyZsad.Ptx;

/// <summary>Decodes arithmetic on halves and on pairs of halves.</summary>
internal static class HalfInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        if (d.LastType() is not (PtxType.F16 or PtxType.F16x2)) return null;
        switch (d.Opcode)
        {
            case "add" or "sub" or "mul":
                d.Any("rn");
                return Binary(d, d.Has("ftz"), d.Opcode switch
                {
                    // Floats have more than twice the bits of halves and two more, so that rounding twice is rounding once.
                    "add" => static (x, y) => (Half)((float)x + (float)y),
                    "sub" => static (x, y) => (Half)((float)x - (float)y),
                    _ => static (x, y) => (Half)((float)x * (float)y),
                });
            case "min" or "max":
                return Binary(d, d.Has("ftz"), d.Opcode == "min"
                    ? static (x, y) => (Half)FloatInstructions.Min((float)x, (float)y)
                    : static (x, y) => (Half)FloatInstructions.Max((float)x, (float)y));
            case "fma":
                d.Need("rn");
                bool flush = d.Has("ftz");
                PtxType type = d.Type(PtxType.F16, PtxType.F16x2);
                Slot to = d.Destination(0, type), a = d.Source(1, type), b = d.Source(2, type), c = d.Source(3, type);
                Func<Half, Half, Half, Half> fma = flush ? static (x, y, z) => Flush(Fma(Flush(x), Flush(y), Flush(z))) : Fma;
                return type == PtxType.F16
                    ? new Ternary<Half, Half, Half, Half>(to, a, b, c, fma)
                    : new Ternary<uint, uint, uint, uint>(to, a, b, c,
                        (x, y, z) => Pack(fma(Low(x), Low(y), Low(z)), fma(High(x), High(y), High(z))));
            case "neg" or "abs":
                return Unary(d, d.Has("ftz"), d.Opcode == "neg" ? static x => -x : Half.Abs);
            case "ex2":
                d.Need("approx");
                return Unary(d, d.Has("ftz"), static x => (Half)Math.Pow(2, (double)x));
            case "tanh":
                d.Need("approx");
                return Unary(d, false, static x => (Half)Math.Tanh((double)x));
            default:
                return null;
        }
    }

    /// <summary>Computes x y + z with one rounding.</summary>
    public static Half Fma(Half x, Half y, Half z)
    {
        // The product is exact. The sum is rounded to odd, so that the second rounding is as that of the exact sum.
        double p = (double)x * (double)y, c = (double)z, s = p + c;
        if (!double.IsFinite(s)) return (Half)s;
        double back = s - p, error = (p - (s - back)) + (c - back);
        if (error != 0 && (BitConverter.DoubleToInt64Bits(s) & 1) == 0)
            s = error > 0 ? Math.BitIncrement(s) : Math.BitDecrement(s);
        return (Half)s;
    }

    private static Half Flush(Half x) => Half.IsSubnormal(x) ? Half.CopySign(Half.Zero, x) : x;

    private static Half Low(uint pair) => BitConverter.UInt16BitsToHalf((ushort)pair);

    private static Half High(uint pair) => BitConverter.UInt16BitsToHalf((ushort)(pair >> 16));

    private static uint Pack(Half low, Half high) => BitConverter.HalfToUInt16Bits(low) | (uint)BitConverter.HalfToUInt16Bits(high) << 16;

    private static Instruction Unary(Decoder d, bool flush, Func<Half, Half> compute)
    {
        PtxType type = d.Type(PtxType.F16, PtxType.F16x2);
        Func<Half, Half> full = flush ? x => Flush(compute(Flush(x))) : compute;
        Slot to = d.Destination(0, type), a = d.Source(1, type);
        return type == PtxType.F16
            ? new Unary<Half, Half>(to, a, full)
            : new Unary<uint, uint>(to, a, x => Pack(full(Low(x)), full(High(x))));
    }

    private static Instruction Binary(Decoder d, bool flush, Func<Half, Half, Half> compute)
    {
        PtxType type = d.Type(PtxType.F16, PtxType.F16x2);
        Func<Half, Half, Half> full = flush ? (x, y) => Flush(compute(Flush(x), Flush(y))) : compute;
        Slot to = d.Destination(0, type), a = d.Source(1, type), b = d.Source(2, type);
        return type == PtxType.F16
            ? new Binary<Half, Half, Half>(to, a, b, full)
            : new Binary<uint, uint, uint>(to, a, b, (x, y) => Pack(full(Low(x), Low(y)), full(High(x), High(y))));
    }
}
