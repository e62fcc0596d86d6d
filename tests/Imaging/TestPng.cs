using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace TinyZsad.Tests.Imaging;

/// <summary>A second, plain PNG encoder, written from the standard, that makes every kind of PNG and also wrong ones.</summary>
internal sealed class TestPng
{
    public int Width = 5, Height = 4, Depth = 8, Colour = 2, Interlace;

    /// <summary>The filter of each row, counted over all passes; taken in turn.</summary>
    public byte[] Filters = [0, 1, 2, 3, 4];

    public byte[] Palette = [];

    public int Channels => Colour switch { 2 => 3, 4 => 2, 6 => 4, _ => 1 };

    /// <summary>Width * Height * Channels samples of Depth bits.</summary>
    public int[] Samples = [];

    /// <summary>A picture with random samples and, for palette colours, a full random palette.</summary>
    public static TestPng Make(int colour, int depth, int width, int height, int interlace, int seed)
    {
        Random random = new Random(seed);
        TestPng png = new TestPng { Width = width, Height = height, Depth = depth, Colour = colour, Interlace = interlace };
        png.Samples = [.. Enumerable.Range(0, width * height * png.Channels).Select(_ => random.Next(1 << depth))];
        if (colour == 3)
        {
            png.Palette = new byte[3 << depth];
            random.NextBytes(png.Palette);
        }

        return png;
    }

    /// <summary>What decoding must give.</summary>
    public byte[] Rgb()
    {
        byte[] rgb = new byte[3 * Width * Height];
        for (int i = 0; i < rgb.Length; i++)
        {
            int pixel = i / 3, channel = i % 3;
            int sample = Samples[pixel * Channels + (Channels < 3 ? 0 : channel)];
            rgb[i] = Colour == 3 ? Palette[3 * sample + channel]
                : Depth == 16 ? (byte)(sample >> 8) : (byte)(sample * 255 / ((1 << Depth) - 1));
        }

        return rgb;
    }

    /// <summary>The whole file.</summary>
    public byte[] Encode()
    {
        byte[] plte = Colour == 3 ? Chunk("PLTE", Palette) : [];
        return File(Header(), plte, Chunk("IDAT", Deflate(Filtered())), Chunk("IEND"));
    }

    public static byte[] File(params byte[][] chunks) => [137, 80, 78, 71, 13, 10, 26, 10, .. chunks.SelectMany(c => c)];

    public byte[] Header() => Chunk("IHDR", [.. Word(Width), .. Word(Height), (byte)Depth, (byte)Colour, 0, 0, (byte)Interlace]);

    /// <summary>The rows of all passes with their filter bytes.</summary>
    public byte[] Filtered()
    {
        List<byte> all = new List<byte>();
        int rowNumber = 0;
        (int, int, int, int)[] adam7 =
            [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        foreach ((int x0, int y0, int dx, int dy) in Interlace == 1 ? adam7 : [(0, 0, 1, 1)])
        {
            byte[]? above = null;
            for (int y = y0; y < Height && x0 < Width; y += dy)
            {
                List<bool> bits = new List<bool>();
                for (int x = x0; x < Width; x += dx)
                {
                    for (int c = 0; c < Channels; c++)
                    {
                        int sample = Samples[(y * Width + x) * Channels + c];
                        for (int bit = Depth - 1; bit >= 0; bit--)
                            bits.Add((sample >> bit & 1) != 0);
                    }
                }

                byte[] row = new byte[(bits.Count + 7) / 8];
                for (int i = 0; i < bits.Count; i++)
                    row[i / 8] |= (byte)(bits[i] ? 128 >> i % 8 : 0);
                byte filter = Filters[rowNumber++ % Filters.Length];
                all.Add(filter);
                all.AddRange(Filter(filter, row, above ?? new byte[row.Length], Math.Max(Depth * Channels / 8, 1)));
                above = row;
            }
        }

        return [.. all];
    }

    public static byte[] Chunk(string type, params byte[] data)
    {
        byte[] body = [.. Encoding.ASCII.GetBytes(type), .. data];
        return [.. Word(data.Length), .. body, .. Word((int)Crc(body))];
    }

    public static byte[] Deflate(byte[] data)
    {
        using MemoryStream target = new MemoryStream();
        using (ZLibStream zlib = new ZLibStream(target, CompressionLevel.SmallestSize))
            zlib.Write(data);
        return target.ToArray();
    }

    private static byte[] Word(int value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Filter(byte filter, byte[] row, byte[] above, int distance) => [.. row.Select((value, i) =>
    {
        int a = i < distance ? 0 : row[i - distance], b = above[i], c = i < distance ? 0 : above[i - distance];
        int p = a + b - c, pa = Math.Abs(p - a), pb = Math.Abs(p - b), pc = Math.Abs(p - c);
        return (byte)(value - filter switch
        {
            1 => a,
            2 => b,
            3 => (a + b) / 2,
            4 => pa <= pb && pa <= pc ? a : pb <= pc ? b : c,
            _ => 0,
        });
    })];

    /// <summary>The checksum bit by bit.</summary>
    private static uint Crc(byte[] data)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in data)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
        }

        return ~crc;
    }
}
