using System.Numerics;
using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests single instructions of the interpreter against plain C#, and what it counts of a kernel.</summary>
[TestFixture]
internal sealed unsafe class InterpreterInstructionTests
{
    private const string Begin = ".version 7.1\n.target sm_80\n.address_size 64\n";

    /// <summary>Bits that are corners of integers, floats and halves.</summary>
    private static readonly uint[] Corners =
    [
        0, 1, 2, 31, 32, 33, 255, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFFFF80, 0x3F800000, 0xBF800000, 0x7F800000,
        0xFF800000, 0x7FC00000, 0x00000100, 0x80700000, 0x00800000, 0x4F000000, 0xCF000000, 0x5F000000, 0x3F000000, 0x40200000, 0xC0200000,
        0x477FF000, 0x33000001, 0x12345678, 0x9ABCDEF0, 0x3FC00001, 0x4B7FFFFF,
    ];

    private static float F(uint x) => BitConverter.UInt32BitsToSingle(x);

    private static uint B(float x) => BitConverter.SingleToUInt32Bits(x);

    private static uint Half(double x) => BitConverter.HalfToUInt16Bits((Half)x);

    /// <summary>Gets x with a subnormal as zero of its sign.</summary>
    private static float Z(float x) => float.IsSubnormal(x) ? x < 0 ? -0f : 0f : x;

    /// <summary>Gets the integer that a rounded float becomes: between two limits, and a NaN is zero.</summary>
    private static long Clamp(double x, long least, long most) => double.IsNaN(x) ? 0 : x <= least ? least : x >= most ? most : (long)x;

    /// <summary>Gets the bit of a table at three bits.</summary>
    private static uint Lop3(uint a, uint b, uint c, int table)
    {
        uint d = 0;
        for (int i = 0; i < 32; i++)
            d |= (uint)(table >> (int)(4 * (a >> i & 1) + 2 * (b >> i & 1) + (c >> i & 1)) & 1) << i;
        return d;
    }

    /// <summary>
    /// Gets instructions of the registers %a, %b and %c that give %d, and the same in C#. Where a float is a NaN, any NaN is right. There
    /// are registers of other types beside them: %f and %g hold the bits of %a and %b, and %h, %r, %w and %p are free.
    /// </summary>
    private static IEnumerable<TestCaseData> Instructions()
    {
        yield return I("add.u32 %d, %a, %b;", (a, b, _) => a + b);
        yield return I("sub.s32 %d, %a, %b;", (a, b, _) => a - b);
        yield return I("mul.lo.u32 %d, %a, %b;", (a, b, _) => a * b);
        yield return I("mul.hi.u32 %d, %a, %b;", (a, b, _) => (uint)((ulong)a * b >> 32));
        yield return I("mul.hi.s32 %d, %a, %b;", (a, b, _) => (uint)((long)(int)a * (int)b >> 32));
        yield return I("mad.lo.s32 %d, %a, %b, %c;", (a, b, c) => a * b + c);
        yield return I("mul.wide.s32 %w, %a, %b; shr.u64 %w, %w, 32; cvt.u32.u64 %d, %w;",
            (a, b, _) => (uint)((long)(int)a * (int)b >> 32));
        yield return I("div.u32 %d, %a, %b;", (a, b, _) => b == 0 ? uint.MaxValue : a / b);
        yield return I("div.s32 %d, %a, 7;", (a, _, _) => (uint)((int)a / 7));
        yield return I("rem.s32 %d, %a, -7;", (a, _, _) => (uint)((int)a % -7));
        yield return I("min.s32 %d, %a, %b;", (a, b, _) => (uint)Math.Min((int)a, (int)b));
        yield return I("max.u32 %d, %a, %b;", (a, b, _) => Math.Max(a, b));
        yield return I("abs.s32 %d, %a;", (a, _, _) => (int)a < 0 ? 0 - a : a);
        yield return I("sad.u32 %d, %a, %b, %c;", (a, b, c) => (a > b ? a - b : b - a) + c);
        yield return I("popc.b32 %d, %a;", (a, _, _) => (uint)BitOperations.PopCount(a));
        yield return I("clz.b32 %d, %a;", (a, _, _) => (uint)BitOperations.LeadingZeroCount(a));
        yield return I("shl.b32 %d, %a, %b;", (a, b, _) => b > 31 ? 0 : a << (int)b);
        yield return I("shr.s32 %d, %a, %b;", (a, b, _) => (uint)((int)a >> (int)Math.Min(b, 31)));
        yield return I("shr.u32 %d, %a, %b;", (a, b, _) => b > 31 ? 0 : a >> (int)b);
        yield return I("bfe.u32 %d, %a, 5, 9;", (a, _, _) => a >> 5 & 511);
        yield return I("bfe.s32 %d, %a, 5, 9;", (a, _, _) => (uint)((int)(a << 18) >> 23));
        yield return I("bfe.s32 %d, %a, 28, 9;", (a, _, _) => (uint)((int)a >> 28));
        yield return I("bfe.s32 %d, %a, 3, 0;", (_, _, _) => 0);
        yield return I("bfi.b32 %d, %a, %b, 5, 9;", (a, b, _) => (b & ~(511U << 5)) | (a & 511) << 5);
        yield return I("bfi.b32 %d, %a, %b, 28, 9;", (a, b, _) => (b & 0x0FFFFFFF) | a << 28);
        yield return I("prmt.b32 %d, %a, %b, 0xB075;", (a, b, _) =>
            (b >> 8 & 255) | b >> 24 << 8 | (a & 255) << 16 | ((a >> 31) != 0 ? 0xFF000000 : 0));
        yield return I("lop3.b32 %d, %a, %b, %c, 0x96;", (a, b, c) => a ^ b ^ c);
        foreach (int table in (int[])[0x01, 0x1B, 0xCA, 0xE8])
            yield return I($"lop3.b32 %d, %a, %b, %c, {table};", (a, b, c) => Lop3(a, b, c, table));
        yield return I("shf.l.wrap.b32 %d, %a, %b, %c;", (a, b, c) => (uint)(((ulong)b << 32 | a) << (int)(c & 31) >> 32));
        yield return I("shf.r.wrap.b32 %d, %a, %b, %c;", (a, b, c) => (uint)(((ulong)b << 32 | a) >> (int)(c & 31)));
        yield return I("shf.r.clamp.b32 %d, %a, %b, %c;", (a, b, c) => c >= 32 ? b : (uint)(((ulong)b << 32 | a) >> (int)c));
        yield return I("shf.l.clamp.b32 %d, %a, %b, %c;", (a, b, c) => c >= 32 ? a : (uint)(((ulong)b << 32 | a) << (int)c >> 32));

        yield return G("add.f32 %r, %f, %g;", (a, b) => a + b);
        yield return G("add.ftz.f32 %r, %f, %g;", (a, b) => Z(Z(a) + Z(b)));
        yield return G("mul.ftz.f32 %r, %f, %g;", (a, b) => Z(Z(a) * Z(b)));
        yield return G("mul.rn.f32 %r, %f, %g;", (a, b) => a * b);
        yield return G("add.sat.f32 %r, %f, %g;", (a, b) => a + b > 0 ? Math.Min(a + b, 1) : 0);
        yield return G("fma.rn.f32 %r, %f, %g, %g;", (a, b) => MathF.FusedMultiplyAdd(a, b, b));
        yield return G("div.rn.f32 %r, %f, %g;", (a, b) => a / b);
        yield return G("rcp.rn.f32 %r, %f;", (a, _) => 1 / a);
        yield return G("sqrt.rn.f32 %r, %f;", (a, _) => MathF.Sqrt(a));
        yield return G("min.f32 %r, %f, %g;", (a, b) => float.IsNaN(a) ? b : float.IsNaN(b) ? a : MathF.Min(a, b));
        yield return G("max.NaN.f32 %r, %f, %g;", (a, b) => float.IsNaN(a) || float.IsNaN(b) ? float.NaN : MathF.Max(a, b));
        yield return G("neg.f32 %r, %f;", (a, _) => -a);
        yield return G("cvt.rni.f32.f32 %r, %f;", (a, _) => MathF.Round(a, MidpointRounding.ToEven));
        yield return G("cvt.rmi.f32.f32 %r, %f;", (a, _) => MathF.Floor(a));
        yield return G("cvt.sat.f32.f32 %r, %f;", (a, _) => a > 0 ? Math.Min(a, 1) : 0);
        yield return G("cvt.rn.f16.f32 %h, %f; cvt.f32.f16 %r, %h;", (a, _) => (float)(Half)a);
        yield return G("cvt.rn.f32.u32 %r, %a;", (a, _) => B(a));
        yield return G("cvt.rn.f32.s32 %r, %a;", (a, _) => (int)B(a));

        yield return I("cvt.rzi.s32.f32 %d, %f;", (a, _, _) => (uint)Clamp(Math.Truncate((double)F(a)), int.MinValue, int.MaxValue));
        yield return I("cvt.rni.u32.f32 %d, %f;", (a, _, _) => (uint)Clamp(Math.Round((double)F(a)), 0, uint.MaxValue));
        yield return I("cvt.rni.ftz.s32.f32 %d, %f;", (a, _, _) => (uint)Clamp(Math.Round((double)F(a)), int.MinValue, int.MaxValue));
        yield return I("cvt.rpi.s32.f32 %d, %f;", (a, _, _) => (uint)Clamp(Math.Ceiling((double)F(a)), int.MinValue, int.MaxValue));
        // From a double, a NaN becomes the top bit, whatever the size.
        yield return I("cvt.f64.f32 %e, %f; cvt.rzi.s32.f64 %d, %e;", (a, _, _) => float.IsNaN(F(a)) ? 0x80000000
            : (uint)Clamp(Math.Truncate((double)F(a)), int.MinValue, int.MaxValue));
        yield return I("cvt.sat.u8.s32 %d, %a;", (a, _, _) => (uint)Math.Clamp((int)a, 0, 255));
        yield return I("cvt.s8.s32 %d, %a;", (a, _, _) => (uint)(sbyte)a);
        yield return I("cvt.u16.u32 %h, %a; cvt.s32.s16 %d, %h;", (a, _, _) => (uint)(short)a);
        yield return I("cvt.rn.f16x2.f32 %v, %f, %g; mov.b32 %d, %v;", (a, b, _) => float.IsNaN(F(a)) || float.IsNaN(F(b)) ? null
            : Half(F(a)) << 16 | Half(F(b)));
        yield return I("cvt.rz.f16.f32 %h, %f; cvt.u32.u16 %d, %h;", (a, _, _) =>
        {
            if (float.IsNaN(F(a))) return null;
            Half h = (Half)F(a);
            return float.IsInfinity(F(a)) || Math.Abs((double)h) <= Math.Abs((double)F(a)) ? BitConverter.HalfToUInt16Bits(h)
                : BitConverter.HalfToUInt16Bits(h) - 1U;
        });

        yield return P("lt.s32 %p, %a, %b", (a, b) => (int)a < (int)b);
        yield return P("lo.u32 %p, %a, %b", (a, b) => a < b);
        yield return P("hs.u32 %p, %a, %b", (a, b) => a >= b);
        yield return P("ne.b32 %p, %a, %b", (a, b) => a != b);
        yield return P("lt.f32 %p, %f, %g", (a, b) => F(a) < F(b));
        yield return P("ne.f32 %p, %f, %g", (a, b) => F(a) < F(b) || F(a) > F(b));
        yield return P("equ.f32 %p, %f, %g", (a, b) => F(a) == F(b) || float.IsNaN(F(a)) || float.IsNaN(F(b)));
        yield return P("geu.f32 %p, %f, %g", (a, b) => !(F(a) < F(b)));
        yield return P("gtu.f32 %p, %f, %g", (a, b) => !(F(a) <= F(b)));
        yield return P("neu.f32 %p, %f, %g", (a, b) => F(a) != F(b));
        yield return P("nan.f32 %p, %f, %g", (a, b) => float.IsNaN(F(a)) || float.IsNaN(F(b)));
        yield return P("num.f32 %p, %f, %g", (a, b) => !float.IsNaN(F(a)) && !float.IsNaN(F(b)));
        yield return P("eq.ftz.f32 %p, %f, %g", (a, b) => Z(F(a)) == Z(F(b)));
        yield return P("lt.u32 %q|%p, %a, %b", (a, b) => a >= b);

        static TestCaseData I(string text, Func<uint, uint, uint, uint?> compute) =>
            new TestCaseData(text, compute).SetArgDisplayNames(text);

        static TestCaseData G(string text, Func<float, float, float> compute) =>
            I(text + " mov.b32 %d, %r;", (a, b, _) => float.IsNaN(compute(F(a), F(b))) ? null : B(compute(F(a), F(b))));

        static TestCaseData P(string text, Func<uint, uint, bool> compute) =>
            I($"setp.{text}; selp.u32 %d, 1, 0, %p;", (a, b, _) => compute(a, b) ? 1U : 0);
    }

    [TestCaseSource(nameof(Instructions))]
    public void AnInstructionGivesWhatPlainArithmeticGives(string text, Func<uint, uint, uint, uint?> compute)
    {
        // All pairs of corners. What is null is a NaN.
        int n = Corners.Length * Corners.Length;
        uint[] input = [.. Enumerable.Range(0, n).SelectMany(i =>
            (uint[])[Corners[i / Corners.Length], Corners[i % Corners.Length], Corners[(i * 7 + 3) % Corners.Length]])];
        uint[] result = Run($$"""
            .visible .entry k(.param .u64 out, .param .u64 in) .reqntid 32, 1, 1
            {
                .reg .u32 %t, %block, %a, %b, %c, %d;
                .reg .f32 %f, %g, %r;
                .reg .f64 %e;
                .reg .b32 %v;
                .reg .b16 %h;
                .reg .pred %p, %q;
                .reg .u64 %w, %to, %from;
                mov.u32 %t, %tid.x;
                mov.u32 %block, %ctaid.x;
                mad.lo.u32 %t, %block, 32, %t;
                ld.param.u64 %from, [in];
                mul.wide.u32 %to, %t, 12;
                add.u64 %from, %from, %to;
                ld.global.u32 %a, [%from];
                ld.global.u32 %b, [%from+4];
                ld.global.u32 %c, [%from+8];
                mov.b32 %f, %a;
                mov.b32 %g, %b;
                {{text}}
                ld.param.u64 %from, [out];
                mul.wide.u32 %to, %t, 4;
                add.u64 %to, %from, %to;
                st.global.u32 [%to], %d;
                ret;
            }
            """, n, 32, input, n / 32);
        for (int i = 0; i < n; i++)
        {
            uint a = input[3 * i], b = input[3 * i + 1], c = input[3 * i + 2];
            if (compute(a, b, c) is { } expected) Assert.That(result[i], Is.EqualTo(expected), $"{a:x8}, {b:x8}, {c:x8}");
            else if (text.EndsWith("%r;", StringComparison.Ordinal)) Assert.That(F(result[i]), Is.NaN, $"{a:x8}, {b:x8}");
        }
    }

    /// <summary>Gets the text of a kernel of one block whose thread %t gives %d.</summary>
    private static string Kernel(string body, int threads = 32, string declarations = "") => $$"""
        {{declarations}}
        .visible .entry k(.param .u64 out, .param .u64 in) .reqntid {{threads}}, 1, 1
        {
            .reg .u32 %t, %at, %d, %n;
            .reg .b32 %v<8>;
            .reg .f32 %c<4>;
            .reg .pred %p, %q;
            .reg .u64 %to, %from, %offset, %x, %y;
            .shared .align 16 .b8 buffer[8192];
            .local .align 8 .b8 own[16];
            mov.u32 %t, %tid.x;
            ld.param.u64 %from, [in];
            ld.param.u64 %to, [out];
            mul.wide.u32 %offset, %t, 4;
            add.u64 %to, %to, %offset;
            mov.u32 %at, buffer;
            mad.lo.u32 %at, %t, 4, %at;
            {{body}}
            st.global.u32 [%to], %d;
            ret;
        }
        """;

    private static IEnumerable<TestCaseData> Warps()
    {
        yield return W("shfl.sync.up.b32 %d, %t, 3, 0, -1;", t => t >= 3 ? t - 3 : t);
        yield return W("shfl.sync.down.b32 %d, %t, 3, 31, -1;", t => t < 29 ? t + 3 : t);
        yield return W("shfl.sync.bfly.b32 %d, %t, 5, 31, -1;", t => t ^ 5);
        yield return W("shfl.sync.idx.b32 %d, %t, 9, 31, -1;", _ => 9);
        // Segments of 8 lanes: the mask of the segment is 24, the clamp 7, or 0 upwards.
        yield return W("shfl.sync.up.b32 %d, %t, 3, 0x1800, -1;", t => t % 8 >= 3 ? t - 3 : t);
        yield return W("shfl.sync.down.b32 %d, %t, 3, 0x1807, -1;", t => t % 8 < 5 ? t + 3 : t);
        yield return W("shfl.sync.idx.b32 %d, %t, 2, 0x1807, -1;", t => t / 8 * 8 + 2);
        yield return W("shfl.sync.down.b32 %v0|%p, %t, 3, 0x1807, -1; selp.u32 %d, 1, 0, %p;", t => t % 8 < 5 ? 1U : 0);
        yield return W("setp.lt.u32 %p, %t, 5; vote.sync.ballot.b32 %d, %p, -1;", _ => 31);
        yield return W("setp.lt.u32 %p, %t, 5; vote.sync.any.pred %q, %p, -1; selp.u32 %d, 1, 0, %q;", _ => 1);
        yield return W("setp.lt.u32 %p, %t, 5; vote.sync.all.pred %q, %p, -1; selp.u32 %d, 1, 0, %q;", _ => 0);
        yield return W("redux.sync.add.u32 %d, %t, -1;", _ => 496);
        yield return W("sub.s32 %n, %t, 9; redux.sync.min.s32 %d, %n, -1;", _ => unchecked((uint)-9));
        yield return W("sub.s32 %n, %t, 9; redux.sync.min.u32 %d, %n, -1;", _ => 0);
        yield return W("redux.sync.xor.b32 %d, %t, -1;", _ => 0);
        // Each lane finds what those before it left.
        yield return W("mov.u32 %at, buffer; mov.u32 %n, 10; st.shared.u32 [%at], %n; atom.shared.add.u32 %d, [%at], 2;", t => 10 + 2 * t);
        yield return W("mov.u32 %at, buffer; mov.u32 %n, 0; st.shared.u32 [%at], %n; atom.shared.inc.u32 %d, [%at], 3;", t => t % 4);
        yield return W("mov.u32 %at, buffer; mov.u32 %n, 0; st.shared.u32 [%at], %n; atom.shared.max.s32 %d, [%at], %t;",
            t => t == 0 ? 0 : t - 1);
        yield return W("mov.u32 %at, buffer; mov.u32 %n, 0; st.shared.u32 [%at], %n; atom.shared.cas.b32 %d, [%at], %t, 1;",
            t => t == 0 ? 0U : 1);
        // Bytes that the source does not have are zero.
        yield return W("mad.lo.u32 %at, %t, 12, %at; cp.async.ca.shared.global [%at], [%from], 16, 6; cp.async.wait_all; " +
            "ld.shared.v4.u32 {%v0, %v1, %v2, %v3}, [%at]; xor.b32 %v2, %v2, %v3; mad.lo.u32 %d, %v2, 1000, %v1;", _ => 0x0101);
        yield return W("st.shared.u32 [%at], %t; st.shared.u32 [%at+128], %t; mad.lo.u32 %at, %t, 4, %at; and.b32 %n, %t, 15; " +
            "mov.u32 %at, buffer; mad.lo.u32 %at, %n, 8, %at; ld.shared.v2.u32 {%v0, %v1}, [%at]; mad.lo.u32 %d, %v1, 100, %v0;",
            t => 100 * (2 * (t % 16) + 1) + 2 * (t % 16));
        // A local variable by its generic address, a shared one, and a table in constant memory.
        yield return W("mov.u64 %x, own; cvta.local.u64 %y, %x; st.u32 [%y+4], %t; ld.local.u32 %d, [%x+4];", t => t);
        yield return W("mov.u64 %x, buffer; cvta.shared.u64 %y, %x; add.u64 %y, %y, %offset; st.u32 [%y], %t; ld.shared.u32 %d, [%at];",
            t => t);
        yield return W("and.b32 %n, %t, 3; mov.u64 %x, table; mul.wide.u32 %y, %n, 4; add.u64 %x, %x, %y; ld.const.u32 %d, [%x];",
            t => (uint[])[7, 5, 9, 0] is { } all ? all[t % 4] : 0, ".const .align 4 .u32 table[4] = {7, 5, 9};");
        // Branches in branches, each with its way out.
        yield return W("""
            mov.u32 %d, 0;
            setp.lt.u32 %p, %t, 20;
            @!%p bra high;
            setp.lt.u32 %q, %t, 10;
            @%q bra low;
            add.u32 %d, %d, 1;
            bra met;
            low: add.u32 %d, %d, 2;
            met: add.u32 %d, %d, 10;
            bra all;
            high: setp.eq.u32 %q, %t, 25;
            @%q st.global.u32 [%to], %t;
            @%q ret;
            add.u32 %d, %d, 3;
            all: add.u32 %d, %d, 100;
            """, t => t < 10 ? 112U : t < 20 ? 111U : t == 25 ? 25U : 103U);

        static TestCaseData W(string text, Func<uint, uint> compute, string declarations = "") =>
            new TestCaseData(text, compute, declarations).SetArgDisplayNames(text);
    }

    [TestCaseSource(nameof(Warps))]
    public void LanesTogetherGiveWhatTheyShould(string text, Func<uint, uint> compute, string declarations) =>
        Assert.That(Run(Kernel(text, 32, declarations), 32, 32, [0x01010101, 0x01010101, 0x01010101, 0x01010101]),
            Is.EqualTo(Enumerable.Range(0, 32).Select(i => compute((uint)i))));

    // Two warps meet at a barrier of their own, and the two others do not wait.
    [TestCase("setp.ge.u32 %p, %t, 64; @%p bra done; st.shared.u32 [%at], %t; bar.sync 1, 64; xor.b32 %n, %t, 63; mov.u32 %at, buffer; " +
        "mad.lo.u32 %at, %n, 4, %at; ld.shared.u32 %d, [%at]; done:", "bar.sync 1, 64;", "", "never written", TestName = "Named barrier")]
    [TestCase("st.shared.u32 [%at], %t; bar.sync 0;", "[%at], %t; bar.sync 0;", "[buffer], 1;", "a race", TestName = "Write after write")]
    [TestCase("mov.u32 %n, buffer; setp.lt.u32 %p, %t, 32; @%p st.shared.u32 [%n+128], 5; bar.sync 0; ld.shared.u32 %d, [%n+128]; " +
        "bar.sync 0; setp.eq.u32 %p, %t, 127; @%p st.shared.u32 [%n+128], 9;", "[%n+128]; bar.sync 0;", "[%n+128];", "a race",
        TestName = "Write after read")]
    [TestCase("mad.lo.u32 %at, %t, 12, %at; cp.async.cg.shared.global [%at], [%from], 16; cp.async.wait_all; bar.sync 0; " +
        "sub.s32 %n, %t, 32; max.s32 %n, %n, 0; mov.u32 %at, buffer; mad.lo.u32 %at, %n, 16, %at; ld.shared.u32 %d, [%at];",
        "bar.sync 0;", "", "a race",
        TestName = "A copy of another warp")]
    [TestCase("st.local.u32 [own+4], %t; ld.local.u32 %d, [own+4];", "st.local.u32 [own+4], %t;", "", "local memory was never written",
        TestName = "Local memory not written")]
    [TestCase("st.local.u32 [own+12], %t;", "+12", "+16", "outside its 16 bytes", TestName = "Local memory out of bounds")]
    [TestCase("ld.global.u32 %d, [%from+12];", "+12", "+16", "16 of the allocation", TestName = "Global read out of bounds")]
    [TestCase("st.global.u32 [%to], %t; ld.global.u32 %d, [%to];", "st.global.u32 [%to], %t;", "", "never written",
        TestName = "Global memory not written")]
    [TestCase("ld.global.v2.u32 {%v0, %v1}, [%from+8];", "+8", "+4", "not a multiple of 8", TestName = "A pair misaligned")]
    [TestCase("bar.sync 0;", "bar.sync 0;", "setp.lt.u32 %p, %t, 32; @%p ret; bar.sync 0;", "has ended", TestName = "A warp has ended")]
    [TestCase("bar.sync 0;", "bar.sync 0;", "setp.lt.u32 %p, %t, 7; @%p bar.sync 0;", "barrier is reached by the lanes 0000007f",
        TestName = "A barrier of some lanes")]
    [TestCase("mov.b32 %v0, 0; mov.f32 %c0, 0f00000000; setp.lt.u32 %p, %t, 128; @%p mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 " +
        "{%c0, %c0, %c0, %c0}, {%v0, %v0, %v0, %v0}, {%v0, %v0}, {%c0, %c0, %c0, %c0};", "%t, 128", "%t, 127", "all 32 lanes",
        TestName = "A product of some lanes")]
    [TestCase("mad.lo.u32 %at, %t, 12, %at; st.shared.v4.u32 [%at], {%t, %t, %t, %t}; setp.lt.u32 %p, %t, 128; " +
        "@%p ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%v0, %v1, %v2, %v3}, [%at];", "%t, 128", "%t, 127", "all 32 lanes",
        TestName = "A fragment of some lanes")]
    [TestCase("setp.lt.u32 %p, %t, 128; @%p shfl.sync.bfly.b32 %d, %t, 1, 31, -1;", "%t, 128", "%t, 127", "are named",
        TestName = "A shuffle of some lanes")]
    public void AMistakeIsRefusedAndItsRepairIsNot(string right, string part, string wrong, string message)
    {
        const string End = " mov.u32 %d, 0;";
        Assert.That(right, Does.Contain(part));
        string broken = right.Replace(part, wrong, StringComparison.Ordinal);
        uint[] input = [1, 2, 3, 4];
        foreach (int? seed in (int?[])[null, 1])
        {
            Assert.That(() => Run(Kernel(right + End, 128), 128, 128, input, seed: seed), Throws.Nothing);
            PtxException error = Assert.Throws<PtxException>(() =>
                Run(Kernel(broken + End, 128), 128, 128, input, seed: seed))!;
            // The file with the line, the kernel and who did it. In another order of warps, another access is the first that is wrong.
            if (seed is null) Assert.That(error.Message, Does.Contain(message));
            Assert.That(error.Message, Does.Match(@"^test\(\d+\), kernel k, block 0, (thread|warp) \d+: "));
        }
    }

    [Test]
    public void ArgumentsAreThoseOfTheKernel()
    {
        using EmulatedDriver driver = new();
        nint stream = driver.CreateStream(), module = driver.LoadModule("test", Begin + Kernel("ld.global.u32 %d, [%from];"));
        ulong to = driver.Allocate(128), from = driver.Allocate(4);
        driver.Clear(from, 4, stream);
        void Launch(KernelArguments arguments) => driver.Launch(driver.GetFunction(module, "k"),
            new Launch("test", "k", new Dim3(1), new Dim3(32), 0, arguments.ToMemory()), stream);
        Assert.That(() => Launch(new KernelArguments().Add(to).Add(from)), Throws.Nothing);
        Assert.That(() => Launch(new KernelArguments().Add(to)),
            Throws.InstanceOf<PtxException>().With.Message.Contains("8 bytes of arguments").And.Message.Contains("take 16"));
        driver.Free(from);
        Assert.That(() => Launch(new KernelArguments().Add(to).Add(from)),
            Throws.InstanceOf<PtxException>().With.Message.Contains("freed").And.Message.Contains("test("));
    }

    // A warp's 32 lanes: steps of the banks against the least, and sectors against the least.
    [TestCase("st.shared.u32 [%at], %t;", 1, 1)]
    [TestCase("mad.lo.u32 %at, %t, 4, %at; st.shared.u32 [%at], %t;", 2, 1, TestName = "Words of stride 2")]
    [TestCase("mad.lo.u32 %at, %t, 124, %at; st.shared.u32 [%at], %t;", 32, 1, TestName = "Words of stride 32")]
    [TestCase("mad.lo.u32 %at, %t, 4, %at; st.shared.v2.u32 [%at], {%t, %t};", 2, 2, TestName = "Pairs side by side")]
    [TestCase("mad.lo.u32 %at, %t, 12, %at; st.shared.v4.u32 [%at], {%t, %t, %t, %t};", 4, 4, TestName = "Fours side by side")]
    [TestCase("mad.lo.u32 %at, %t, 124, %at; st.shared.v4.u32 [%at], {%t, %t, %t, %t};", 32, 4, TestName = "Fours of stride 128 bytes")]
    public void BankConflictsAreThoseOfThePattern(string text, int steps, int ideal)
    {
        InstructionStatistics store = Statistics(text + " mov.u32 %d, 0;").Instructions
            .Single(i => i.Name.StartsWith("st.shared", StringComparison.Ordinal));
        Assert.That((store.SharedSteps, store.IdealSharedSteps), Is.EqualTo(((long)steps, (long)ideal)));
    }

    [TestCase("mad.lo.u32 %at, %t, 124, %at;", 32, TestName = "Rows of 128 bytes")]
    [TestCase("and.b32 %n, %t, 7; mad.lo.u32 %at, %t, 124, %at; mad.lo.u32 %at, %n, 16, %at;", 4,
        TestName = "Rows of 128 bytes, exchanged")]
    public void RowsOfFragmentsConflictUnlessTheyAreExchanged(string text, int steps)
    {
        KernelStatistics all = Statistics(text + " st.shared.v4.u32 [%at], {%t, %t, %t, %t}; " +
            "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%v0, %v1, %v2, %v3}, [%at]; mov.u32 %d, 0;");
        Assert.That(all.Instructions.Single(i => i.Name.StartsWith("ldmatrix", StringComparison.Ordinal)).SharedSteps, Is.EqualTo(steps));
    }

    [TestCase(4, 4, 4)]
    [TestCase(8, 8, 4)]
    [TestCase(128, 32, 4)]
    [TestCase(0, 1, 1)]
    public void SectorsAreThoseOfThePattern(int stride, int sectors, int ideal)
    {
        InstructionStatistics load = Statistics($"mul.wide.u32 %x, %t, {stride}; add.u64 %x, %from, %x; ld.global.u32 %d, [%x];")
            .Instructions.Single(i => i.Name.StartsWith("ld.global", StringComparison.Ordinal));
        Assert.That((load.Sectors, load.IdealSectors), Is.EqualTo(((long)sectors, (long)ideal)));
    }

    [Test]
    public void AccessesToLocalMemoryAreNotAccessesToSharedMemory()
    {
        KernelStatistics all = Statistics("mov.u64 %x, own; cvta.local.u64 %y, %x; st.u32 [%y], %t; mov.u32 %d, 0;");
        Assert.That(all.Instructions.Sum(i => i.SharedSteps), Is.Zero);
    }

    [Test]
    public void RegistersAreLiveFromTheirWriteToTheirLastRead()
    {
        PtxModule module = PtxModule.Parse("test", Begin + """
            .visible .entry k(.param .u64 out)
            {
                .reg .u32 %a, %b, %c;
                .reg .u64 %to;
                .reg .pred %p;
                mov.u32 %a, 1;
                mov.u32 %b, 2;
                add.u32 %c, %a, %b;
                setp.eq.u32 %p, %c, 3;
                ld.param.u64 %to, [out];
                @%p st.global.u32 [%to], %c;
                ret;
            }
            """);
        // Before the store: the address, which takes two, and the sum.
        Assert.That((module.Kernels["k"].LiveRegisters, module.Kernels["k"].LivePredicates), Is.EqualTo((3, 1)));
    }

    private static KernelStatistics Statistics(string text)
    {
        KernelStatistics? found = null;
        Run(Kernel(text), 32, 32, new uint[1024], onLaunch: r => found = r.Statistics);
        return found!;
    }

    private static uint[] Run(string program, int outputs, int threads, uint[] input, int grid = 1, int? seed = null,
        Action<LaunchRecord>? onLaunch = null)
    {
        using EmulatedDriver driver = new() { Seed = seed, OnLaunch = onLaunch };
        nint stream = driver.CreateStream(), module = driver.LoadModule("test", Begin + program);
        ulong output = driver.Allocate(4 * outputs), from = driver.Allocate(4 * input.Length);
        fixed (uint* first = input) driver.CopyToDevice(from, (nint)first, 4 * input.Length, stream);
        driver.Launch(driver.GetFunction(module, "k"), new Launch("test", "k", new Dim3(grid), new Dim3(threads), 0,
            new KernelArguments().Add(output).Add(from).ToMemory()), stream);
        uint[] result = new uint[outputs];
        fixed (uint* first = result) driver.CopyToHost((nint)first, output, 4 * outputs, stream);
        driver.Free(output);
        driver.Free(from);
        return result;
    }
}
