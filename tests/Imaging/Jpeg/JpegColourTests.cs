using System.Numerics;
using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>Colours against their definitions, all there are.</summary>
public unsafe class JpegColourTests
{
    /// <summary>libjpeg's factors of 16 fractional bits, in 32-bit arithmetic.</summary>
    [Test]
    public void EveryYCbCrIsLibjpegs() => CheckAll(JpegColourSpace.YCbCr, (y, cb, cr, _) =>
    (
        Clamp(y + (91881 * (cr - 128) + 32768 >> 16)),
        Clamp(y + (-22554 * (cb - 128) - 46802 * (cr - 128) + 32768 >> 16)),
        Clamp(y + (116130 * (cb - 128) + 32768 >> 16))
    ));

    /// <summary>Pillow's way from inks, which it has inverted before.</summary>
    [Test]
    public void EveryInkIsPillows()
    {
        CheckAll(JpegColourSpace.Cmyk, (c, m, y, k) => (Ink(255 - c, k), Ink(255 - m, k), Ink(255 - y, k)));

        static byte Ink(int inverted, int k)
        {
            int product = inverted * k + 128;
            return Clamp(k - ((product >> 8) + product >> 8));
        }
    }

    [Test]
    public void GrayAndRgbAreAsTheyAre()
    {
        CheckAll(JpegColourSpace.Gray, (y, _, _, _) => ((byte)y, (byte)y, (byte)y));
        CheckAll(JpegColourSpace.Rgb, (r, g, b, _) => ((byte)r, (byte)g, (byte)b));
    }

    /// <summary>All values of three components; the fourth goes along.</summary>
    private static void CheckAll(JpegColourSpace space, Func<int, int, int, int, (byte R, byte G, byte B)> definition)
    {
        const int Width = 256;
        int room = Width + Vector<byte>.Count;
        byte[] first = new byte[room], second = new byte[room], third = new byte[room], fourth = new byte[room];
        byte[] rgb = new byte[3 * room + JpegColour.Beyond];
        fixed (byte* a = first, b = second, c = third, d = fourth, to = rgb)
        {
            byte** rows = stackalloc byte*[] { a, b, c, d };
            for (int i = 0; i < Width; i++)
                first[i] = (byte)i;
            for (int i = 0; i < 256 * 256; i++)
            {
                new Span<byte>(second).Fill((byte)i);
                new Span<byte>(third).Fill((byte)(i >> 8));
                new Span<byte>(fourth).Fill((byte)(i * 7 + 3));
                JpegColour.ToRgb(space, rows, Width, to);
                for (int x = 0; x < Width; x++)
                {
                    (byte, byte, byte) expected = definition(x, (byte)i, i >> 8, (byte)(i * 7 + 3));
                    if ((to[3 * x], to[3 * x + 1], to[3 * x + 2]) != expected)
                    {
                        Assert.Fail($"{space} {x}, {(byte)i}, {i >> 8}, {(byte)(i * 7 + 3)}: " +
                            $"{to[3 * x]}, {to[3 * x + 1]}, {to[3 * x + 2]} for {expected}");
                    }
                }
            }
        }
    }

    private static byte Clamp(int value) => (byte)Math.Clamp(value, 0, 255);
}
