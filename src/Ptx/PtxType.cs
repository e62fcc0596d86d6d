namespace TinyZsad.Ptx;

/// <summary>Specifies the type of a register or of an instruction.</summary>
internal enum PtxType
{
    /// <summary>No type.</summary>
    None,

    /// <summary>A truth value.</summary>
    Pred,

    /// <summary>8 bits.</summary>
    B8,

    /// <summary>16 bits.</summary>
    B16,

    /// <summary>32 bits.</summary>
    B32,

    /// <summary>64 bits.</summary>
    B64,

    /// <summary>An unsigned integer of 8 bits.</summary>
    U8,

    /// <summary>An unsigned integer of 16 bits.</summary>
    U16,

    /// <summary>An unsigned integer of 32 bits.</summary>
    U32,

    /// <summary>An unsigned integer of 64 bits.</summary>
    U64,

    /// <summary>A signed integer of 8 bits.</summary>
    S8,

    /// <summary>A signed integer of 16 bits.</summary>
    S16,

    /// <summary>A signed integer of 32 bits.</summary>
    S32,

    /// <summary>A signed integer of 64 bits.</summary>
    S64,

    /// <summary>IEEE binary16.</summary>
    F16,

    /// <summary>Two of IEEE binary16, the first in the low half.</summary>
    F16x2,

    /// <summary>IEEE binary32.</summary>
    F32,

    /// <summary>IEEE binary64.</summary>
    F64,
}

/// <summary>Tells the properties of types.</summary>
internal static class PtxTypes
{
    /// <summary>Gets the size in bytes; 0 for a predicate.</summary>
    public static int Size(this PtxType type) => type switch
    {
        PtxType.B8 or PtxType.U8 or PtxType.S8 => 1,
        PtxType.B16 or PtxType.U16 or PtxType.S16 or PtxType.F16 => 2,
        PtxType.B32 or PtxType.U32 or PtxType.S32 or PtxType.F32 or PtxType.F16x2 => 4,
        PtxType.B64 or PtxType.U64 or PtxType.S64 or PtxType.F64 => 8,
        _ => 0,
    };

    /// <summary>Gets whether the type is a float.</summary>
    public static bool IsFloat(this PtxType type) => type is PtxType.F16 or PtxType.F16x2 or PtxType.F32 or PtxType.F64;

    /// <summary>Gets whether the type is a signed integer.</summary>
    public static bool IsSigned(this PtxType type) => type is PtxType.S8 or PtxType.S16 or PtxType.S32 or PtxType.S64;

    /// <summary>Gets whether the type is bits without a meaning.</summary>
    public static bool IsBits(this PtxType type) => type is PtxType.B8 or PtxType.B16 or PtxType.B32 or PtxType.B64;

    /// <summary>Gets whether a register of a type can be an operand of an instruction of another type, as ptxas has it.</summary>
    public static bool Fits(PtxType register, PtxType instruction) =>
        register == instruction || (register.Size() == instruction.Size() && register != PtxType.Pred && instruction != PtxType.Pred &&
            (register.IsBits() || instruction.IsBits() || (!register.IsFloat() && !instruction.IsFloat())));

    /// <summary>Gets the type of a word such as <c>f32</c>; <see cref="PtxType.None"/> if it is no type.</summary>
    public static PtxType Parse(string word) => word switch
    {
        "pred" => PtxType.Pred,
        "b8" => PtxType.B8,
        "b16" => PtxType.B16,
        "b32" => PtxType.B32,
        "b64" => PtxType.B64,
        "u8" => PtxType.U8,
        "u16" => PtxType.U16,
        "u32" => PtxType.U32,
        "u64" => PtxType.U64,
        "s8" => PtxType.S8,
        "s16" => PtxType.S16,
        "s32" => PtxType.S32,
        "s64" => PtxType.S64,
        "f16" => PtxType.F16,
        "f16x2" => PtxType.F16x2,
        "f32" => PtxType.F32,
        "f64" => PtxType.F64,
        _ => PtxType.None,
    };

    /// <summary>Gets the word of a type.</summary>
    public static string Word(this PtxType type) => type == PtxType.F16x2 ? "f16x2" : type.ToString().ToLowerInvariant();
}
