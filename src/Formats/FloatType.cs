namespace TinyZsad.Formats;

/// <summary>Specifies the number format of a stored tensor. Arithmetic always uses 32-bit floats.</summary>
internal enum FloatType
{
    /// <summary>IEEE binary32.</summary>
    F32,

    /// <summary>IEEE binary16.</summary>
    F16,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,
}

/// <summary>Provides the element size of a <see cref="FloatType"/> and reads single elements.</summary>
internal static class FloatTypes
{
    /// <summary>Gets the size of one element in bytes: 4 or 2.</summary>
    public static int Size(this FloatType type) => type == FloatType.F32 ? 4 : 2;

    /// <summary>Reads element <paramref name="i"/> of an array and converts it exactly.</summary>
    public static unsafe float Read(this FloatType type, void* source, nint i) => type switch
    {
        FloatType.F16 => (float)((Half*)source)[i],
        FloatType.BF16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)source)[i] << 16),
        _ => ((float*)source)[i],
    };
}
