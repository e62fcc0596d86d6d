namespace TinyZsad.Ptx;

/// <summary>Decodes arithmetic on floats and doubles.</summary>
/// <remarks>
/// Approximations are computed in doubles and rounded once, which is within the error that PTX documents for each. With <c>.ftz</c>
/// sources and results that are subnormal are zeros of the same sign.
/// </remarks>
internal static class FloatInstructions
{
    /// <summary>Decodes an instruction; null if it is none of this group.</summary>
    public static Instruction? Decode(Decoder d) => d.LastType() switch
    {
        PtxType.F32 => Single(d),
        PtxType.F64 => Double(d),
        _ => null,
    };

    /// <summary>Replaces a subnormal by a zero of the same sign.</summary>
    public static float Flush(float x) => float.IsSubnormal(x) ? MathF.CopySign(0, x) : x;

    /// <summary>Gets the smaller; a NaN only if both are.</summary>
    public static float Min(float x, float y) => float.IsNaN(x) ? Canonical(y) : float.IsNaN(y) ? x : MathF.Min(x, y);

    /// <summary>Gets the larger; a NaN only if both are.</summary>
    public static float Max(float x, float y) => float.IsNaN(x) ? Canonical(y) : float.IsNaN(y) ? x : MathF.Max(x, y);

    private static float Canonical(float x) => float.IsNaN(x) ? BitConverter.UInt32BitsToSingle(0x7fffffff) : x;

    private static float Saturate(float x) => x > 0 ? MathF.Min(x, 1) : 0;

    private static Instruction? Single(Decoder d)
    {
        switch (d.Opcode)
        {
            case "add" or "sub" or "mul":
                d.Any("rn");
                return Binary(d, d.Has("ftz"), d.Has("sat"), d.Opcode switch
                {
                    "add" => static (x, y) => x + y,
                    "sub" => static (x, y) => x - y,
                    _ => static (x, y) => x * y,
                });
            case "min" or "max":
                bool minFlush = d.Has("ftz"), isNaN = d.Has("NaN");
                if (isNaN) return Binary(d, minFlush, false, d.Opcode == "min" ? MathF.Min : MathF.Max);
                return Binary(d, minFlush, false, d.Opcode == "min" ? Min : Max);
            case "fma" or "mad":
                d.Need("rn");
                bool flush = d.Has("ftz"), saturate = d.Has("sat");
                d.Type(PtxType.F32);
                Slot to = d.Destination(0, PtxType.F32), a = d.Source(1, PtxType.F32), b = d.Source(2, PtxType.F32);
                Slot c = d.Source(3, PtxType.F32);
                Func<float, float, float, float> fma = (flush, saturate) switch
                {
                    (false, false) => static (x, y, z) => MathF.FusedMultiplyAdd(x, y, z),
                    (true, false) => static (x, y, z) => Flush(MathF.FusedMultiplyAdd(Flush(x), Flush(y), Flush(z))),
                    (false, true) => static (x, y, z) => Saturate(MathF.FusedMultiplyAdd(x, y, z)),
                    (true, true) => static (x, y, z) => Saturate(Flush(MathF.FusedMultiplyAdd(Flush(x), Flush(y), Flush(z)))),
                };
                Ternary<float, float, float, float> simple = new(to, a, b, c, fma);
                return flush || saturate ? simple : Vectors.MultiplyAdd(PtxType.F32, simple, to, a, b, c);
            case "div":
                string kind = d.OneOf("rn", "full", "approx");
                return Binary(d, d.Has("ftz"), false, kind switch
                {
                    // The approximation multiplies by the reciprocal, which is subnormal and flushed for the largest divisors.
                    "approx" => static (x, y) => MathF.Abs(y) > 8.507059e37f && MathF.Abs(y) <= float.MaxValue
                        ? float.IsInfinity(x) ? float.NaN : MathF.CopySign(0, x) * MathF.CopySign(1, y)
                        : x / y,
                    _ => static (x, y) => x / y,
                });
            case "abs" or "neg":
                return Unary(d, d.Has("ftz"), d.Opcode == "abs" ? MathF.Abs : static x => -x);
            case "rcp" or "sqrt":
                string rounding = d.OneOf("rn", "approx");
                return Unary(d, d.Has("ftz"), d.Opcode == "rcp" ? static x => (float)(1.0 / x) : MathF.Sqrt);
            case "rsqrt" or "sin" or "cos" or "lg2" or "ex2":
                d.Need("approx");
                return Unary(d, d.Has("ftz"), d.Opcode switch
                {
                    "rsqrt" => static x => (float)(1 / Math.Sqrt(x)),
                    "sin" => static x => (float)Math.Sin(x),
                    "cos" => static x => (float)Math.Cos(x),
                    "lg2" => static x => (float)Math.Log2(x),
                    _ => static x => (float)Math.Pow(2, x),
                });
            case "tanh":
                d.Need("approx");
                return Unary(d, false, static x => (float)Math.Tanh(x));
            default:
                return null;
        }
    }

    private static Unary<float, float> Unary(Decoder d, bool flush, Func<float, float> compute)
    {
        d.Type(PtxType.F32);
        return new Unary<float, float>(d.Destination(0, PtxType.F32), d.Source(1, PtxType.F32),
            flush ? x => Flush(compute(Flush(x))) : compute);
    }

    private static Instruction Binary(Decoder d, bool flush, bool saturate, Func<float, float, float> compute)
    {
        d.Type(PtxType.F32);
        Slot to = d.Destination(0, PtxType.F32), a = d.Source(1, PtxType.F32), b = d.Source(2, PtxType.F32);
        Binary<float, float, float> simple = new(to, a, b, (flush, saturate) switch
        {
            (false, false) => compute,
            (true, false) => (x, y) => Flush(compute(Flush(x), Flush(y))),
            (false, true) => (x, y) => Saturate(compute(x, y)),
            (true, true) => (x, y) => Saturate(Flush(compute(Flush(x), Flush(y)))),
        });
        if (flush || saturate) return simple;
        return d.Opcode switch
        {
            "add" => Vectors.Add(PtxType.F32, simple, to, a, b)!,
            "sub" => Vectors.Subtract(PtxType.F32, simple, to, a, b)!,
            "mul" => Vectors.Multiply(PtxType.F32, simple, to, a, b)!,
            _ => simple,
        };
    }

    private static Instruction? Double(Decoder d)
    {
        switch (d.Opcode)
        {
            case "add" or "sub" or "mul" or "div" or "min" or "max":
                if (d.Opcode == "div") d.Need("rn");
                else if (d.Opcode is not ("min" or "max")) d.Any("rn");
                d.Type(PtxType.F64);
                return new Binary<double, double, double>(d.Destination(0, PtxType.F64), d.Source(1, PtxType.F64), d.Source(2, PtxType.F64),
                    d.Opcode switch
                    {
                        "add" => static (x, y) => x + y,
                        "sub" => static (x, y) => x - y,
                        "mul" => static (x, y) => x * y,
                        "div" => static (x, y) => x / y,
                        "min" => static (x, y) => double.IsNaN(x) ? y : double.IsNaN(y) ? x : Math.Min(x, y),
                        _ => static (x, y) => double.IsNaN(x) ? y : double.IsNaN(y) ? x : Math.Max(x, y),
                    });
            case "fma" or "mad":
                d.Need("rn");
                d.Type(PtxType.F64);
                return new Ternary<double, double, double, double>(d.Destination(0, PtxType.F64), d.Source(1, PtxType.F64),
                    d.Source(2, PtxType.F64), d.Source(3, PtxType.F64), Math.FusedMultiplyAdd);
            case "abs" or "neg" or "rcp" or "sqrt":
                if (d.Opcode is "rcp" or "sqrt") d.Need("rn");
                d.Type(PtxType.F64);
                return new Unary<double, double>(d.Destination(0, PtxType.F64), d.Source(1, PtxType.F64), d.Opcode switch
                {
                    "abs" => Math.Abs,
                    "neg" => static x => -x,
                    "rcp" => static x => 1 / x,
                    _ => Math.Sqrt,
                });
            default:
                return null;
        }
    }
}
