using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>
/// Computes libjpeg's accurate integer inverse DCT (Loeffler, Ligtenberg and Moschytz 1989, with constants of 13 bits) in the 16-bit
/// arithmetic of libjpeg-turbo's SIMD code for x86. Results are equal even if coefficients overflow 16 bits.
/// </summary>
internal static unsafe class InverseDct
{
    /// <summary>The most blocks that are transformed at once. <see cref="Transform"/> takes a multiple of it.</summary>
    public const int MaxBlocks = 2;

    /// <summary>The fractional bits of the constants, and those between the two passes.</summary>
    private const int ConstantBits = 13, KeptBits = 2;

    private const int ColumnShift = ConstantBits - KeptBits, RowShift = ConstantBits + KeptBits + 3;

    // The constants of the paper, such as 0.541196100, times 2^13.
    private const short F0298 = 2446, F0390 = 3196, F0541 = 4433, F0765 = 6270, F0899 = 7373, F1175 = 9633, F1501 = 12299,
        F1847 = 15137, F1961 = 16069, F2053 = 16819, F2562 = 20995, F3072 = 25172;

    /// <summary>Computes the samples of blocks side by side.</summary>
    /// <param name="blocks">The blocks: 64 coefficients each, rows from top to bottom.</param>
    /// <param name="nonzero">A word per block; 0 if all AC coefficients are 0.</param>
    /// <param name="count">The number of blocks, a multiple of <see cref="MaxBlocks"/>.</param>
    /// <param name="quantisation">The quantisation steps.</param>
    /// <param name="samples">Receives 8 rows of 8 samples per block.</param>
    /// <param name="stride">The samples from a row to the next.</param>
    public static void Transform(
        short* blocks, ulong* nonzero, int count, ReadOnlySpan<ushort> quantisation, byte* samples, nint stride)
    {
        fixed (ushort* steps = quantisation)
        {
            if (Vector256.IsHardwareAccelerated)
            {
                Transform<DctLanes2>(blocks, nonzero, count, (short*)steps, samples, stride);
            }
            else
            {
                Transform<DctLanes1>(blocks, nonzero, count, (short*)steps, samples, stride);
            }
        }
    }

    private static void Transform<T>(short* blocks, ulong* nonzero, int count, short* steps, byte* samples, nint stride)
        where T : unmanaged, IDctLanes<T>
    {
        for (int i = 0; i < count; i += T.Blocks)
        {
            ulong any = 0;
            for (int b = i; b < i + T.Blocks; b++)
            {
                any |= nonzero[b];
            }

            if (any != 0)
            {
                TransformLanes<T>(blocks + i * 64, steps, samples + i * 8, stride);
            }
            else
            {
                for (int b = i; b < i + T.Blocks; b++)
                {
                    Fill(Constant(blocks[b * 64], steps[0]), samples + b * 8, stride);
                }
            }
        }
    }

    /// <summary>Returns the sample of a block with a DC coefficient only.</summary>
    private static byte Constant(short coefficient, short step)
    {
        short kept = (short)(coefficient * step << KeptBits);
        return (byte)(Math.Clamp((kept + (1 << (KeptBits + 2))) >> (KeptBits + 3), -128, 127) + 128);
    }

    private static void Fill(byte sample, byte* samples, nint stride)
    {
        ulong row = sample * 0x0101010101010101UL;
        for (int y = 0; y < 8; y++)
        {
            Unsafe.WriteUnaligned(samples + y * stride, row);
        }
    }

    private static void TransformLanes<T>(short* blocks, short* steps, byte* samples, nint stride)
        where T : unmanaged, IDctLanes<T>
    {
        T* rows = stackalloc T[8];
        T below = default;
        for (int y = 0; y < 8; y++)
        {
            T coefficients = T.Load(blocks + 8 * y);
            below = y == 0 ? below : below | coefficients;
            rows[y] = T.Multiply16(coefficients, T.Broadcast(steps + 8 * y));
        }

        // libjpeg-turbo does not saturate columns that are zero below the first row. This matters only for overflows.
        T alone = T.ShiftLeft16(rows[0], KeptBits);
        Pass(rows, ColumnShift);
        for (int y = 0; y < 8; y++)
        {
            rows[y] = T.WhereZero(below, alone, rows[y]);
        }

        Transpose(rows);
        Pass(rows, RowShift);
        Transpose(rows);
        for (int y = 0; y < 8; y += 2)
        {
            T.StoreTwoRows(T.ToSamples(rows[y], rows[y + 1]), samples + y * stride, stride);
        }
    }

    /// <summary>Transforms each column. It is not inlined, because the JIT compiler does not optimize methods that are too large.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Pass<T>(T* rows, int shift) where T : unmanaged, IDctLanes<T>
    {
        // The even part.
        T r0 = rows[0], r2 = rows[2], r4 = rows[4], r6 = rows[6];
        Wide<T> rounding = Wide<T>.Of(1 << (shift - 1));
        Wide<T> sum = Wide<T>.Scaled(T.Add16(r0, r4)) + rounding, difference = Wide<T>.Scaled(T.Subtract16(r0, r4)) + rounding;
        Wide<T> z2 = Wide<T>.Products(r2, F0541 + F0765, r6, F0541), z3 = Wide<T>.Products(r2, F0541, r6, F0541 - F1847);
        Wide<T> e0 = sum + z2, e3 = sum - z2, e1 = difference + z3, e2 = difference - z3;

        // The odd part.
        T r1 = rows[1], r3 = rows[3], r5 = rows[5], r7 = rows[7];
        T s73 = T.Add16(r7, r3), s51 = T.Add16(r5, r1);
        Wide<T> z5 = Wide<T>.Products(s73, F1175 - F1961, s51, F1175), z4 = Wide<T>.Products(s73, F1175, s51, F1175 - F0390);
        Wide<T> o0 = Wide<T>.Products(r7, F0298 - F0899, r1, -F0899) + z5;
        Wide<T> o1 = Wide<T>.Products(r5, F2053 - F2562, r3, -F2562) + z4;
        Wide<T> o2 = Wide<T>.Products(r5, -F2562, r3, F3072 - F2562) + z5;
        Wide<T> o3 = Wide<T>.Products(r7, -F0899, r1, F1501 - F0899) + z4;

        rows[0] = (e0 + o3).Narrow(shift);
        rows[7] = (e0 - o3).Narrow(shift);
        rows[1] = (e1 + o2).Narrow(shift);
        rows[6] = (e1 - o2).Narrow(shift);
        rows[2] = (e2 + o1).Narrow(shift);
        rows[5] = (e2 - o1).Narrow(shift);
        rows[3] = (e3 + o0).Narrow(shift);
        rows[4] = (e3 - o0).Narrow(shift);
    }

    /// <summary>Transposes the blocks.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Transpose<T>(T* rows) where T : unmanaged, IDctLanes<T>
    {
        T r0 = rows[0], r1 = rows[1], r2 = rows[2], r3 = rows[3], r4 = rows[4], r5 = rows[5], r6 = rows[6], r7 = rows[7];
        T a0 = T.ZipLow16(r0, r1), a1 = T.ZipHigh16(r0, r1), a2 = T.ZipLow16(r2, r3), a3 = T.ZipHigh16(r2, r3);
        T a4 = T.ZipLow16(r4, r5), a5 = T.ZipHigh16(r4, r5), a6 = T.ZipLow16(r6, r7), a7 = T.ZipHigh16(r6, r7);
        T b0 = T.ZipLow32(a0, a2), b1 = T.ZipHigh32(a0, a2), b2 = T.ZipLow32(a1, a3), b3 = T.ZipHigh32(a1, a3);
        T b4 = T.ZipLow32(a4, a6), b5 = T.ZipHigh32(a4, a6), b6 = T.ZipLow32(a5, a7), b7 = T.ZipHigh32(a5, a7);
        (rows[0], rows[1]) = (T.ZipLow64(b0, b4), T.ZipHigh64(b0, b4));
        (rows[2], rows[3]) = (T.ZipLow64(b1, b5), T.ZipHigh64(b1, b5));
        (rows[4], rows[5]) = (T.ZipLow64(b2, b6), T.ZipHigh64(b2, b6));
        (rows[6], rows[7]) = (T.ZipLow64(b3, b7), T.ZipHigh64(b3, b7));
    }

    /// <summary>Holds 32-bit numbers for the first four and the last four columns of each block.</summary>
    private readonly struct Wide<T>(T low, T high) where T : unmanaged, IDctLanes<T>
    {
        private readonly T low = low, high = high;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Wide<T> Of(int value) => new(T.Broadcast(value), T.Broadcast(value));

        /// <summary>Returns 16-bit numbers times 2^13.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Wide<T> Scaled(T a) => new(T.ShiftRight32(T.ZipLow16(default, a), 16 - ConstantBits),
            T.ShiftRight32(T.ZipHigh16(default, a), 16 - ConstantBits));

        /// <summary>Returns a * ca + b * cb.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Wide<T> Products(T a, short ca, T b, short cb)
        {
            T constants = T.Broadcast((ushort)ca | cb << 16);
            return new(T.MultiplyPairs(T.ZipLow16(a, b), constants), T.MultiplyPairs(T.ZipHigh16(a, b), constants));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Wide<T> operator +(Wide<T> a, Wide<T> b) => new(T.Add32(a.low, b.low), T.Add32(a.high, b.high));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Wide<T> operator -(Wide<T> a, Wide<T> b) =>
            new(T.Subtract32(a.low, b.low), T.Subtract32(a.high, b.high));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public T Narrow(int shift) => T.Narrow32(T.ShiftRight32(this.low, shift), T.ShiftRight32(this.high, shift));
    }
}
