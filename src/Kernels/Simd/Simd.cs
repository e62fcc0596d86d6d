using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Kernels;

/// <summary>The one place where a vector width is chosen.</summary>
public static class Simd
{
    /// <summary>
    /// The lanes every kernel runs with on this processor: 16 (AVX-512), 8 (AVX2), 4 (SSE2 or Arm64's AdvSimd) or 1. The runtime
    /// knows it while it compiles, so <c>if (Simd.Lanes == 16) Run&lt;Lanes16&gt;()</c> costs nothing and the other arms vanish.
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
}
