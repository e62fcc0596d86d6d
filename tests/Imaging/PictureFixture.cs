using System.Security.Cryptography;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>A picture under tests/reference/imaging, with what libpng, netpbm or Pillow make of it.</summary>
internal sealed record PictureFixture(string Name, int Width, int Height, string Hash)
{
    public static PictureFixture[] All { get; } = [.. File.ReadLines(TestData.Path("imaging", "expected.txt"))
        .Select(line => line.Split(' '))
        .Select(words => new PictureFixture(words[0], int.Parse(words[1]), int.Parse(words[2]), words[3]))];

    public byte[] Bytes => File.ReadAllBytes(TestData.Path("imaging", Name));

    public static byte[] Read(string name) => File.ReadAllBytes(TestData.Path("imaging", name));

    public static string HashOf(ReadOnlySpan<byte> pixels) => Convert.ToHexStringLower(SHA256.HashData(pixels));

    /// <summary>Pixels by the rule that make.py describes.</summary>
    public static Image Pattern(int width, int height)
    {
        byte[] pixels = new byte[3 * width * height];
        uint state = (uint)(width * 65536 + height);
        for (int i = 0; i < pixels.Length; i++)
        {
            state = 1664525 * state + 1013904223;
            pixels[i] = (byte)(state >> 16);
        }

        return Image.Create(width, height, pixels);
    }

    public override string ToString() => Name;
}
