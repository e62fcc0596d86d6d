using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// Implements the tile of <see cref="Int8Tile"/> with AVX512_VNNI, for which .NET 10 has no intrinsics. A tile has
/// <see cref="Rows"/> x <see cref="Columns"/> sums in 18 vectors. The machine code is generated when the process first needs it.
/// It has twice the throughput of AvxVnni's 256-bit form where both exist, and it is the only form of byte products on processors
/// that have this extension alone (Ice Lake, Zen 4).
/// <para>The code uses only caller-saved registers, calls no functions and accesses no memory other than its operands. If the
/// processor, the system or <see cref="Switch"/> does not allow it, <see cref="IsSupported"/> is false and the other
/// implementations compute the same integers.</para>
/// </summary>
internal static unsafe class Vnni512
{
    /// <summary>
    /// The <see cref="AppContext"/> switch that disables generated code if it is set to false before the first use.
    /// </summary>
    public const string Switch = "TinyZsad.MachineCode";

    /// <summary>
    /// The number of rows of a tile: 18 sums, 2 vectors of B and 1 broadcast fit in the 22 caller-saved vector registers.
    /// </summary>
    public const int Rows = 9;

    /// <summary>The number of columns of a tile: two vectors.</summary>
    public const int Columns = 32;

    private static readonly delegate* unmanaged[SuppressGCTransition]<Operands*, void> Code = Compile();

    /// <summary>Gets whether the generated code is available.</summary>
    public static bool IsSupported => Code != null;

    /// <summary>The operands of the code: 64 bits each, in this order.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Operands
    {
        public byte* A;
        public nint LdA;
        public sbyte* B;
        public nint Groups;
        public int* Correction;
        public int* C;
        public nint LdCBytes;
    }

    /// <summary>Computes a tile like <see cref="Int8Tile.Execute"/>. k is at least 4.</summary>
    public static void Execute(byte* a, nint lda, sbyte* b, int k, int* correction, int* c, nint ldc)
    {
        Operands operands = new() { A = a, LdA = lda, B = b, Groups = k / 4, Correction = correction, C = c,
            LdCBytes = ldc * sizeof(int) };
        Code(&operands);
    }

    private static delegate* unmanaged[SuppressGCTransition]<Operands*, void> Compile()
    {
        if (!X86Base.X64.IsSupported || !Avx512BW.IsSupported || Simd.Lanes != 16) return null;
        if (AppContext.TryGetSwitch(Switch, out bool allowed) && !allowed) return null;
        bool vnni = (X86Base.CpuId(7, 0).Ecx >> 11 & 1) != 0;
        return vnni
            ? (delegate* unmanaged[SuppressGCTransition]<Operands*,
                void>)ExecutableMemory.Place(Assemble(OperatingSystem.IsWindows()))
            : null;
    }

    /// <summary>Generates the code.</summary>
    /// <param name="windows">Whether the argument is passed in rcx, as on Windows, instead of rdi.</param>
    internal static byte[] Assemble(bool windows)
    {
        const Gpr operands = Gpr.Rax, lda = Gpr.R11, b = Gpr.Rcx, groups = Gpr.Rdx, c = Gpr.R8, ldc = Gpr.R9;
        Gpr[] a = [Gpr.R8, Gpr.R9, Gpr.R10];    // each pointer serves three rows: the pointer itself, + lda, + 2 lda
        const int b0 = 2, b1 = 3, x = 4;
        int[] sums = [.. Enumerable.Range(16, 16), 0, 1];

        EvexWriter w = new();
        w.MovePointer(operands, windows ? 1 : 7);
        w.LoadPointer(a[0], (int)operands, 32);
        w.Load(sums[0], a[0], 0);
        w.Load(sums[1], a[0], 64);
        for (int i = 2; i < sums.Length; i++) w.Move(sums[i], sums[i % 2]);
        w.LoadPointer(a[0], (int)operands, 0);
        w.LoadPointer(lda, (int)operands, 8);
        w.LoadPointer(b, (int)operands, 16);
        w.LoadPointer(groups, (int)operands, 24);
        w.LoadAddress(a[1], a[0], lda, 1);
        w.Add(a[1], lda);
        w.LoadAddress(a[2], a[1], lda, 1);
        w.Add(a[2], lda);

        int loop = w.Position;
        w.Load(b0, b, 0);
        w.Load(b1, b, 64);
        for (int row = 0; row < Rows; row++)
        {
            w.Broadcast(x, a[row / 3], row % 3 == 0 ? null : lda, row % 3 == 2 ? 1 : 0);
            w.DotProducts(sums[2 * row], x, b0);
            w.DotProducts(sums[2 * row + 1], x, b1);
        }
        w.Add(b, 128);
        foreach (Gpr rows in a) w.Add(rows, 4);
        w.Loop(groups, loop);

        w.LoadPointer(c, (int)operands, 40);
        w.LoadPointer(ldc, (int)operands, 48);
        for (int row = 0; row < Rows; row++)
        {
            w.Store(c, 0, sums[2 * row]);
            w.Store(c, 64, sums[2 * row + 1]);
            w.Add(c, ldc);
        }
        w.Return();
        return w.Code;
    }
}
