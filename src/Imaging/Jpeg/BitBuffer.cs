using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace TinyZsad.Imaging;

/// <summary>
/// Reads bits from memory, the highest bit of a byte first. It reads up to 8 bytes ahead and does not check for the end. A local copy
/// is kept in registers.
/// </summary>
internal unsafe struct BitBuffer(byte* next)
{
    /// <summary>The bits that <see cref="Refill"/> provides: the longest code and the longest value after it.</summary>
    private const int Least = 16 + 16;

    private ulong bits;
    private int count;

    /// <summary>The next byte to read.</summary>
    public byte* Next = next;

    /// <summary>The next bits, from the highest on. Some of the lowest may be missing.</summary>
    public readonly ulong Bits
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => this.bits;
    }

    /// <summary>The first byte of which no bit has been taken.</summary>
    public readonly byte* Position => Next - (count >> 3);

    /// <summary>Provides at least 32 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Refill()
    {
        if (count < Least)
        {
            // Bytes of which only a part fits are read again next time.
            this.bits |= BinaryPrimitives.ReadUInt64BigEndian(new ReadOnlySpan<byte>(Next, 8)) >> count;
            Next += (63 - count) >> 3;
            count |= 56;
        }
    }

    /// <summary>Skips 1 to 32 bits.</summary>
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

    /// <summary>Takes a code and the signed value after it (T.81, F.2.2.1, EXTEND).</summary>
    /// <param name="total">The bits of the code and the value; at least 1.</param>
    /// <param name="size">The bits of the value.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int TakeValue(int total, int size)
    {
        int mask = (1 << size) - 1, value = (int)(this.bits >> (64 - total)) & mask;
        Skip(total);
        return value - (((value << 1 >> size) - 1) & mask);
    }
}
