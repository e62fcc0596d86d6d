using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>Reads the coefficients of one block: T.81, F.2.2 (sequential) and G.2 (progressive).</summary>
/// <remarks>
/// Blocks are zero before their first scan. A word per block has a bit for each nonzero AC coefficient in zigzag order, so that
/// refining scans need not search for them. Damaged data gives a negative result.
/// </remarks>
internal static unsafe class CoefficientReader
{
    /// <summary>The results for damaged data: an invalid code, or a run of zeros beyond the end of a block.</summary>
    public const int BadCode = -1, TooManyZeros = -2;

    /// <summary>Reads a DC coefficient, which is coded as the difference from the one before it.</summary>
    /// <returns>False if the data is damaged.</returns>
    public static bool ReadDc(ref BitBuffer source, HuffmanCode code, ref int last)
    {
        BitBuffer bits = source;
        bits.Refill();
        uint entry = HuffmanCode.Look(ref code.Lookup, bits.Bits);
        if (entry >= HuffmanCode.Special && (entry = code.Find(bits.Bits)) >= HuffmanCode.Special)
        {
            return false;
        }

        last += bits.TakeValue((byte)entry, (int)(entry >> 8));
        source = bits;
        return true;
    }

    /// <summary>Reads AC coefficients, or their higher bits, for the first time.</summary>
    /// <param name="source">The bits.</param>
    /// <param name="code">The Huffman code.</param>
    /// <param name="block">The block, in natural order.</param>
    /// <param name="start">The first coefficient in zigzag order; at least 1.</param>
    /// <param name="end">The coefficient after the last one.</param>
    /// <param name="shift">The number of lowest bits that later scans code.</param>
    /// <param name="nonzero">Receives a bit for each nonzero coefficient.</param>
    /// <returns>
    /// The number of blocks, from this one on, in which the rest of the band is zero; 0 if this block was read to its end; negative
    /// for damaged data.
    /// </returns>
    public static int ReadBand(
        ref BitBuffer source, HuffmanCode code, short* block, int start, int end, int shift, ref ulong nonzero)
    {
        BitBuffer bits = source;
        ref byte order = ref MemoryMarshal.GetReference(JpegTables.NaturalOrder);
        ref uint lookup = ref code.Lookup;
        ulong found = 0;
        int blocks = 0, k = start;
        for (; k < end; k++)
        {
            bits.Refill();
            uint entry = HuffmanCode.Look(ref lookup, bits.Bits);
            int zeros = (int)(entry >> 16);
            if (k + zeros >= end)
            {
                // This is the end of the block, a run of zeros, a long code, or damaged data.
                entry = code.Find(bits.Bits);
                if (entry >= HuffmanCode.Special)
                {
                    blocks = TakeSpecial(ref bits, entry);
                    if (blocks != 0)
                    {
                        break;
                    }

                    k += 15;
                    continue;
                }

                zeros = (int)(entry >> 16);
                if (k + zeros >= end)
                {
                    return TooManyZeros;
                }
            }

            k += zeros;
            int value = bits.TakeValue((byte)entry, (int)(entry >> 8) & 15);
            block[Unsafe.Add(ref order, k)] = (short)(value << shift);
            found |= 1UL << k;
        }

        nonzero |= found;
        source = bits;
        return k > end ? TooManyZeros : blocks;
    }

    /// <summary>Reads one more bit of AC coefficients.</summary>
    /// <inheritdoc cref="ReadBand"/>
    /// <param name="source">The bits.</param>
    /// <param name="code">The Huffman code.</param>
    /// <param name="block">The block, in natural order.</param>
    /// <param name="start">The first coefficient in zigzag order; at least 1.</param>
    /// <param name="end">The coefficient after the last one.</param>
    /// <param name="shift">The bit. All higher bits are known.</param>
    /// <param name="nonzero">The bits of the nonzero coefficients; receives the new ones.</param>
    /// <param name="blocks">The number of blocks, from this one on, in which no more coefficients become nonzero.</param>
    public static int RefineBand(
        ref BitBuffer source, HuffmanCode code, short* block, int start, int end, int shift, ref ulong nonzero, int blocks)
    {
        BitBuffer bits = source;
        ref byte order = ref MemoryMarshal.GetReference(JpegTables.NaturalOrder);
        ulong known = nonzero;
        int k = start;
        for (; k < end && blocks == 0; k++)
        {
            bits.Refill();
            uint entry = code.Find(bits.Bits);
            int zeros = (int)(entry >> 16), value = 0;
            if (entry >= HuffmanCode.Special)
            {
                blocks = TakeSpecial(ref bits, entry);
                if (blocks != 0)
                {
                    break;
                }

                zeros = 15;
            }
            else if ((entry >> 8 & 15) == 1)
            {
                value = bits.TakeValue((byte)entry, 1) << shift;
            }
            else
            {
                return BadCode;
            }

            // Skips the zeros, and refines the nonzero coefficients between them.
            while (k < end)
            {
                int next = BitOperations.TrailingZeroCount(known >> k);
                if (zeros < next)
                {
                    k += zeros;
                    break;
                }

                zeros -= next;
                k += next;
                if (k < end)
                {
                    Refine(ref bits, ref block[Unsafe.Add(ref order, k)], shift);
                    k++;
                }
            }

            if (k >= end)
            {
                return TooManyZeros;
            }

            if (value != 0)
            {
                block[Unsafe.Add(ref order, k)] = (short)value;
                nonzero |= 1UL << k;
            }
        }

        for (ulong rest = known & Band(k, end); rest != 0; rest &= rest - 1)
        {
            Refine(ref bits, ref block[Unsafe.Add(ref order, BitOperations.TrailingZeroCount(rest))], shift);
        }

        source = bits;
        return blocks;
    }

    /// <summary>Returns the bits of the coefficients from <paramref name="start"/>, at most 63, up to <paramref name="end"/>.</summary>
    public static ulong Band(int start, int end) => start < end ? (ulong.MaxValue << start) & (ulong.MaxValue >> (64 - end)) : 0;

    /// <summary>Adds the next bit to the magnitude of a nonzero coefficient.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Refine(ref BitBuffer bits, ref short coefficient, int shift)
    {
        bits.Refill();
        int step = bits.Take(1) << shift, sign = coefficient >> 15;
        coefficient += (short)((step ^ sign) - sign);
    }

    /// <summary>
    /// Takes a code that is not of a coefficient. Returns 0 for sixteen zeros, the number of blocks for the end of the band, or a
    /// negative number for damaged data.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int TakeSpecial(ref BitBuffer bits, uint entry)
    {
        int length = (byte)entry, zeros = (int)(entry >> 12) & 15;
        if (length == 0)
        {
            return BadCode;
        }

        bits.Skip(length);
        return zeros == 15 ? 0 : (1 << zeros) + bits.Take(zeros);
    }
}
