using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Represents a <see cref="FloatType"/> as a type parameter, so that a kernel is compiled for each format and does not test it
/// per element.
/// </summary>
internal unsafe interface IFloatFormat
{
    /// <summary>Reads a vector of elements, starting at element <paramref name="i"/>, and widens them exactly.</summary>
    static abstract TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec>;
}

/// <summary>The format <see cref="FloatType.F32"/>.</summary>
internal readonly unsafe struct F32Format : IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec> => TVec.Load((float*)p + i);
}

/// <summary>The format <see cref="FloatType.F16"/>.</summary>
internal readonly unsafe struct F16Format : IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec> => TVec.LoadHalf((ushort*)p + i);
}

/// <summary>The format <see cref="FloatType.BF16"/>.</summary>
internal readonly unsafe struct BF16Format : IFloatFormat
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVec Load<TVec>(void* p, nint i) where TVec : unmanaged, IVector<TVec> => TVec.LoadBFloat16((ushort*)p + i);
}
