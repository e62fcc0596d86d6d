using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>
/// Tests the checks of the interpreter: for each, a program that breaks a rule is refused with its place, and the same program without the
/// mistake computes. Values of instructions are tested by programs that clang made (<see cref="ClangProgramTests"/>).
/// </summary>
[TestFixture]
internal sealed unsafe class InterpreterTests
{
    private const string Begin = ".version 7.1\n.target sm_80\n.address_size 64\n";

    /// <summary>Each thread of a block writes to shared memory and reads what the thread on the other side of the block wrote.</summary>
    private const string Exchange = """
        .visible .entry k(.param .u64 out) .reqntid 64, 1, 1
        {
            .reg .u32 %t, %at, %value;
            .reg .u64 %to, %offset;
            .shared .align 4 .b8 buffer[256];
            mov.u32 %t, %tid.x;
            mov.u32 %at, buffer;
            mad.lo.u32 %at, %t, 4, %at;
            st.shared.u32 [%at], %t;
            BARRIER
            mov.u32 %at, buffer;
            xor.b32 %value, %t, 63;
            mad.lo.u32 %at, %value, 4, %at;
            ld.shared.u32 %value, [%at];
            ld.param.u64 %to, [out];
            mul.wide.u32 %offset, %t, 4;
            add.u64 %to, %to, %offset;
            st.global.u32 [%to], %value;
            ret;
        }
        """;

    /// <summary>One thread copies 16 bytes to shared memory and reads them.</summary>
    private const string Copy = """
        .visible .entry k(.param .u64 out, .param .u64 in) .reqntid 32, 1, 1
        {
            .reg .u32 %t, %at, %value;
            .reg .u64 %from, %to, %offset;
            .shared .align 16 .b8 buffer[512];
            mov.u32 %t, %tid.x;
            mov.u32 %at, buffer;
            mad.lo.u32 %at, %t, 16, %at;
            ld.param.u64 %from, [in];
            mul.wide.u32 %offset, %t, 16;
            add.u64 %from, %from, %offset;
            cp.async.cg.shared.global [%at], [%from], 16;
            cp.async.commit_group;
            WAIT
            ld.shared.u32 %value, [%at];
            ld.param.u64 %to, [out];
            mul.wide.u32 %offset, %t, 4;
            add.u64 %to, %to, %offset;
            st.global.u32 [%to], %value;
            ret;
        }
        """;

    [Test]
    public void AMissingBarrierIsARace([Values(null, 1, 2)] int? seed)
    {
        uint[] expected = [.. Enumerable.Range(0, 64).Select(i => (uint)(63 - i))];
        Assert.That(Run(Exchange.Replace("BARRIER", "bar.sync 0;"), 64, 64, seed: seed), Is.EqualTo(expected));
        Refused(Exchange.Replace("BARRIER", ""), 64, 64, "shared memory", seed);
    }

    [Test]
    public void ABarrierThatNotAllThreadsReachIsRefused()
    {
        // One warp ends and the other waits for it.
        Refused(Exchange.Replace("BARRIER", "setp.lt.u32 %p, %t, 32;\n @%p ret;\n bar.sync 0;")
            .Replace(".reg .u64", ".reg .pred %p;\n .reg .u64"), 64, 64, "barrier");
        Refused(Exchange.Replace("BARRIER", "setp.lt.u32 %p, %t, 7;\n @%p bra skip;\n bar.sync 0;\n skip:")
            .Replace(".reg .u64", ".reg .pred %p;\n .reg .u64"), 64, 64, "barrier");
    }

    [Test]
    public void BytesInFlightAreNotRead()
    {
        uint[] input = [.. Enumerable.Range(0, 128).Select(i => (uint)(1000 + i))];
        uint[] expected = [.. Enumerable.Range(0, 32).Select(i => (uint)(1000 + 4 * i))];
        Assert.That(Run(Copy.Replace("WAIT", "cp.async.wait_group 0;"), 32, 32, input), Is.EqualTo(expected));
        Assert.That(Run(Copy.Replace("WAIT", "cp.async.wait_all;"), 32, 32, input), Is.EqualTo(expected));
        Refused(Copy.Replace("WAIT", ""), 32, 32, "in flight", input: input);
        Refused(Copy.Replace("WAIT", "cp.async.wait_group 1;"), 32, 32, "in flight", input: input);
    }

    [Test]
    public void MemoryIsReadAndWrittenInsideItsBounds()
    {
        // The store of the last of 64 threads is beyond an output of 63 numbers, as is that of shared memory of 252 bytes.
        Refused(Exchange.Replace("BARRIER", "bar.sync 0;"), 63, 64, "global memory");
        Refused(Exchange.Replace("BARRIER", "bar.sync 0;").Replace("buffer[256]", "buffer[128]"), 64, 64, "outside its 128 bytes");
        Refused(Exchange.Replace("BARRIER", "bar.sync 0;").Replace("[%to], %value", "[%to+2], %value"), 64, 64, "not a multiple of 4");
        Refused(Exchange.Replace("BARRIER", "bar.sync 0;").Replace("st.shared.u32 [%at], %t;", ""), 64, 64, "never written");
    }

    [Test]
    public void ARegisterIsWrittenBeforeItIsRead()
    {
        string program = Exchange.Replace("BARRIER", "bar.sync 0;");
        Refused(program.Replace("xor.b32 %value, %t, 63;", ""), 64, 64, "%value");
        // Only half of the lanes write it.
        Refused(program.Replace("xor.b32 %value, %t, 63;", "setp.lt.u32 %p, %t, 16;\n @%p xor.b32 %value, %t, 63;")
            .Replace(".reg .u64", ".reg .pred %p;\n .reg .u64"), 64, 64, "%value");
    }

    [Test]
    public void BlocksDoNotWriteWhatOthersRead()
    {
        const string program = """
            .visible .entry k(.param .u64 out) .reqntid 32, 1, 1
            {
                .reg .u32 %t, %b;
                .reg .u64 %to, %offset;
                mov.u32 %t, %tid.x;
                mov.u32 %b, %ctaid.x;
                PLACE
                ld.param.u64 %to, [out];
                mul.wide.u32 %offset, %t, 4;
                add.u64 %to, %to, %offset;
                st.global.u32 [%to], %t;
                ret;
            }
            """;
        Assert.That(Run(program.Replace("PLACE", "mad.lo.u32 %t, %b, 32, %t;"), 96, 32, grid: 3),
            Is.EqualTo(Enumerable.Range(0, 96).Select(i => (uint)i)));
        Refused(program.Replace("PLACE", ""), 96, 32, "race between blocks", grid: 3);
    }

    [Test]
    public void LanesThatMeetAgainComputeEachTheirWay()
    {
        // Collatz steps: a loop with a different count for each lane, with two ways inside.
        const string program = """
            .visible .entry k(.param .u64 out) .reqntid 64, 1, 1
            {
                .reg .u32 %t, %n, %steps, %odd;
                .reg .pred %p;
                .reg .u64 %to, %offset;
                mov.u32 %t, %tid.x;
                add.u32 %n, %t, 1;
                mov.u32 %steps, 0;
            loop:
                setp.eq.u32 %p, %n, 1;
                @%p bra done;
                and.b32 %odd, %n, 1;
                setp.eq.u32 %p, %odd, 0;
                @%p bra even;
                mad.lo.u32 %n, %n, 3, 1;
                bra next;
            even:
                shr.u32 %n, %n, 1;
            next:
                add.u32 %steps, %steps, 1;
                bra loop;
            done:
                ld.param.u64 %to, [out];
                mul.wide.u32 %offset, %t, 4;
                add.u64 %to, %to, %offset;
                st.global.u32 [%to], %steps;
                ret;
            }
            """;
        uint[] expected = [.. Enumerable.Range(1, 64).Select(i =>
        {
            uint steps = 0;
            for (long n = i; n != 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1) steps++;
            return steps;
        })];
        Assert.That(Run(program, 64, 64), Is.EqualTo(expected));
    }

    [TestCase("xor.b32 %value, %t, 63;", "xyz.b32 %value, %t, 63;", "'xyz' is not supported")]
    [TestCase("xor.b32 %value, %t, 63;", "xor.b32.sat %value, %t, 63;", "sat")]
    [TestCase("xor.b32 %value, %t, 63;", "xor.b32 %value, %nothing, 63;", "%nothing")]
    [TestCase("xor.b32 %value, %t, 63;", "add.f32 %to, %t, %t;", "%to")]
    [TestCase("xor.b32 %value, %t, 63;", "xor.b32 %value, %t;", "operand")]
    [TestCase("xor.b32 %value, %t, 63;", "bra nowhere;", "nowhere")]
    [TestCase("xor.b32 %value, %t, 63;", "shfl.sync.bfly.b32 %value, %t, 1, 31, 0xffff;", "lanes")]
    [TestCase(".reqntid 64", ".reqntid 32", ".reqntid")]
    public void WhatIsWrongIsNamedWithItsPlace(string right, string wrong, string message) =>
        Refused(Exchange.Replace("BARRIER", "bar.sync 0;").Replace(right, wrong), 64, 64, message);

    [Test]
    public void FragmentsLieAsTheInstructionSetSays()
    {
        // Every element of a, b and c has a different value, and each lane gives its fragment by the tables of the PTX ISA.
        const string program = """
            .visible .entry k(.param .u64 out, .param .u64 in) .reqntid 32, 1, 1
            {
                .reg .u32 %t, %a<4>, %b<2>;
                .reg .f32 %c<4>;
                .reg .u64 %from, %to, %offset;
                mov.u32 %t, %tid.x;
                ld.param.u64 %from, [in];
                mul.wide.u32 %offset, %t, 48;
                add.u64 %from, %from, %offset;
                ld.global.v4.u32 {%a0, %a1, %a2, %a3}, [%from];
                ld.global.v2.u32 {%b0, %b1}, [%from+16];
                ld.global.v4.f32 {%c0, %c1, %c2, %c3}, [%from+32];
                mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32
                    {%c0, %c1, %c2, %c3}, {%a0, %a1, %a2, %a3}, {%b0, %b1}, {%c0, %c1, %c2, %c3};
                ld.param.u64 %to, [out];
                mul.wide.u32 %offset, %t, 16;
                add.u64 %to, %to, %offset;
                st.global.v4.f32 [%to], {%c0, %c1, %c2, %c3};
                ret;
            }
            """;
        Random random = new(1);
        float[,] a = new float[16, 16], b = new float[16, 8], c = new float[16, 8];
        foreach (float[,] m in (float[][,])[a, b, c])
        {
            for (int i = 0; i < m.GetLength(0); i++)
                for (int j = 0; j < m.GetLength(1); j++) m[i, j] = (float)(Half)(random.NextSingle() - 0.5f);
        }

        uint[] input = new uint[32 * 12];
        for (int lane = 0; lane < 32; lane++)
        {
            int g = lane / 4, t = lane % 4;
            // Element i of the fragment of a: row g for 0, 1, 4, 5, else g + 8; column 2 t + (i & 1), plus 8 from 4 on.
            for (int i = 0; i < 8; i++)
                Put(12 * lane, i, a[i is 0 or 1 or 4 or 5 ? g : g + 8, 2 * t + (i & 1) + (i >= 4 ? 8 : 0)]);
            for (int i = 0; i < 4; i++) Put(12 * lane + 4, i, b[2 * t + (i & 1) + (i >= 2 ? 8 : 0), g]);
            for (int i = 0; i < 4; i++)
                input[12 * lane + 8 + i] = BitConverter.SingleToUInt32Bits(c[i < 2 ? g : g + 8, 2 * t + (i & 1)]);
        }

        uint[] result = Run(program, 128, 32, input);
        for (int lane = 0; lane < 32; lane++)
        {
            for (int i = 0; i < 4; i++)
            {
                int row = i < 2 ? lane / 4 : lane / 4 + 8, column = 2 * (lane % 4) + (i & 1);
                double expected = c[row, column];
                for (int k = 0; k < 16; k++) expected += (double)a[row, k] * b[k, column];
                Assert.That(BitConverter.UInt32BitsToSingle(result[4 * lane + i]), Is.EqualTo(expected).Within(1e-6), $"lane {lane}, {i}");
            }
        }

        void Put(int at, int element, float value) =>
            input[at + element / 2] |= (uint)BitConverter.HalfToUInt16Bits((Half)value) << (16 * (element % 2));
    }

    [Test]
    public void ALoopWithoutEndIsStopped()
    {
        string program = Exchange.Replace("BARRIER", "forever:\n bra forever;");
        using EmulatedDriver driver = new() { MostInstructions = 10_000 };
        PtxException error = Assert.Throws<PtxException>(() => Execute(driver, program, 64, 64, null, 1))!;
        Assert.That(error.Message, Does.Contain("10000 instructions"));
    }

    private static void Refused(string program, int outputs, int threads, string message, int? seed = null, uint[]? input = null,
        int grid = 1)
    {
        PtxException error = Assert.Throws<PtxException>(() => Run(program, outputs, threads, input, seed, grid))!;
        Assert.That(error.Message, Does.Contain(message).And.Contain("test").And.Contain("k"));
    }

    private static uint[] Run(string program, int outputs, int threads, uint[]? input = null, int? seed = null, int grid = 1)
    {
        using EmulatedDriver driver = new() { Seed = seed };
        return Execute(driver, program, outputs, threads, input, grid);
    }

    private static uint[] Execute(EmulatedDriver driver, string program, int outputs, int threads, uint[]? input, int grid)
    {
        nint stream = driver.CreateStream(), module = driver.LoadModule("test", Begin + program);
        ulong output = driver.Allocate(4 * outputs), from = driver.Allocate(4 * Math.Max(1, input?.Length ?? 0));
        if (input is not null)
            fixed (uint* first = input) driver.CopyToDevice(from, (nint)first, 4 * input.Length, stream);
        KernelArguments arguments = new KernelArguments().Add(output);
        if (input is not null) arguments.Add(from);
        driver.Launch(driver.GetFunction(module, "k"),
            new Launch("test", "k", new Dim3(grid), new Dim3(threads), 0, arguments.ToMemory()), stream);
        uint[] result = new uint[outputs];
        fixed (uint* first = result) driver.CopyToHost((nint)first, output, 4 * outputs, stream);
        return result;
    }
}
