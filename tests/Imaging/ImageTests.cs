using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>Pictures in memory and PNG out.</summary>
public class ImageTests
{
    [Test]
    public void AnImageKeepsItsOwnCopy()
    {
        byte[] pixels = [1, 2, 3, 4, 5, 6];
        Image image = Image.Create(2, 1, pixels);
        pixels[0] = 99;
        Assert.That(image.Pixels.ToArray(), Is.EqualTo((byte[])[1, 2, 3, 4, 5, 6]));
        Assert.That(image.View.Row(0).ToArray(), Is.EqualTo((byte[])[1, 2, 3, 4, 5, 6]));
        Assert.That(() => Image.Create(2, 2, new byte[11]), Throws.ArgumentException.With.Message.Contains("12 bytes, not 11"));
        Assert.That(() => Image.Create(0, 2, []), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Image.Create(int.MaxValue, int.MaxValue, []), Throws.ArgumentException);
    }

    [Test]
    public void AViewChecksItsBuffer()
    {
        // The last row needs no gap after it.
        Assert.That(new ImageView(new byte[16 * 2 + 9], 3, 3, 16, PixelFormat.Bgr24).Row(2).Length, Is.EqualTo(9));
        Assert.That(() => View(16 * 2 + 8, 3, 3, 16), Throws.ArgumentException.With.Message.Contains("41 bytes"));
        Assert.That(() => View(100, 0, 3, 16), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => View(100, 3, -1, 16), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => View(100, 3, 3, 8), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("9 bytes"));
        Assert.That(() => View(100, 3, 3, -8), Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("9 bytes"));
        Assert.That(() => View(100, 3, 3, int.MinValue), Throws.ArgumentException);
        Assert.That(() => View(100, int.MaxValue, int.MaxValue, int.MaxValue), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => View(100, 1, int.MaxValue, int.MaxValue), Throws.ArgumentException);
        Assert.That(() => { _ = new ImageView(new byte[100], int.MaxValue, 1, PixelFormat.Rgba32); },
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("width"));
        Assert.That(() => { _ = new ImageView(new byte[100], 2, 2, 16, (PixelFormat)77); },
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => { _ = new ImageView(new byte[100], 2, 2, PixelFormat.Rgb24).Row(2); },
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => { _ = new ImageView(new byte[100], 2, 2, PixelFormat.Rgb24).Row(-1); },
            Throws.TypeOf<ArgumentOutOfRangeException>());

        static void View(int length, int width, int height, int stride) =>
            _ = new ImageView(new byte[length], width, height, stride, PixelFormat.Rgb24);
    }

    [Test]
    public void PngsComeBackAsTheyWere([Values] PixelFormat format, [Values(0, 7)] int gap)
    {
        foreach ((int width, int height) in ((int, int)[])[(1, 1), (1, 5), (6, 1), (5, 5), (16, 3), (33, 21), (300, 200)])
        {
            int rowBytes = width * format.BytesPerPixel(), stride = rowBytes + gap;
            byte[] pixels = new byte[stride * height];
            Random random = new Random(width);

            // Smooth and noisy parts, so that every filter wins somewhere.
            for (int i = 0; i < pixels.Length; i++)
            {
                pixels[i] = (byte)(i / stride % 40 < 20
                    ? i % stride * 3 + i / stride * (i % 5) + random.Next(3) : random.Next(256));
            }

            ImageView view = new ImageView(pixels, width, height, stride, format);
            using MemoryStream stream = new MemoryStream();
            PngEncoder.Save(stream, view);
            stream.Position = 0;
            Assert.That(Image.Load(stream).Pixels.SequenceEqual(Image.Create(view).Pixels), $"{width} x {height}");
        }
    }

    [Test]
    public void ALargePictureTakesManyChunksAndSmoothOnesLittleSpace()
    {
        Image noise = PictureFixture.Pattern(300, 300);
        using MemoryStream large = new MemoryStream();
        noise.SavePng(large);
        Assert.That(large.Length, Is.InRange(3 * 300 * 300, 3 * 300 * 300 * 1.01));
        Assert.That(Image.Load(large.ToArray()).Pixels.SequenceEqual(noise.Pixels));

        byte[] ramp = new byte[3 * 256 * 256];
        for (int i = 0; i < ramp.Length; i++)
            ramp[i] = (byte)(i / 3 % 256 + i / 768);
        using MemoryStream small = new MemoryStream();
        Image.Create(256, 256, ramp).SavePng(small);
        Assert.That(small.Length, Is.LessThan(2000), "a ramp needs filters to be small");
    }
}
