namespace TinyZsad.Ptx;

/// <summary>Decodes conversions.</summary>
internal static class ConvertInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d)
    {
        if (d.Opcode != "cvt") return null;
        string rounding = d.Any("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi");
        if (d.Has("relu")) throw d.Error("'.relu' is not supported.");
        bool flush = d.Has("ftz"), saturate = d.Has("sat");
        PtxType to = d.Type();
        PtxType from = d.Type();
        if (to.IsBits() || from.IsBits() || to == PtxType.Pred || from == PtxType.Pred || from == PtxType.F16x2)
            throw d.Error($"conversions of .{from.Word()} to .{to.Word()} are not supported.");
        if (to == PtxType.F16x2)
        {
            if (from != PtxType.F32 || rounding != "rn") throw d.Error("only 'cvt.rn.f16x2.f32' makes pairs of halves.");
            if (flush || saturate) throw d.Error("'.ftz' and '.sat' are not supported for pairs of halves.");
            return new Binary<uint, float, float>(d.Destination(0, PtxType.F16x2), d.Source(1, from), d.Source(2, from),
                static (high, low) => BitConverter.HalfToUInt16Bits((Half)low) | (uint)BitConverter.HalfToUInt16Bits((Half)high) << 16);
        }

        bool isWhole = rounding.Length == 3;
        if (from.IsFloat() && !to.IsFloat() && !isWhole) throw d.Error("a float becomes an integer with .rni, .rzi, .rmi or .rpi.");
        if (!from.IsFloat() && to.IsFloat() && rounding != "rn") throw d.Error("an integer becomes a float with .rn.");
        if (!from.IsFloat() && !to.IsFloat() && rounding.Length != 0) throw d.Error("integers are not rounded.");
        if (from.IsFloat() && to.IsFloat())
        {
            if (to.Size() < from.Size() && rounding.Length != 2) throw d.Error("a narrower float needs .rn, .rz, .rm or .rp.");
            if (to.Size() > from.Size() && rounding.Length != 0) throw d.Error("a wider float is not rounded.");
            if (to == from && rounding.Length == 2) throw d.Error("a float of the same size is rounded with .rni, .rzi, .rmi or .rpi.");
        }

        if (flush && to != PtxType.F32 && from != PtxType.F32) throw d.Error("'.ftz' is for .f32.");
        Slot target = d.Destination(d.Operand(0), to, isWide: true), source = d.Source(d.Operand(1), from, isWide: true);
        if (!flush && !saturate && (to, from) == (PtxType.F32, PtxType.F16))
            return new Unary<float, Half>(target, source, static x => (float)x);
        if (!flush && !saturate && (to, from, rounding) == (PtxType.F16, PtxType.F32, "rn"))
        {
            return target.Stride == 4
                ? new Unary<Half, float>(target, source, static x => (Half)x)
                : throw d.Error("the register is wider.");
        }

        return new Conversion(target, source, to, from, rounding, flush, saturate);
    }

    private sealed unsafe class Conversion(Slot d, Slot a, PtxType to, PtxType from, string rounding, bool flush, bool saturate)
        : Instruction
    {
        private readonly int bits = 8 * to.Size();

        public override void Execute(Warp warp, uint mask)
        {
            for (uint m = mask; m != 0; m &= m - 1)
            {
                int lane = int.CreateTruncating(uint.TrailingZeroCount(m));
                ulong raw = Lanes.Raw(warp.File + a.Offset, a.Stride, lane);
                ulong result = from.IsFloat()
                    ? to.IsFloat() ? FloatToFloat(Number(raw)) : FloatToInteger(Number(raw))
                    : to.IsFloat() ? IntegerToFloat(Extend(raw, from)) : IntegerToInteger(Extend(raw, from));
                Lanes.SetRaw(warp.File + d.Offset, d.Stride, lane, result);
            }
        }

        private static ulong Extend(ulong raw, PtxType type) => type switch
        {
            PtxType.U8 => (byte)raw,
            PtxType.S8 => unchecked((ulong)(sbyte)raw),
            PtxType.U16 => (ushort)raw,
            PtxType.S16 => unchecked((ulong)(short)raw),
            PtxType.U32 => (uint)raw,
            PtxType.S32 => unchecked((ulong)(int)raw),
            _ => raw,
        };

        private double Number(ulong raw)
        {
            if (from == PtxType.F16) return (double)BitConverter.UInt16BitsToHalf((ushort)raw);
            if (from == PtxType.F64) return BitConverter.UInt64BitsToDouble(raw);
            float x = BitConverter.UInt32BitsToSingle((uint)raw);
            return flush ? FloatInstructions.Flush(x) : x;
        }

        private double Whole(double x) => rounding switch
        {
            "rni" => Math.Round(x, MidpointRounding.ToEven),
            "rzi" => Math.Truncate(x),
            "rmi" => Math.Floor(x),
            "rpi" => Math.Ceiling(x),
            _ => x,
        };

        private ulong FloatToInteger(double x)
        {
            // A NaN is zero, but the top bit from a double or to 64 bits.
            if (double.IsNaN(x)) return from == PtxType.F64 || bits == 64 ? Extend(1UL << (bits - 1), to) : 0;
            x = Whole(x);
            if (to.IsSigned())
            {
                double limit = Math.ScaleB(1, bits - 1);
                long y = x >= limit ? (long)((1UL << (bits - 1)) - 1)
                    : x < -limit ? unchecked((long)(ulong.MaxValue << (bits - 1))) : (long)x;
                return unchecked((ulong)y);
            }

            return x <= 0 ? 0 : x >= Math.ScaleB(1, bits) ? ulong.MaxValue >> (64 - bits) : (ulong)x;
        }

        private ulong FloatToFloat(double x)
        {
            x = Whole(x);
            if (saturate) x = x > 0 ? Math.Min(x, 1) : 0;
            if (to == PtxType.F64) return BitConverter.DoubleToUInt64Bits(x);
            if (to == PtxType.F32)
            {
                float y = (float)x;
                if (Excess(y, x) is int off and not 0) y = off > 0 ? MathF.BitDecrement(y) : MathF.BitIncrement(y);
                return BitConverter.SingleToUInt32Bits(flush ? FloatInstructions.Flush(y) : y);
            }

            Half h = (Half)x;
            if (Excess((double)h, x) is int excess and not 0) h = excess > 0 ? Half.BitDecrement(h) : Half.BitIncrement(h);
            return BitConverter.HalfToUInt16Bits(h);
        }

        /// <summary>Tells whether the nearest value lies on the wrong side for the rounding: 1 above, -1 below.</summary>
        private int Excess(double rounded, double exact) => rounding switch
        {
            "rz" => exact > 0 && rounded > exact ? 1 : exact < 0 && rounded < exact ? -1 : 0,
            "rm" => rounded > exact ? 1 : 0,
            "rp" => rounded < exact ? -1 : 0,
            _ => 0,
        };

        private ulong IntegerToFloat(ulong x)
        {
            if (to == PtxType.F32)
            {
                float single = from.IsSigned() ? (float)(long)x : (float)x;
                return BitConverter.SingleToUInt32Bits(saturate ? Math.Clamp(single, 0, 1) : single);
            }

            double y = from.IsSigned() ? (double)(long)x : (double)x;
            if (saturate) y = Math.Clamp(y, 0, 1);
            return to == PtxType.F64 ? BitConverter.DoubleToUInt64Bits(y) : BitConverter.HalfToUInt16Bits((Half)y);
        }

        private ulong IntegerToInteger(ulong x)
        {
            if (saturate)
            {
                Int128 value = from.IsSigned() ? (long)x : x;
                Int128 least = to.IsSigned() ? -(Int128.One << (bits - 1)) : 0;
                Int128 most = (Int128.One << (to.IsSigned() ? bits - 1 : bits)) - 1;
                x = unchecked((ulong)Int128.Clamp(value, least, most));
            }

            return Extend(x, to);
        }
    }
}
