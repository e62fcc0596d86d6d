using System.Runtime.Intrinsics;
using System.Runtime.CompilerServices;

namespace TinyZsad.Ptx;

/// <summary>Computes the most frequent instructions for all 32 lanes at once.</summary>
internal static unsafe class Vectors
{
    /// <summary>Makes an addition; null if the type has none here.</summary>
    public static Instruction? Add(PtxType type, Instruction partial, Slot d, Slot a, Slot b) => type switch
    {
        PtxType.U32 or PtxType.S32 => new Wide(&AddInt, partial, d, a, b, a),
        PtxType.U64 or PtxType.S64 => new Wide(&AddLong, partial, d, a, b, a),
        PtxType.F32 => new Wide(&AddFloat, partial, d, a, b, a),
        _ => null,
    };

    /// <summary>Makes a subtraction; null if the type has none here.</summary>
    public static Instruction? Subtract(PtxType type, Instruction partial, Slot d, Slot a, Slot b) => type switch
    {
        PtxType.U32 or PtxType.S32 => new Wide(&SubtractInt, partial, d, a, b, a),
        PtxType.F32 => new Wide(&SubtractFloat, partial, d, a, b, a),
        _ => null,
    };

    /// <summary>Makes a multiplication; null if the type has none here.</summary>
    public static Instruction? Multiply(PtxType type, Instruction partial, Slot d, Slot a, Slot b) => type switch
    {
        PtxType.U32 or PtxType.S32 => new Wide(&MultiplyInt, partial, d, a, b, a),
        PtxType.F32 => new Wide(&MultiplyFloat, partial, d, a, b, a),
        _ => null,
    };

    /// <summary>Makes a multiplication with addition; null if the type has none here.</summary>
    public static Instruction? MultiplyAdd(PtxType type, Instruction partial, Slot d, Slot a, Slot b, Slot c) => type switch
    {
        PtxType.U32 or PtxType.S32 => new Wide(&MultiplyAddInt, partial, d, a, b, c),
        PtxType.F32 => new Wide(&MultiplyAddFloat, partial, d, a, b, c),
        _ => null,
    };

    /// <summary>Makes a copy of 32 or 64 bits.</summary>
    public static Instruction Copy(int stride, Instruction partial, Slot d, Slot a) => stride == 8
        ? new Wide(&CopyLong, partial, d, a, a, a)
        : new Wide(&CopyInt, partial, d, a, a, a);

    private static void CopyInt(byte* d, byte* a, byte* b, byte* c) => Unsafe.CopyBlock(d, a, 128);

    private static void CopyLong(byte* d, byte* a, byte* b, byte* c) => Unsafe.CopyBlock(d, a, 256);

    private static void AddInt(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 128; i += 32) (Vector256.Load((int*)(a + i)) + Vector256.Load((int*)(b + i))).Store((int*)(d + i));
    }

    private static void AddLong(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 256; i += 32) (Vector256.Load((long*)(a + i)) + Vector256.Load((long*)(b + i))).Store((long*)(d + i));
    }

    private static void AddFloat(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 128; i += 32) (Vector256.Load((float*)(a + i)) + Vector256.Load((float*)(b + i))).Store((float*)(d + i));
    }

    private static void SubtractInt(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 128; i += 32) (Vector256.Load((int*)(a + i)) - Vector256.Load((int*)(b + i))).Store((int*)(d + i));
    }

    private static void SubtractFloat(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 128; i += 32) (Vector256.Load((float*)(a + i)) - Vector256.Load((float*)(b + i))).Store((float*)(d + i));
    }

    private static void MultiplyInt(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 128; i += 32) (Vector256.Load((int*)(a + i)) * Vector256.Load((int*)(b + i))).Store((int*)(d + i));
    }

    private static void MultiplyFloat(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 128; i += 32) (Vector256.Load((float*)(a + i)) * Vector256.Load((float*)(b + i))).Store((float*)(d + i));
    }

    private static void MultiplyAddInt(byte* d, byte* a, byte* b, byte* c)
    {
        for (int i = 0; i < 128; i += 32)
        {
            (Vector256.Load((int*)(a + i)) * Vector256.Load((int*)(b + i)) + Vector256.Load((int*)(c + i))).Store((int*)(d + i));
        }
    }

    private static void MultiplyAddFloat(byte* d, byte* a, byte* b, byte* c)
    {
        // Vector256.FusedMultiplyAdd rounds once on every processor.
        for (int i = 0; i < 128; i += 32)
        {
            Vector256.FusedMultiplyAdd(Vector256.Load((float*)(a + i)), Vector256.Load((float*)(b + i)),
                Vector256.Load((float*)(c + i))).Store((float*)(d + i));
        }
    }
}
