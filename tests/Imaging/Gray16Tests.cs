using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>Gray of two bytes gives everywhere what the 8-bit gray gives for which it stands.</summary>
internal sealed class Gray16Tests
{
    private static readonly (int Width, int Height)[] Sizes = [(1, 1), (2, 3), (7, 5), (16, 4), (33, 6), (1100, 2)];

    [Test]
    public void StandsForItsSignificantBits(
        [Values(8, 9, 10, 12, 16)] int bits, [Values(0, 1, 6)] int gap, [Values] bool isBottomUp, [Values] bool atOddAddress)
    {
        foreach ((int width, int height) in Sizes)
        {
            Pair(width, height, bits, gap, isBottomUp, atOddAddress ? 1 : 0, out byte[] deep, out byte[] gray);
            using GuardedBuffer guarded = new GuardedBuffer(deep);
            int stride = 2 * width + gap;
            ImageView view = new ImageView(guarded.Span[(atOddAddress ? 1 : 0)..], width, height, isBottomUp ? -stride : stride,
                PixelFormat.Gray16) { SignificantBits = bits };
            Compare(view, new ImageView(gray, width, height, PixelFormat.Gray8));
            if (width > 2 && height > 2)
            {
                Compare(view.Crop(1, 1, width - 2, height - 1),
                    new ImageView(gray, width, height, PixelFormat.Gray8).Crop(1, 1, width - 2, height - 1));
            }
        }

        static void Compare(ImageView deep, ImageView gray)
        {
            Assert.That(Image.Create(deep).Pixels.SequenceEqual(Image.Create(gray).Pixels));
            foreach ((int width, int height) in ((int, int)[])[(1, 1), (5, 40), (gray.Width, 9), (9, gray.Height),
                (gray.Width, gray.Height)])
            {
                byte[] expected = new byte[3 * width * height], rgb = new byte[expected.Length];
                Resampler.Resize(gray, expected, width, height);
                Resampler.Resize(deep, rgb, width, height);
                Assert.That(rgb, Is.EqualTo(expected), $"{width} x {height}");
            }
        }
    }

    [Test]
    public void IsWrittenAsGray([Values(10, 16)] int bits, [Values(1, 3, 100)] int bandRows)
    {
        Pair(67, 9, bits, 3, false, 0, out byte[] deep, out byte[] gray);
        ImageView view = new ImageView(deep, 67, 9, 2 * 67 + 3, PixelFormat.Gray16) { SignificantBits = bits };
        using MemoryStream expected = new MemoryStream(), png = new MemoryStream();
        PngEncoder.Save(expected, new ImageView(gray, 67, 9, PixelFormat.Gray8), bandRows);
        PngEncoder.Save(png, view, bandRows);
        Assert.That(png.ToArray(), Is.EqualTo(expected.ToArray()));
    }

    [Test]
    public void IsDrawnOver([Values(10, 16)] int bits)
    {
        // Large enough for several threads.
        const int width = 1200, height = 900;
        Pair(width, height, bits, 0, false, 0, out byte[] deep, out byte[] gray);
        ImageView view = new ImageView(deep, width, height, PixelFormat.Gray16) { SignificantBits = bits };
        ImageView eight = new ImageView(gray, width, height, PixelFormat.Gray8);
        float[] map = [0, 1, 0.5f, 0.25f];
        Assert.That(Overlay.Render(view, map, 2, 2).Pixels.SequenceEqual(Overlay.Render(eight, map, 2, 2).Pixels));
        byte[] drawn = new byte[4 * width * height], expected = new byte[drawn.Length];
        Overlay.Render(view, map, 2, 2, drawn, PixelFormat.Bgra32, 4 * width);
        Overlay.Render(eight, map, 2, 2, expected, PixelFormat.Bgra32, 4 * width);
        Assert.That(drawn.AsSpan().SequenceEqual(expected));
    }

    [Test]
    public void SignificantBitsAreCheckedAndKept()
    {
        byte[] pixels = new byte[2 * 3 * 4];
        Assert.That(default(ImageView).SignificantBits, Is.EqualTo(16));
        Assert.That(default(ImageFrame).SignificantBits, Is.EqualTo(16));
        Assert.That(new ImageView(pixels, 3, 4, PixelFormat.Gray16).SignificantBits, Is.EqualTo(16));
        ImageFrame frame = new ImageFrame(pixels, 3, 4, PixelFormat.Gray16) { SignificantBits = 10 };
        Assert.That(frame.SignificantBits, Is.EqualTo(10));
        Assert.That(frame.View.SignificantBits, Is.EqualTo(10));
        Assert.That(frame.View.Crop(1, 1, 1, 1).SignificantBits, Is.EqualTo(10));
        Assert.That(new ImageFrame(pixels, 3, 4, PixelFormat.Gray16).View.SignificantBits, Is.EqualTo(16));
        foreach (int bits in (int[])[int.MinValue, 0, 7, 17])
        {
            Assert.That(() => { _ = new ImageView(pixels, 3, 4, PixelFormat.Gray16) { SignificantBits = bits }; },
                Throws.TypeOf<ArgumentOutOfRangeException>());
            Assert.That(() => new ImageFrame(pixels, 3, 4, PixelFormat.Gray16) { SignificantBits = bits },
                Throws.TypeOf<ArgumentOutOfRangeException>());
        }

        Assert.That(() => { _ = new ImageView(pixels, 3, 4, 5, PixelFormat.Gray16); },
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("6 bytes"));
    }

    /// <summary>Other formats have 8 bits whatever the property says.</summary>
    [Test]
    public void OtherFormatsIgnoreTheBits()
    {
        Image image = PictureFixture.Pattern(5, 4);
        ImageView view = new ImageView(image.Pixels, 5, 4, PixelFormat.Bgr24) { SignificantBits = 8 };
        Assert.That(Image.Create(view).Pixels.SequenceEqual(Image.Create(new ImageView(image.Pixels, 5, 4, PixelFormat.Bgr24)).Pixels));
    }

    /// <summary>Makes a buffer of 16-bit gray, some of it brighter than the bits allow, and its 8-bit gray without gaps.</summary>
    private static void Pair(int width, int height, int bits, int gap, bool isBottomUp, int lead, out byte[] deep, out byte[] gray)
    {
        int stride = 2 * width + gap;
        deep = new byte[lead + (height - 1) * stride + 2 * width];
        gray = new byte[width * height];
        Random random = new Random(width + bits);
        random.NextBytes(deep);
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                int sample = random.Next(1 << bits) + (random.Next(9) == 0 ? 1 << bits : 0) & 0xFFFF;
                int at = lead + (isBottomUp ? height - 1 - y : y) * stride + 2 * x;
                (deep[at], deep[at + 1]) = ((byte)(sample % 256), (byte)(sample / 256));
                gray[y * width + x] = (byte)Math.Min(sample / (1 << (bits - 8)), 255);
            }
        }
    }
}
