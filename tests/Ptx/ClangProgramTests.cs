using System.Numerics;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>
/// The interpreter executes PTX that clang made of the programs in <c>tests/Ptx/Clang</c>, and the results are those of plain C#.
/// Nobody who wrote the interpreter chose these instructions. Integers and correctly rounded floats must be the same bits.
/// </summary>
[TestFixture]
internal sealed partial class ClangProgramTests
{
    private const int Threads = 128;

    private static string Folder => Path.Combine(TestData.RepositoryRoot, "tests", "Ptx", "Clang");

    /// <summary>The programs, by their names, and the instructions that each is there for.</summary>
    private static readonly Dictionary<string, (Action Test, string[] Instructions)> Cases = new()
    {
        ["saxpy"] = (Saxpy, ["ld.param.f32", "mad.lo.s32", "setp", "fma.rn.f32", "mul.wide.s32"]),
        ["vectors"] = (VectorLoads, ["ld.global.v4.f32", "st.global.v4.f32", "ld.global.v2.u32", "st.global.v2.u32"]),
        ["reduce"] = (Reduce, ["bar.sync", "ld.shared.u32", "st.shared.u32"]),
        ["collatz"] = (Collatz, ["bra"]),
        ["shuffles"] = (Shuffles, ["shfl.sync.idx.b32", "shfl.sync.up.b32", "shfl.sync.down.b32", "shfl.sync.bfly.b32"]),
        ["scan"] = (Scan, ["shfl.sync.up.b32", "selp.f32"]),
        ["atomics"] = (Atomics, ["atom.global.add", "atom.global.min", "atom.global.max", "atom.global.or", "atom.global.and",
            "atom.global.xor", "atom.global.cas", "atom.global.exch"]),
        ["histogram"] = (Histogram, ["atom.shared.add", "ld.global.u8"]),
        ["bits"] = (Bits, ["popc.b32", "clz.b32", "brev.b32", "shf.l.wrap.b32", "bfe.u32", "bfe.s32", "not.b32", "shr.s32",
            "popc.b64"]),
        ["integers"] = (Integers, ["mul.hi.s32", "mul.hi.u32", "div.s32", "div.u32", "min.s32", "max.u32",
            "abs.s32"]),
        ["longs"] = (Longs, ["mul.lo.s64", "div.s64", "rem.u64", "shl.b64", "shr.u64", "shr.s64", "max.s64", "cvt.rn.f32.s64",
            "clz.b64", "rem.u32"]),
        ["conversions"] = (Conversions, ["cvt.rzi.s32.f32", "cvt.rmi.f32.f32", "cvt.rpi.f32.f32", "cvt.rzi.f32.f32", "cvt.rni.f32.f32",
            "cvt.rn.f32.u32", "st.global.u8", "st.global.u16", "ld.global.s8"]),
        ["special"] = (Special, ["ex2.approx.ftz.f32", "rsqrt.approx.ftz.f32", "lg2.approx.ftz.f32", "sqrt.approx.ftz.f32",
            "sin.approx.ftz.f32", "cos.approx.ftz.f32", "div.approx.ftz.f32"]),
        ["exact"] = (Exact, ["sqrt.rn.f32", "div.rn.f32", "rcp.rn.f32", "min.f32", "max.f32", "abs.f32", "neg.f32"]),
        ["comparisons"] = (Comparisons, ["setp.lt.f32", "setp.gtu.f32", "setp.neu.f32", "setp.nan.f32", "setp.num.f32", "setp.lt.u32",
            "rem.s32"]),
        ["transpose"] = (Transpose, ["ld.shared.f32", "%tid.y", "%ctaid.y"]),
        ["matmul"] = (Matmul, ["bar.sync", "fma.rn.f32"]),
        ["softmax"] = (Softmax, ["shfl.sync.bfly.b32", "ex2.approx.ftz.f32", "div.rn.f32", "max.f32"]),
        ["votes"] = (Votes, ["vote.sync.ballot.b32", "vote.sync.all.pred", "vote.sync.any.pred"]),
        ["grid"] = (Grid, ["%ctaid.z", "%tid.z", "%nctaid.x", "%ntid.y"]),
        ["escape"] = (Escape, ["bra", "fma.rn.f32"]),
        ["sort"] = (Sort, [".local", "ld.local.u32", "st.local.u32"]),
        ["table"] = (Table, ["ld.const.f32"]),
        ["switch"] = (Switch, ["bra"]),
        ["readonly"] = (ReadOnly, ["ld.global.nc.f32", "cvta.global.u64"]),
        ["halves"] = (Halves, ["fma.rn.f16x2", "add.rn.f16x2", "sub.rn.f16x2", "mul.rn.f16x2", "fma.rn.f16", "cvt.f32.f16",
            "cvt.rn.f16.f32", "mov.b32"]),
        ["predicates"] = (Predicates, ["shfl.sync.up.b32", "shfl.sync.idx.b32", "prmt.b32", "barrier.sync", "bar.warp.sync", "membar.gl",
            "atom.global.add.f32", "%laneid", "cvt.rn.f32.s32"]),
        ["mma"] = (Mma, ["mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"]),
        ["ldmatrix"] = (LdMatrix, ["ldmatrix.sync.aligned.m8n8.x4.shared.b16", "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16",
            "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", "ldmatrix.sync.aligned.m8n8.x1.shared.b16"]),
        ["cp_async"] = (CpAsync, ["cp.async.cg.shared.global", "cp.async.ca.shared.global", "cp.async.commit_group",
            "cp.async.wait_group", "cp.async.wait_all", ".extern .shared"]),
    };

    public static IEnumerable<string> Names => Cases.Keys;

    [TestCaseSource(nameof(Names))]
    public void ResultsAreThoseOfPlainArithmetic(string program) => Cases[program].Test();

    [TestCaseSource(nameof(Names))]
    public void TheProgramHasTheInstructionsThatItIsThereFor(string program)
    {
        string ptx = File.ReadAllText(Path.Combine(Folder, program + ".ptx"));
        foreach (string instruction in Cases[program].Instructions)
            Assert.That(Regex.IsMatch(ptx, $@"(?<![\w.]){Regex.Escape(instruction)}(?!\w)"), instruction);
    }

    [Test]
    public void EveryProgramIsExecuted() =>
        Assert.That(Directory.GetFiles(Folder, "*.ptx").Select(Path.GetFileNameWithoutExtension), Is.EquivalentTo(Cases.Keys));

    [Test]
    public void ClangMakesThisPtx()
    {
        string version = Programs.Run("clang", "--version").Success();
        Assert.That(version, Does.Contain("clang version 14."), "other versions make other PTX");
        string folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        try
        {
            Programs.Run("sh", Path.Combine(Folder, "make.sh"), folder).Success();
            foreach (string program in Cases.Keys)
            {
                Assert.That(File.ReadAllText(Path.Combine(folder, program + ".ptx")),
                    Is.EqualTo(File.ReadAllText(Path.Combine(Folder, program + ".ptx"))), program);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Saxpy()
    {
        float[] x = Floats(Threads, 1), y = Floats(Threads, 2), before = [.. y];
        Execute("saxpy", 3, 32, x, y, 2.5f, 77);
        Same(y, i => i < 77 ? MathF.FusedMultiplyAdd(2.5f, x[i], before[i]) : before[i]);
    }

    private static void VectorLoads()
    {
        float[] x = Floats(4 * Threads, 1), y = new float[4 * Threads];
        int[] z = Ints(2 * Threads, 3), before = [.. z];
        Execute("vectors", 2, 64, x, y, z);
        Same(y, i => x[i / 4 * 4 + 3 - i % 4] * 2 + x[i]);
        Same(z, i => before[i ^ 1] - i / 2);
    }

    private static void Reduce()
    {
        int[] x = Ints(1024, 4), sums = new int[4];
        Execute("reduce", 4, 256, x, sums);
        Same(sums, b => unchecked((int)x.Skip(256 * b).Take(256).Sum(v => (long)v)));
    }

    private static void Collatz()
    {
        int[] x = [.. Enumerable.Range(1, Threads)], steps = new int[Threads];
        Execute("collatz", 2, 64, x, steps);
        Same(steps, i =>
        {
            int count = 0;
            for (long n = x[i]; n != 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1) count++;
            return count;
        });
    }

    private static void Shuffles()
    {
        int[] x = Ints(32, 5), y = new int[192];
        Execute("shuffles", 1, 32, x, y, 11);
        Same(y, i =>
        {
            int lane = i % 32, segment = lane & 24;
            return (i / 32) switch
            {
                0 => x[11],
                1 => x[lane >= 3 ? lane - 3 : lane],
                2 => x[lane + 5 < 32 ? lane + 5 : lane],
                3 => x[lane ^ 16],
                4 => x[segment | ((lane + 3) & 7)],
                _ => x[lane + 2 <= segment + 7 ? lane + 2 : lane],
            };
        });
    }

    private static void Scan()
    {
        float[] x = Floats(64, 6), y = new float[64], expected = [.. x];
        Execute("scan", 1, 64, x, y);
        for (int d = 1; d < 32; d *= 2)
        {
            float[] before = [.. expected];
            for (int i = 0; i < 64; i++) if (i % 32 >= d) expected[i] = before[i] + before[i - d];
        }
        Same(y, i => expected[i]);
    }

    private static void Atomics()
    {
        // Half of the threads find what they compare with.
        int[] x = [5, 100, 7, 0, -1, 0, .. Enumerable.Range(0, Threads).Select(i => i % 2 == 0 ? i : -7)], old = new int[Threads];
        Execute("atomics", 2, 64, x, old);
        int xor = Enumerable.Range(0, Threads).Aggregate(0, (a, i) => a ^ i);
        Same(x, i => i switch
        {
            0 => 5 + Threads * (Threads - 1) / 2,
            1 => 40 - (Threads - 1),
            2 => (Threads - 1) * 3,
            3 => -1,
            4 => -256,
            5 => xor,
            _ => -(i - 6),
        });
        Same(old, i => i % 2 == 0 ? i + 1000 + i : -14);
    }

    private static void Histogram()
    {
        byte[] x = [.. Ints(1000, 7).Select(v => (byte)v)];
        int[] counts = new int[16];
        Execute("histogram", 1, 64, x, counts, x.Length);
        Same(counts, b => x.Count(v => (v & 15) == b));
    }

    private static void Bits()
    {
        int n = Threads;
        uint[] x = [0, uint.MaxValue, 1, 0x80000000, .. Ints(n - 4, 8).Select(v => (uint)v)], y = new uint[11 * n];
        Execute("bits", 2, 64, x, y, n);
        Same(y, k =>
        {
            int i = k % n, s = i & 31;
            uint a = x[i];
            uint reversed = 0;
            for (int b = 0; b < 32; b++) reversed |= (a >> b & 1) << 31 - b;
            return (k / n) switch
            {
                0 => (uint)BitOperations.PopCount(a),
                1 => (uint)BitOperations.LeadingZeroCount(a),
                2 => reversed,
                3 => BitOperations.RotateLeft(a, s),
                4 => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(a),
                5 => a >> 5 & 0x1ff,
                6 => (uint)((int)(a << 9) >> 20),
                7 => (a & ~0xff0u) | ((uint)i << 4 & 0xff0),
                8 => ~a ^ (a >> s),
                9 => (uint)((int)a >> s),
                _ => (uint)(2 * BitOperations.PopCount(a)),
            };
        });
    }

    private static void Integers()
    {
        int n = Threads;
        int[] a = Ints(n, 9), b = [.. Ints(n, 10).Select((v, i) => v >> i % 29 is 0 or -1 ? 3 : v >> i % 29)], y = new int[12 * n];
        Execute("integers", 2, 64, a, b, y, n);
        Same(y, k =>
        {
            int i = k % n, p = a[i], q = b[i];
            uint up = (uint)p, uq = (uint)q;
            return unchecked((k / n) switch
            {
                0 => p * q + i,
                1 => (int)((long)p * q >> 32),
                2 => (int)((ulong)up * uq >> 32),
                3 => p / q,
                4 => p % q,
                5 => (int)(up / uq),
                6 => (int)(up % uq),
                7 => Math.Min(p, q),
                8 => (int)Math.Max(up, uq),
                9 => Math.Abs(p),
                10 => p / 7 + (int)(up / 10),
                _ => (short)p * (short)q + (byte)p,
            });
        });
    }

    private static void Longs()
    {
        int n = Threads;
        int[] bits = Ints(4 * n, 11);
        long[] a = [.. Enumerable.Range(0, n).Select(i => (long)bits[i] << 32 ^ bits[n + i])];
        long[] b = [.. Enumerable.Range(0, n).Select(i => ((long)bits[2 * n + i] << 32 ^ bits[3 * n + i]) >> i % 50 | 2)];
        long[] y = new long[8 * n];
        Execute("longs", 2, 64, a, b, y, n);
        Same(y, k =>
        {
            int i = k % n;
            long p = a[i], q = b[i];
            ulong reversed = 0;
            for (int bit = 0; bit < 64; bit++) reversed |= ((ulong)q >> bit & 1) << 63 - bit;
            return unchecked((k / n) switch
            {
                0 => p * q - i,
                1 => p / q,
                2 => (long)((ulong)p % (ulong)q),
                3 => (p << (i & 63)) ^ (long)((ulong)q >> (i & 63)),
                4 => p >> (i & 63),
                5 => Math.Max(p, q),
                6 => Saturated((float)p) + (int)q,
                _ => BitOperations.LeadingZeroCount((ulong)p | 1) + (long)reversed,
            });
        });

        // 2^63 as a float rounds up from the largest long: PTX saturates.
        static long Saturated(float v) => v >= 9223372036854775808f ? long.MaxValue : (long)v;
    }

    private static void Conversions()
    {
        int n = Threads;
        float[] x = [0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, -0.0f, 254.99f, .. Floats(n - 8, 12).Select(v => v * 40)], z = new float[6 * n];
        sbyte[] c = [.. Ints(n, 13).Select(v => (sbyte)v)];
        int[] y = new int[3 * n];
        byte[] bytes = new byte[n];
        short[] shorts = new short[n];
        Execute("conversions", 2, 64, x, c, y, z, bytes, shorts, n);
        Same(y, k => (k / n) == 1 ? c[k % n] : (int)x[k % n]);
        Same(z, k =>
        {
            float v = x[k % n];
            return (k / n) switch
            {
                0 => MathF.Floor(v),
                1 => MathF.Ceiling(v),
                2 => MathF.Truncate(v),
                3 => MathF.Round(v, MidpointRounding.ToEven),
                4 => (float)unchecked((uint)(c[k % n] * 16909320)) + c[k % n],
                _ => v * 0.5f,
            };
        });
        Same(bytes, i => (byte)(uint)MathF.Abs(x[i]));
        Same(shorts, i => unchecked((short)(c[i] * 100)));
    }

    /// <summary>
    /// The bounds are those of the PTX ISA: ex2 2 + floor(|x|/2^22) ulp, so 2; rsqrt 2^-22.9 relative, sqrt as well with the product
    /// rounded (below 3 ulp); lg2 2^-22 absolute or relative; sin and cos 2^-20.5 absolute near 0; div 2 ulp. An argument that was
    /// rounded adds the half ulp that plain C# also has, because it rounds the same product and sum.
    /// </summary>
    private static void Special()
    {
        int n = Threads;
        float[] x = [0f, 1f, -1f, .. Floats(n - 3, 14)], y = new float[7 * n];
        Execute("special", 2, 64, x, y, n);
        for (int k = 0; k < y.Length; k++)
        {
            float v = x[k % n], w = v * v + 0.25f;
            double relative = 2 * Math.Pow(2, -23), absolute = 0;
            double expected;
            switch (k / n)
            {
                case 0: expected = Math.Pow(2, v); break;
                case 1: (expected, relative) = (1 / Math.Sqrt(w), Math.Pow(2, -22.4)); break;
                case 2: (expected, relative, absolute) = (Math.Log2(w), Math.Pow(2, -22), Math.Pow(2, -22)); break;
                case 3: (expected, relative) = (Math.Sqrt(w), 3 * Math.Pow(2, -23)); break;
                case 4: (expected, relative, absolute) = (Math.Sin(v * 0.25f), 0, Math.Pow(2, -20.5)); break;
                case 5: (expected, relative, absolute) = (Math.Cos(v * 0.25f), 0, Math.Pow(2, -20.5)); break;
                default: expected = (double)v / (v * v + 0.75f); break;
            }
            Assert.That(y[k], Is.EqualTo(expected).Within(Math.Max(absolute, relative * Math.Abs(expected))), $"{k / n}: {v}");
        }
    }

    private static void Exact()
    {
        int n = Threads;
        float[] x = [.. Floats(n, 15).Select(v => MathF.Abs(v) + 0.01f)], y = new float[8 * n];
        Execute("exact", 2, 64, x, y, n);
        Same(y, k =>
        {
            float v = x[k % n], w = x[n - 1 - k % n];
            return (k / n) switch
            {
                0 => MathF.Sqrt(v * v + w),
                1 => v / w,
                2 => 1 / v,
                3 => MathF.Min(v, w),
                4 => MathF.Max(v, w),
                5 => MathF.Abs(v) - w,
                6 => -v * w + 3,
                _ => MathF.FusedMultiplyAdd(-v, w, MathF.FusedMultiplyAdd(v, 0.1f, w)),
            };
        });
    }

    private static void Comparisons()
    {
        float[] few = [0f, -0f, 1f, -1f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e-40f];
        float[] x = [.. Enumerable.Range(0, Threads).Select(i => few[(i * 7 + i / 8) % 8])];
        int[] y = new int[Threads];
        Execute("comparisons", 2, 64, x, y, Threads);
        Same(y, i =>
        {
            float v = x[i], w = x[(i * 5 + 3) % Threads];
            int p = BitConverter.SingleToInt32Bits(v), q = BitConverter.SingleToInt32Bits(w);
            bool[] bits =
            [
                v < w, v <= w, v > w, v >= w, v == w, v != w, !(v < w), !(v >= w), float.IsNaN(v), !float.IsNaN(v) && !float.IsNaN(w),
                p < q, (uint)p < (uint)q, (uint)p >= (uint)q, p != q && p > 0,
            ];
            return bits.Select((b, n) => b ? 1 << n : 0).Sum();
        });
    }

    private static void Transpose()
    {
        const int Rows = 37, Columns = 21;
        float[] x = Floats(Rows * Columns, 16), y = new float[Rows * Columns];
        Execute("transpose", new Dim3(2, 3), new Dim3(16, 16), 0, x, y, Rows, Columns);
        Same(y, i => x[i % Rows * Columns + i / Rows]);
    }

    private static void Matmul()
    {
        const int N = 24;
        float[] a = Floats(N * N, 17), b = Floats(N * N, 18), c = new float[N * N];
        Execute("matmul", new Dim3(3, 3), new Dim3(8, 8), 0, a, b, c, N);
        Same(c, i =>
        {
            float sum = 0;
            for (int k = 0; k < N; k++) sum = MathF.FusedMultiplyAdd(a[i / N * N + k], b[k * N + i % N], sum);
            return sum;
        });
    }

    /// <summary>
    /// The argument of ex2 is below 12 in magnitude and rounded twice (2 half ulp of 12, times ln 2), which is 7e-7 relative; ex2 adds
    /// 2 ulp (2.4e-7). The quotient of two such, the sum of 50 positive terms (6 roundings along its tree and lanes, 3.6e-7) and the
    /// division (6e-8): 2 * 9.4e-7 + 4.2e-7 = 2.3e-6.
    /// </summary>
    private static void Softmax()
    {
        const int Rows = 3, Columns = 50;
        float[] x = Floats(Rows * Columns, 19), y = new float[Rows * Columns];
        Execute("softmax", Rows, 32, x, y, Columns);
        for (int r = 0; r < Rows; r++)
        {
            double[] e = [.. x.Skip(r * Columns).Take(Columns).Select(v => Math.Exp((double)v - x.Skip(r * Columns).Take(Columns).Max()))];
            for (int c = 0; c < Columns; c++)
                Assert.That(y[r * Columns + c], Is.EqualTo(e[c] / e.Sum()).Within(2.3e-6 * e[c] / e.Sum()));
        }
    }

    private static void Votes()
    {
        int[] x = [.. Ints(32, 20).Select(v => v % 40)], y = new int[64];
        Execute("votes", 1, 32, x, y);
        int ballot = x.Select((v, i) => v > 0 ? 1 << i : 0).Sum();
        Same(y, i => i < 32 ? ballot : 2 + (x.Contains(7) ? 1 : 0));
    }

    private static void Grid()
    {
        int[] y = new int[6 * 6 * 8];
        Execute("grid", new Dim3(3, 2, 2), new Dim3(2, 3, 4), 0, y);
        Same(y, i => i % 6 + 100 * (i / 6 % 6) + 10000 * (i / 36));
    }

    private static void Escape()
    {
        float[] re = Floats(Threads, 21), im = [.. Floats(Threads, 22).Select((v, i) => i % 5 == 0 ? 0 : v)];
        int[] steps = new int[Threads];
        Execute("escape", 2, 64, re, im, steps, 60);
        Same(steps, i =>
        {
            float a = re[i], b = im[i], x = 0, y = 0;
            if (a > 1.5f) return -1;
            int n = 0;
            for (; n < 60; n++)
            {
                float xx = x * x, yy = y * y;
                if (xx + yy > 4) break;
                if (n % 3 == 2 && b == 0)
                {
                    y = 0;
                    continue;
                }
                y = MathF.FusedMultiplyAdd(2 * x, y, b);
                x = xx - yy + a;
            }
            return n;
        });
    }

    private static void Sort()
    {
        const int N = 11;
        int[] x = Ints(N * Threads, 23), y = new int[N * Threads];
        Execute("sort", 2, 64, x, y, N);
        Same(y, i => x.Skip(i / N * N).Take(N).Order().ElementAt(i % N));
    }

    private static void Table()
    {
        float[] table = [1.5f, -2.25f, 3e10f, 0.0f, 5e-39f, 7.0f, -0.5f, 100.0f], y = new float[Threads];
        int[] x = Ints(Threads, 24);
        Execute("table", 2, 64, x, y);
        Same(y, i => table[x[i] & 7]);
    }

    private static void Switch()
    {
        int[] x = [.. Ints(Threads, 25).Select(v => v % 1000)], y = new int[Threads];
        Execute("switch", 2, 64, x, y);
        Same(y, i =>
        {
            int v = x[i];
            return (v % 6) switch
            {
                0 => v + 1,
                1 => v * 3,
                2 => v ^ 0x55,
                3 => v <= 0 ? 0 : (int)Math.Ceiling(Math.Sqrt(v)),
                4 => -v,
                _ => 42,
            };
        });
    }

    private static void ReadOnly()
    {
        const int N = 7;
        float[] x = Floats(N * Threads, 26), y = new float[Threads];
        Execute("readonly", 2, 64, x, y, N);
        Same(y, i =>
        {
            float sum = 0;
            for (int k = 0; k < N; k++) sum += x[i * N + k];
            return sum;
        });
    }

    private static void Halves()
    {
        const int N = 32;
        float[] values = Floats(4 * N, 27), f = Floats(N, 28), before = [.. f];
        ushort[] x = [.. values.Take(2 * N).Select(Bits)], y = [.. values.Skip(2 * N).Select(Bits)];
        ushort[] z = new ushort[2 * N], h = new ushort[N];
        Execute("halves", 1, N, x, y, z, f, h);
        Same(z, i =>
        {
            Half a = Value(x[i]), b = Value(y[i]);
            // A product of two halves and a sum with a third fit a double unless the exponents are 53 apart, which these are not.
            Half m = (Half)((double)a * (double)b + (double)a);
            Half s = (Half)((double)m + (double)b);
            Half d = (Half)((double)s - (double)a);
            return BitConverter.HalfToUInt16Bits((Half)((double)d * (double)b));
        });
        Same(f, i => (float)(Half)((double)Value(x[2 * i]) * (double)Value(y[2 * i + 1]) + (double)Value(y[2 * i + 1])) + before[i]);
        Same(h, i => Bits(f[i]));

        static ushort Bits(float v) => BitConverter.HalfToUInt16Bits((Half)v);
    }

    private static void Predicates()
    {
        int[] x = Ints(64, 33), y = new int[5 * 64];
        float[] sum = [0.5f];
        Execute("predicates", 1, 64, x, y, sum);
        Same(y, k =>
        {
            int i = k / 5, lane = i % 32, up = x[lane >= 7 ? i - 7 : i];
            uint v = (uint)x[i], sign = (up & 0x80) != 0 ? 0xff000000 : 0;
            uint bytes = ((uint)up >> 16 & 0xff) | (v >> 8 & 0xff) << 8 | v >> 24 << 16 | sign;
            return (k % 5) switch
            {
                0 => up,
                1 => -1 << 7,
                2 => x[i],
                3 => (int)bytes,
                _ => (int)(((ulong)(uint)x[i] << 32 | (uint)up) >> lane),
            };
        });
        // Sums of small integers are exact in any order.
        Same(sum, _ => 0.5f + 2 * 31 * 16);
    }

    /// <summary>
    /// Products of halves are exact in double, and their sum in double is exact to far less than a float's ulp. In what order and with
    /// how many bits beyond a float's a sum is made, the PTX ISA leaves open. So each of the 17 terms may err by an ulp (2^-23 relative)
    /// of the largest sum on the way, which the sum of the magnitudes bounds.
    /// </summary>
    private static void Mma()
    {
        float[] rowMajor = [.. Floats(256, 29).Select(v => (float)(Half)v)], columns = [.. Floats(128, 30).Select(v => (float)(Half)v)];
        float[] c = new float[128], start = Floats(128, 31);
        ushort[] a = new ushort[256], b = new ushort[128];
        for (int lane = 0; lane < 32; lane++)
        {
            (int g, int t) = (lane / 4, lane % 4);
            for (int i = 0; i < 8; i++)
            {
                int row = i is 0 or 1 or 4 or 5 ? g : g + 8, k = 2 * t + (i & 1) + (i >= 4 ? 8 : 0);
                a[lane * 8 + i] = BitConverter.HalfToUInt16Bits((Half)rowMajor[row * 16 + k]);
            }
            for (int i = 0; i < 4; i++)
            {
                int k = 2 * t + (i & 1) + (i >= 2 ? 8 : 0);
                b[lane * 4 + i] = BitConverter.HalfToUInt16Bits((Half)columns[g * 16 + k]);
                c[lane * 4 + i] = start[(i < 2 ? g : g + 8) * 8 + 2 * t + (i & 1)];
            }
        }
        Execute("mma", 1, 32, a, b, c);
        for (int lane = 0; lane < 32; lane++)
        {
            for (int i = 0; i < 4; i++)
            {
                int row = i < 2 ? lane / 4 : lane / 4 + 8, column = 2 * (lane % 4) + (i & 1);
                double sum = start[row * 8 + column], magnitudes = Math.Abs(sum);
                for (int k = 0; k < 16; k++)
                {
                    double product = (double)rowMajor[row * 16 + k] * columns[column * 16 + k];
                    sum += product;
                    magnitudes += Math.Abs(product);
                }
                Assert.That(c[lane * 4 + i], Is.EqualTo(sum).Within(17 * magnitudes * Math.Pow(2, -23)), $"row {row}, column {column}");
            }
        }
    }

    private static void LdMatrix()
    {
        // Element c of row r of matrix m is 64 m + 8 r + c, so that where one has come from is its value.
        ushort[] x = [.. Enumerable.Range(0, 256).Select(i => (ushort)i)];
        uint[] y = new uint[11 * 32];
        Execute("ldmatrix", 1, 32, x, y);
        Same(y, k =>
        {
            int lane = k % 32, load = k / 32, row = lane / 4, column = 2 * (lane % 4);
            int matrix = load switch { < 4 => load, < 8 => load - 4, < 10 => load - 8, _ => 0 };
            bool transposed = load is >= 4 and < 10;
            int first = transposed ? 64 * matrix + 8 * column + row : 64 * matrix + 8 * row + column;
            int second = transposed ? first + 8 : first + 1;
            return (uint)(first | second << 16);
        });
    }

    private static void CpAsync()
    {
        int[] x = Ints(128, 32), y = new int[96];
        Execute("cp_async", new Dim3(1), new Dim3(32), 512, x, y);
        Same(y, i =>
        {
            int lane = i % 32;
            return (i / 32) switch { 0 => x[(4 * lane) ^ 124], 1 => x[31 - lane], _ => x[63 - 2 * lane] };
        });
    }

    private static void Execute(string program, int grid, int block, params object[] arguments) =>
        Execute(program, new Dim3(grid), new Dim3(block), 0, arguments);

    /// <summary>Executes a program. Arrays are copied to the device and back, numbers are passed as they are.</summary>
    private static void Execute(string program, Dim3 grid, Dim3 block, int sharedBytes, params object[] arguments)
    {
        using EmulatedDriver driver = new();
        string ptx = File.ReadAllText(Path.Combine(Folder, program + ".ptx"));
        nint module = driver.LoadModule(program, ptx), stream = driver.CreateStream();
        string kernel = Entry().Match(ptx).Groups[1].Value;
        List<(Array Array, ulong Address, GCHandle Pin, int Bytes)> arrays = [];
        KernelArguments list = new();
        foreach (object argument in arguments)
        {
            switch (argument)
            {
                case Array array:
                    int bytes = Buffer.ByteLength(array);
                    GCHandle pin = GCHandle.Alloc(array, GCHandleType.Pinned);
                    ulong address = driver.Allocate(bytes);
                    driver.CopyToDevice(address, pin.AddrOfPinnedObject(), bytes, stream);
                    arrays.Add((array, address, pin, bytes));
                    list.Add(address);
                    break;
                case int number:
                    list.Add(number);
                    break;
                case float number:
                    list.Add(number);
                    break;
                default:
                    throw new ArgumentException($"{argument.GetType()} is no argument.", nameof(arguments));
            }
        }

        driver.Launch(driver.GetFunction(module, kernel), new Launch(program, kernel, grid, block, sharedBytes, list.ToMemory()), stream);
        foreach ((_, ulong address, GCHandle pin, int bytes) in arrays)
            driver.CopyToHost(pin.AddrOfPinnedObject(), address, bytes, stream);
        driver.Synchronize(stream);
        foreach ((_, ulong address, GCHandle pin, _) in arrays)
        {
            driver.Free(address);
            pin.Free();
        }
        driver.DestroyStream(stream);
        driver.UnloadModule(module);
    }

    [GeneratedRegex(@"\.visible \.entry (\w+)")]
    private static partial Regex Entry();

    /// <summary>Asserts that every element has the same bits as what a function gives. All NaNs are one.</summary>
    private static void Same<T>(T[] actual, Func<int, T> expected) where T : unmanaged
    {
        for (int i = 0; i < actual.Length; i++)
        {
            T value = expected(i);
            if (actual[i] is float a && value is float e && float.IsNaN(a) && float.IsNaN(e)) continue;
            ReadOnlySpan<byte> left = MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in actual[i]));
            if (!left.SequenceEqual(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value))))
                Assert.Fail($"Element {i} of {actual.Length} is {actual[i]}, not {value}.");
        }
    }

    /// <summary>Gets floats from -3 to 3.</summary>
    private static float[] Floats(int n, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, n).Select(_ => (float)(random.NextDouble() * 6 - 3))];
    }

    /// <summary>Gets integers of all sizes.</summary>
    private static int[] Ints(int n, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, n).Select(_ => (int)random.NextInt64(int.MinValue, int.MaxValue + 1L))];
    }

    private static Half Value(ushort bits) => BitConverter.UInt16BitsToHalf(bits);
}
