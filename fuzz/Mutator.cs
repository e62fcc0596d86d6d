using System.Buffers.Binary;
using System.Text;

namespace TinyZsad.Fuzz;

/// <summary>Damages good inputs.</summary>
internal sealed class Mutator
{
    private static readonly byte[] Bytes = [0, 1, 0x7F, 0x80, 0xFE, 0xFF];

    private static readonly long[] Numbers =
    [
        0, 1, -1, 2, 127, 128, 255, 256, short.MaxValue, 1 << 15, ushort.MaxValue, 1 << 16, 1 << 24, int.MaxValue, int.MinValue,
        uint.MaxValue, 1L << 32, long.MaxValue, long.MinValue,
    ];

    private readonly Random random;
    private readonly FuzzTarget target;
    private readonly byte[][] tokens;

    public Mutator(FuzzTarget target, Random random)
    {
        this.target = target;
        this.random = random;
        tokens = [.. target.Tokens.Select(Encoding.Latin1.GetBytes)];
    }

    /// <summary>An input with one to some dozen damages; mostly one that is whole on the outside.</summary>
    /// <param name="input">What is damaged; stays as it is.</param>
    /// <param name="other">Another, of which parts may be taken.</param>
    public byte[] Mutate(byte[] input, byte[] other)
    {
        byte[] bytes = [.. input];
        do
        {
            bytes = Damage(bytes, other);
        }
        while (random.Next(3) != 0);
        if (bytes.Length > target.MaxLength) bytes = bytes[..target.MaxLength];
        if (target.Repair is not null && random.Next(4) != 0) target.Repair(bytes);
        return bytes;
    }

    private byte[] Damage(byte[] bytes, byte[] other)
    {
        int at = random.Next(bytes.Length + 1), length = Length(bytes.Length - at);
        if (bytes.Length == 0) return Insert(bytes, 0, tokens.Length > 0 ? Pick(tokens) : [Pick(Bytes)]);
        switch (random.Next(12))
        {
            case 0:
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                return bytes;
            case 1:
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                return bytes;
            case 2:
                bytes[random.Next(bytes.Length)] = Pick(Bytes);
                return bytes;
            case 3:
                return SetNumber(bytes);
            case 4: // a neighbouring number, of a length or a count above all
                bytes[random.Next(bytes.Length)] += (byte)(random.Next(2) == 0 ? 1 : 255);
                return bytes;
            case 5:
                return bytes[..at];
            case 6: // deletion
                return [.. bytes[..at], .. bytes[(at + length)..]];
            case 7: // repetition, many times at times: depth
                return Repeat(bytes, at, length);
            case 8: // a splice of two
                return [.. bytes[..at], .. other[random.Next(other.Length + 1)..]];
            case 9: // a part of another
                int from = random.Next(other.Length + 1);
                return Insert(bytes, at, other.AsSpan(from, Length(other.Length - from)));
            case 10 when tokens.Length > 0:
                return Insert(bytes, at, Pick(tokens));
            case 11 when tokens.Length > 0: // a word over what was there
                byte[] token = Pick(tokens);
                return [.. bytes[..at], .. token, .. bytes[Math.Min(bytes.Length, at + token.Length)..]];
            default:
                byte[] some = new byte[random.Next(1, 9)];
                random.NextBytes(some);
                return Insert(bytes, at, some);
        }
    }

    /// <summary>A number of 2, 4 or 8 bytes, in either order: an extreme one, or what stands there and one more or less.</summary>
    private byte[] SetNumber(byte[] bytes)
    {
        int width = 2 << random.Next(3);
        if (bytes.Length < width) return bytes;
        Span<byte> place = bytes.AsSpan(random.Next(bytes.Length - width + 1), width);
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(number, Pick(Numbers) + random.Next(-1, 2));
        number = number[..width];
        if (random.Next(2) == 0) number.Reverse();
        number.CopyTo(place);
        return bytes;
    }

    private byte[] Repeat(byte[] bytes, int at, int length)
    {
        int times = random.Next(8) == 0 ? random.Next(1, 1000) : 1;
        times = Math.Min(times, Math.Max(1, (target.MaxLength - bytes.Length) / Math.Max(1, length)));
        byte[] part = bytes[at..(at + length)];
        List<byte> longer = [.. bytes[..at]];
        for (int i = 0; i <= times; i++) longer.AddRange(part);
        longer.AddRange(bytes[(at + length)..]);
        return [.. longer];
    }

    private static byte[] Insert(byte[] bytes, int at, ReadOnlySpan<byte> some) => [.. bytes[..at], .. some, .. bytes[at..]];

    /// <summary>Mostly short.</summary>
    private int Length(int most) => Math.Min(most, random.Next(4) == 0 ? random.Next(most + 1) : random.Next(1, 17));

    private T Pick<T>(T[] from) => from[random.Next(from.Length)];
}
