using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Converts stored numbers to 32-bit floats. The conversion is exact, because every binary16 and bfloat16 value is a float.
/// </summary>
internal static unsafe class Widen
{
    /// <summary>
    /// Copies source[i] to destination[i] for i below <paramref name="n"/>. The arrays must not overlap, except that they may be
    /// the same with <see cref="FloatType.F32"/>. NaN stays NaN; its payload is unspecified.
    /// </summary>
    public static void Execute(void* source, FloatType type, float* destination, nint n) =>
        Simd.Run(new Kernel(source, type, destination, n));

    private readonly struct Kernel(void* source, FloatType type, float* destination, nint n) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec>(source, type, destination, n);
    }

    private static void Execute<TVec>(void* source, FloatType type, float* destination, nint n)
        where TVec : unmanaged, IVector<TVec>
    {
        if (type == FloatType.F32) Execute<TVec, F32Format>(source, destination, n);
        else if (type == FloatType.F16) Execute<TVec, F16Format>(source, destination, n);
        else Execute<TVec, BF16Format>(source, destination, n);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec, TFormat>(void* source, float* destination, nint n)
        where TVec : unmanaged, IVector<TVec>
        where TFormat : struct, IFloatFormat
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
            TFormat.Load<TVec>(source, i).Store(destination + i);
        for (; i < n; i++)
            TFormat.Load<Lanes1>(source, i).Store(destination + i);
    }

    /// <summary>Reads element <paramref name="i"/> of <paramref name="source"/>: the reference result.</summary>
    public static float Scalar(void* source, FloatType type, nint i) => type.Read(source, i);
}
