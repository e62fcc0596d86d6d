using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>
/// Reads the coefficients of one block: T.81, F.2.2 (sequential) and G.2 (progressive). Blocks are zero before their first scan.
/// Which alternating coefficients (AC) of a block are not zero is kept in a word, a bit each in zigzag order, so that a scan
/// that refines them need not search. Damage is a result below zero.
/// </summary>
internal static unsafe class CoefficientReader
{
    /// <summary>Damage: bits that are no code, or one that means nothing here; zeros that lead out of a block.</summary>
    public const int BadCode = -1, TooManyZeros = -2;

    /// <summary>Reads the difference of a constant coefficient (DC) from the one before it, and adds that.</summary>
    /// <returns>False for damage.</returns>
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

    /// <summary>Reads alternating coefficients, or the higher bits of them, for the first time.</summary>
    /// <param name="source">The bits.</param>
    /// <param name="code">Their code.</param>
    /// <param name="block">The block, in natural order.</param>
    /// <param name="start">The first in zigzag order, at least 1.</param>
    /// <param name="end">Behind the last.</param>
    /// <param name="shift">Lowest bits to come later.</param>
    /// <param name="nonzero">Gets a bit for each coefficient that is not zero.</param>
    /// <returns>
    /// In how many blocks, from this one on, the rest of the band is zero; 0 where this block was read to the end; or damage.
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
                // The end of the block, a run of zeros, a long code, or damage.
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

    /// <summary>Reads one more bit of each alternating coefficient.</summary>
    /// <inheritdoc cref="ReadBand"/>
    /// <param name="source">The bits.</param>
    /// <param name="code">Their code.</param>
    /// <param name="block">The block, in natural order.</param>
    /// <param name="start">The first in zigzag order, at least 1.</param>
    /// <param name="end">Behind the last.</param>
    /// <param name="shift">Which bit; all higher ones are known.</param>
    /// <param name="nonzero">Has a bit for each coefficient that is not zero, and gets more.</param>
    /// <param name="blocks">In how many blocks, from this one on, no coefficient of the band becomes nonzero any more.</param>
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

            // Passes over so many zeros, and over what is not zero on the way.
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

    /// <summary>A bit for each coefficient from one, at most 63, up to another.</summary>
    public static ulong Band(int start, int end) => start < end ? (ulong.MaxValue << start) & (ulong.MaxValue >> (64 - end)) : 0;

    /// <summary>Moves a coefficient that is not zero away from zero by its next bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Refine(ref BitBuffer bits, ref short coefficient, int shift)
    {
        bits.Refill();
        int step = bits.Take(1) << shift, sign = coefficient >> 15;
        coefficient += (short)((step ^ sign) - sign);
    }

    /// <summary>
    /// Takes what is no coefficient: of sixteen zeros 0; of the end of a block, in how many blocks the band ends here; or damage.
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
