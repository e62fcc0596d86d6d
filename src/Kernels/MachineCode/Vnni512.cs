using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// The tile of <see cref="Int8Tile"/> over AVX512_VNNI, which .NET 10 has no intrinsics for: <see cref="Rows"/> x
/// <see cref="Columns"/> sums in 18 vectors, written as machine code when the process first needs it. Twice the rate of AvxVnni's
/// 256-bit form where both exist, and the only products of bytes on processors that have this extension alone (Ice Lake, Zen 4).
/// <para>
/// It keeps to registers that no calling convention wants back, calls nothing and touches no memory but its operands. Where the
/// processor, the system or <see cref="Switch"/> does not allow it, <see cref="IsSupported"/> is false and the other forms
/// compute the same integers.
/// </para>
/// </summary>
internal static unsafe class Vnni512
{
    /// <summary>
    /// The <see cref="AppContext"/> switch that turns emitted code off where it is set to false before the first use.
    /// </summary>
    public const string Switch = "TinyZsad.MachineCode";

    /// <summary>Rows of a tile: 18 sums, 2 of B and 1 broadcast in the 22 vectors that are the callee's own.</summary>
    public const int Rows = 9;

    /// <summary>Columns of a tile: two vectors.</summary>
    public const int Columns = 32;

    private static readonly delegate* unmanaged[SuppressGCTransition]<Operands*, void> Code = Compile();

    /// <summary>Whether the code is there.</summary>
    public static bool IsSupported => Code != null;

    /// <summary>What the code reads: 64 bits each, in this order.</summary>
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

    /// <summary>As <see cref="Int8Tile.Execute"/>, k at least 4.</summary>
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

    /// <summary>The code itself.</summary>
    /// <param name="windows">Whether the argument comes as Windows passes it, in rcx, and not in rdi.</param>
    internal static byte[] Assemble(bool windows)
    {
        const Gpr operands = Gpr.Rax, lda = Gpr.R11, b = Gpr.Rcx, groups = Gpr.Rdx, c = Gpr.R8, ldc = Gpr.R9;
        Gpr[] a = [Gpr.R8, Gpr.R9, Gpr.R10];    // each serves three rows: itself, + lda, + 2 lda
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
