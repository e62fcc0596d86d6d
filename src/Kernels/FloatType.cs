using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>How a stored tensor writes its numbers. Arithmetic is always in 32-bit floats.</summary>
public enum FloatType
{
    /// <summary>IEEE binary32.</summary>
    F32,

    /// <summary>IEEE binary16.</summary>
    F16,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,
}

/// <summary>What kernels need to know of a <see cref="FloatType"/>.</summary>
public static class FloatTypes
{
    /// <summary>Bytes of one number: 4 or 2.</summary>
    public static int Size(this FloatType type) => type == FloatType.F32 ? 4 : 2;
}

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
