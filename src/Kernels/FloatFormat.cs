using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>A <see cref="FloatType"/> as a type parameter: how a kernel reads a table without asking each time.</summary>
internal unsafe interface IFloatFormat
{
    /// <summary>Reads numbers <paramref name="i"/> and following, widened exactly.</summary>
    static abstract TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec>;
}

/// <summary><see cref="FloatType.F32"/>.</summary>
internal readonly unsafe struct F32Format : IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec> => TVec.Load((float*)p + i);
}

/// <summary><see cref="FloatType.F16"/>.</summary>
internal readonly unsafe struct F16Format : IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec> => TVec.LoadHalf((ushort*)p + i);
}

/// <summary><see cref="FloatType.BF16"/>.</summary>
internal readonly unsafe struct BF16Format : IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec> => TVec.LoadBFloat16((ushort*)p + i);
}
