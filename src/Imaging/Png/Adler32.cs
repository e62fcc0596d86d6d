namespace TinyZsad.Imaging;

/// <summary>Computes zlib's Adler-32 checksum.</summary>
internal static class Adler32
{
    /// <summary>The checksum of no bytes.</summary>
    public const uint Empty = 1;

    private const uint Modulus = 65521;

    /// <summary>The most bytes whose sums fit 32 bits without a reduction.</summary>
    private const int MostBytes = 5552;

    /// <summary>Returns the checksum of bytes that follow those of an earlier checksum.</summary>
    public static uint Append(uint earlier, ReadOnlySpan<byte> data)
    {
        uint a = earlier & 0xFFFF, b = earlier >> 16;
        while (!data.IsEmpty)
        {
            ReadOnlySpan<byte> part = data[..Math.Min(data.Length, MostBytes)];
            foreach (byte value in part)
            {
                a += value;
                b += a;
            }

            (a, b) = (a % Modulus, b % Modulus);
            data = data[part.Length..];
        }

        return b << 16 | a;
    }

    /// <summary>Returns the checksum of two sequences of bytes, one after the other.</summary>
    /// <param name="first">The checksum of the first sequence.</param>
    /// <param name="second">The checksum of the second sequence.</param>
    /// <param name="secondLength">The length of the second sequence.</param>
    public static uint Combine(uint first, uint second, long secondLength)
    {
        // The second b counts each byte of the first sequence once more for each byte of the second. Its a started from 1.
        ulong before = (first & 0xFFFF) + Modulus - 1, length = (ulong)(secondLength % Modulus);
        ulong a = (before + (second & 0xFFFF)) % Modulus, b = (before % Modulus * length + (first >> 16) + (second >> 16)) % Modulus;
        return (uint)(b << 16 | a);
    }
}
