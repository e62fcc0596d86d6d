using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>Reduces 16-bit samples to 8 bits.</summary>
internal static class DeepSamples
{
    public const int LeastBits = 8, MostBits = 16;

    /// <summary>Returns the smallest depth, 8 to 16 bits, that holds a sample.</summary>
    public static int BitsOf(int sample) => Math.Max(LeastBits, 32 - BitOperations.LeadingZeroCount((uint)sample));

    /// <summary>Checks a number of significant bits.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not 8 to 16.</exception>
    public static void CheckBits(int value)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, LeastBits);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MostBits);
    }

    /// <summary>Converts each sample s to min(s >> (bits - 8), 255).</summary>
    /// <param name="samples">The samples, two bytes each in the processor's byte order, at any address.</param>
    /// <param name="levels">Receives a byte per sample. It must not overlap the samples.</param>
    /// <param name="bits">The significant bits of a sample, 8 to 16.</param>
    public static void Narrow(ReadOnlySpan<byte> samples, Span<byte> levels, int bits)
    {
        int shift = bits - LeastBits, i = 0;
        levels = levels[..(samples.Length / 2)];
        Vector128<ushort> most = Vector128.Create((ushort)byte.MaxValue);
        for (; i + 16 <= levels.Length; i += 16)
        {
            Vector128<ushort> low = Vector128.Create(samples.Slice(2 * i, 16)).AsUInt16() >> shift;
            Vector128<ushort> high = Vector128.Create(samples.Slice(2 * i + 16, 16)).AsUInt16() >> shift;
            Vector128.Narrow(Vector128.Min(low, most), Vector128.Min(high, most)).CopyTo(levels.Slice(i, 16));
        }

        for (; i < levels.Length; i++)
        {
            levels[i] = (byte)Math.Min(MemoryMarshal.Read<ushort>(samples[(2 * i)..]) >> shift, byte.MaxValue);
        }
    }

    /// <summary>Scales each sample from 0..65535 to 0..255 and rounds it.</summary>
    /// <inheritdoc cref="Narrow"/>
    public static void Scale(ReadOnlySpan<byte> samples, Span<byte> levels)
    {
        int i = 0;
        levels = levels[..(samples.Length / 2)];
        for (; i + 16 <= levels.Length; i += 16)
        {
            Vector128<ushort> low = Vector128.Create(samples.Slice(2 * i, 16)).AsUInt16();
            Vector128<ushort> high = Vector128.Create(samples.Slice(2 * i + 16, 16)).AsUInt16();
            Vector128.Narrow(Over257(low), Over257(high)).CopyTo(levels.Slice(i, 16));
        }

        for (; i < levels.Length; i++)
        {
            levels[i] = (byte)((MemoryMarshal.Read<ushort>(samples[(2 * i)..]) + 128) / 257);
        }

        // (v + 128) / 257 in 16 bits: from 65407 on, the quotient is 255.
        static Vector128<ushort> Over257(Vector128<ushort> v)
        {
            Vector128<ushort> sum = Vector128.Min(v, Vector128.Create((ushort)65_407)) + Vector128.Create((ushort)128);
            return sum - (sum >> 8) >> 8;
        }
    }

    /// <summary>Returns the largest sample.</summary>
    /// <param name="samples">The samples of whole pixels.</param>
    /// <param name="alphaEvery">2 or 4 if every second or fourth sample is alpha, which does not count; otherwise 0.</param>
    public static int Largest(ReadOnlySpan<ushort> samples, int alphaEvery)
    {
        Vector128<ushort> counted = alphaEvery switch
        {
            0 => Vector128<ushort>.AllBitsSet,
            2 => Vector128.Create((ushort)0xFFFF, 0, 0xFFFF, 0, 0xFFFF, 0, 0xFFFF, 0),
            4 => Vector128.Create((ushort)0xFFFF, 0xFFFF, 0xFFFF, 0, 0xFFFF, 0xFFFF, 0xFFFF, 0),
            _ => throw new ArgumentOutOfRangeException(nameof(alphaEvery), alphaEvery, "Alpha is every 2nd or 4th sample, or none."),
        };
        Vector128<ushort> most = default;
        int i = 0;
        for (; i + 8 <= samples.Length; i += 8)
        {
            most = Vector128.Max(most, Vector128.Create(samples.Slice(i, 8)) & counted);
        }

        int largest = 0;
        for (int lane = 0; lane < 8; lane++)
        {
            largest = Math.Max(largest, most.GetElement(lane));
        }

        for (; i < samples.Length; i++)
        {
            largest = Math.Max(largest, samples[i] & counted.GetElement(i % 8));
        }

        return largest;
    }
}
