using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Kernels;

/// <summary>Represents a kernel with its operands that can run with any vector width.</summary>
internal interface IWideKernel
{
    /// <summary>Runs the kernel with vectors of type <typeparamref name="TVec"/>.</summary>
    void Run<TVec>() where TVec : unmanaged, IVector<TVec>;
}

/// <summary>Selects the vector width. No other code does.</summary>
internal static class Simd
{
    /// <summary>
    /// Gets the number of lanes that kernels use on this processor: 16 (AVX-512), 8 (AVX2), 4 (SSE2 or Arm64's AdvSimd) or 1. It
    /// is a JIT-time constant, so comparisons with it are free and unused branches are removed.
    /// </summary>
    /// <remarks>
    /// <see cref="Vector512.IsHardwareAccelerated"/> and <see cref="Vector256.IsHardwareAccelerated"/> are true only if the
    /// processor supports AVX-512 (F, BW, CD, DQ, VL) and AVX2, respectively. <see cref="Lanes16"/> and <see cref="Lanes8"/> may
    /// therefore use those instructions.
    /// </remarks>
    public static int Lanes
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector512.IsHardwareAccelerated ? 16
            : Vector256.IsHardwareAccelerated ? 8
            : Vector128.IsHardwareAccelerated ? 4
            : 1;
    }

    /// <summary>Runs a kernel with the vector width of this processor.</summary>
    /// <remarks>
    /// If <see cref="IWideKernel.Run"/> is inlined as well, only a direct call to the kernel of the right width remains; the
    /// comparisons and the struct are optimized away. A few kernels select the width themselves. The shape of <see cref="Tile"/>
    /// also depends on the number of registers, and the shape of <see cref="Int8Tile"/> depends on the instructions for byte
    /// products. The epilogue of a linear layer (<see cref="MatMul"/>) and <see cref="Rotary"/>, which <see cref="Attention"/>
    /// calls for a few rows at a time, were about 10% slower with this method when measured.
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
