using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace TinyZsad.Imaging;

/// <summary>
/// Bits from memory, the highest of a byte first. It looks ahead by up to 8 bytes and knows no end: whoever fills the memory
/// sees to it that there is enough. A copy in a local variable lives in registers.
/// </summary>
internal unsafe struct BitBuffer(byte* next)
{
    /// <summary>What <see cref="Refill"/> provides: the longest code, and the longest value after it.</summary>
    private const int Least = 16 + 16;

    private ulong bits;
    private int count;

    /// <summary>The next byte to look at.</summary>
    public byte* Next = next;

    /// <summary>The bits to come, from the highest on; of the lowest some may be missing.</summary>
    public readonly ulong Bits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => this.bits;
    }

    /// <summary>The first byte of which no bit was taken yet.</summary>
    public readonly byte* Position => Next - (count >> 3);

    /// <summary>Makes sure that there are 32 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Refill()
    {
        if (count < Least)
        {
            // Bytes that do not fit wholly are read again next time, and are the same then.
            this.bits |= BinaryPrimitives.ReadUInt64BigEndian(new ReadOnlySpan<byte>(Next, 8)) >> count;
            Next += (63 - count) >> 3;
            count |= 56;
        }
    }

    /// <summary>Passes over 1 to 32 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Skip(int bits)
    {
        this.bits <<= bits;
        count -= bits;
    }

    /// <summary>Takes 0 to 32 bits as a number.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Take(int bits)
    {
        int value = (int)(this.bits >> 1 >> (63 - bits));
        Skip(bits);
        return value;
    }

    /// <summary>
    /// Takes a code and the value after it, of <paramref name="size"/> bits, which says: half of all values are positive and
    /// stand as they are; the others are less by 2^size - 1.
    /// </summary>
    /// <param name="total">The bits of both, at least 1.</param>
    /// <param name="size">Those of the value.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int TakeValue(int total, int size)
    {
        int mask = (1 << size) - 1, value = (int)(this.bits >> (64 - total)) & mask;
        Skip(total);
        return value - (((value << 1 >> size) - 1) & mask);
    }
}
