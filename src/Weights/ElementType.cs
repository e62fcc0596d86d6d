using System.Collections.Frozen;

namespace TinyZsad.Weights;

/// <summary>
/// Specifies the type of a tensor's elements. The names are those of the safetensors format; all types are little-endian. The
/// format's types of fewer than 8 bits, its 8-bit floats, complex numbers and types of the future are <see cref="Other"/>: a file may
/// hold such tensors, but their elements cannot be read.
/// </summary>
public enum ElementType
{
    /// <summary>IEEE binary64, 8 bytes.</summary>
    F64,
    /// <summary>IEEE binary32, 4 bytes.</summary>
    F32,
    /// <summary>IEEE binary16, 2 bytes.</summary>
    F16,
    /// <summary>bfloat16, the upper half of a binary32, 2 bytes.</summary>
    BF16,
    /// <summary>Signed integer, 8 bytes.</summary>
    I64,
    /// <summary>Signed integer, 4 bytes.</summary>
    I32,
    /// <summary>Signed integer, 2 bytes.</summary>
    I16,
    /// <summary>Signed integer, 1 byte.</summary>
    I8,
    /// <summary>Unsigned integer, 8 bytes.</summary>
    U64,
    /// <summary>Unsigned integer, 4 bytes.</summary>
    U32,
    /// <summary>Unsigned integer, 2 bytes.</summary>
    U16,
    /// <summary>Unsigned integer, 1 byte.</summary>
    U8,
    /// <summary>Boolean, 1 byte: 0 is false, 1 is true.</summary>
    BOOL,
    /// <summary>
    /// Any other type (F8_E4M3, F4, C64, ...), which <see cref="TensorEntry.TypeName"/> names. Only the bytes can be read.
    /// </summary>
    Other,
}

/// <summary>Provides extension methods for <see cref="ElementType"/>. All members are thread safe.</summary>
internal static class ElementTypes
{
    private static readonly FrozenDictionary<string, ElementType> ByName = Enum.GetValues<ElementType>()
        .Where(type => type != ElementType.Other).ToFrozenDictionary(type => type.ToString());

    /// <summary>The size in bits of the format's types that are not computed with.</summary>
    private static readonly FrozenDictionary<string, int> OtherBits = new Dictionary<string, int>
    {
        ["F4"] = 4, ["F6_E2M3"] = 6, ["F6_E3M2"] = 6, ["F8_E4M3"] = 8, ["F8_E5M2"] = 8, ["F8_E8M0"] = 8, ["F8_E4M3FNUZ"] = 8,
        ["F8_E5M2FNUZ"] = 8, ["C64"] = 64,
    }.ToFrozenDictionary();

    /// <summary>The names of the types whose elements can be read, for messages: "F64, F32, ...".</summary>
    internal static readonly string AllNames =
        string.Join(", ", Enum.GetValues<ElementType>().Where(type => type != ElementType.Other));

    /// <summary>Gets the size of one element in bytes.</summary>
    /// <param name="type">The element type.</param>
    /// <returns>1, 2, 4 or 8.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="type"/> is <see cref="ElementType.Other"/> or not a member of the enumeration.
    /// </exception>
    public static int ByteSize(this ElementType type) => type switch
    {
        ElementType.F64 or ElementType.I64 or ElementType.U64 => 8,
        ElementType.F32 or ElementType.I32 or ElementType.U32 => 4,
        ElementType.F16 or ElementType.BF16 or ElementType.I16 or ElementType.U16 => 2,
        ElementType.I8 or ElementType.U8 or ElementType.BOOL => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, $"Not an element type; there are {AllNames}."),
    };

    /// <summary>Gets the element type of a name as a header spells it ("F16").</summary>
    /// <returns><see cref="ElementType.Other"/> for any other name.</returns>
    internal static ElementType Parse(string name) => ByName.GetValueOrDefault(name, ElementType.Other);

    /// <summary>Gets the size of one element in bits by the name of its type; null for an unknown type.</summary>
    internal static int? BitSize(string name) => ByName.TryGetValue(name, out ElementType type) ? 8 * type.ByteSize()
        : OtherBits.TryGetValue(name, out int bits) ? bits : null;

    /// <summary>
    /// Gets a value that indicates whether elements of this type can be read as <typeparamref name="T"/>. F16 can also be read as its
    /// bits. BOOL is read as bytes, because a file may hold bytes that are not valid values of <see cref="bool"/>.
    /// </summary>
    internal static bool IsReadableAs<T>(this ElementType type) => type switch
    {
        ElementType.F64 => typeof(T) == typeof(double),
        ElementType.F32 => typeof(T) == typeof(float),
        ElementType.F16 => typeof(T) == typeof(Half) || typeof(T) == typeof(ushort),
        ElementType.BF16 => typeof(T) == typeof(ushort),
        ElementType.I64 => typeof(T) == typeof(long),
        ElementType.I32 => typeof(T) == typeof(int),
        ElementType.I16 => typeof(T) == typeof(short),
        ElementType.I8 => typeof(T) == typeof(sbyte),
        ElementType.U64 => typeof(T) == typeof(ulong),
        ElementType.U32 => typeof(T) == typeof(uint),
        ElementType.U16 => typeof(T) == typeof(ushort),
        ElementType.U8 or ElementType.BOOL => typeof(T) == typeof(byte),
        _ => false,
    };

    /// <summary>Gets the element type that stores values of <typeparamref name="T"/>.</summary>
    /// <exception cref="ArgumentException">The format has no such element type.</exception>
    internal static ElementType Of<T>()
    {
        if (typeof(T) == typeof(double)) return ElementType.F64;
        if (typeof(T) == typeof(float)) return ElementType.F32;
        if (typeof(T) == typeof(Half)) return ElementType.F16;
        if (typeof(T) == typeof(long)) return ElementType.I64;
        if (typeof(T) == typeof(int)) return ElementType.I32;
        if (typeof(T) == typeof(short)) return ElementType.I16;
        if (typeof(T) == typeof(sbyte)) return ElementType.I8;
        if (typeof(T) == typeof(ulong)) return ElementType.U64;
        if (typeof(T) == typeof(uint)) return ElementType.U32;
        if (typeof(T) == typeof(ushort)) return ElementType.U16;
        if (typeof(T) == typeof(byte)) return ElementType.U8;
        if (typeof(T) == typeof(bool)) return ElementType.BOOL;
        throw new ArgumentException($"{typeof(T)} is no element type of safetensors; there are {AllNames}.");
    }
}
