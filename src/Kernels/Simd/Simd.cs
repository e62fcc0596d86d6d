using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Kernels;

/// <summary>A kernel with its operands, to be run with whatever width the processor has.</summary>
internal interface IWideKernel
{
    /// <summary>Runs the kernel with vectors of one width.</summary>
    void Run<TVec>() where TVec : unmanaged, IVector<TVec>;
}

/// <summary>The one place where a vector width is chosen.</summary>
internal static class Simd
{
    /// <summary>
    /// The lanes every kernel runs with on this processor: 16 (AVX-512), 8 (AVX2), 4 (SSE2 or Arm64's AdvSimd) or 1. The runtime
    /// knows it while it compiles, so comparing it costs nothing and the branches not taken vanish.
    /// </summary>
    /// <remarks>
    /// <see cref="Vector512.IsHardwareAccelerated"/> and <see cref="Vector256.IsHardwareAccelerated"/> are true only where
    /// AVX-512 (F, BW, CD, DQ, VL) and AVX2 are, so <see cref="Lanes16"/> and <see cref="Lanes8"/> may name those instructions.
    /// </remarks>
    public static int Lanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.IsHardwareAccelerated ? 16
            : Vector256.IsHardwareAccelerated ? 8
            : Vector128.IsHardwareAccelerated ? 4
            : 1;
    }

    /// <summary>Runs a kernel with the processor's width.</summary>
    /// <remarks>
    /// Inlined together with a <see cref="IWideKernel.Run"/> that is, it leaves one direct call to the kernel of the right width;
    /// the comparisons and the struct vanish. A few choose for themselves. The shape of <see cref="Tile"/> also depends on the
    /// number of registers, and that of <see cref="Int8Tile"/> on the instructions for products of bytes. What a linear layer
    /// does to each tile after its sums (<see cref="MatMul"/>) and <see cref="Rotary"/>, which <see cref="Attention"/> calls for
    /// a few rows at a time, were measured to be about a tenth slower this way.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Run<TKernel>(TKernel kernel) where TKernel : struct, IWideKernel, allows ref struct
    {
        if (Lanes == 16) kernel.Run<Lanes16>();
        else if (Lanes == 8) kernel.Run<Lanes8>();
        else if (Lanes == 4) kernel.Run<Lanes4>();
        else kernel.Run<Lanes1>();
    }
}
