using System.Drawing;
using System.Runtime.InteropServices;
using System.Text;
using NUnit.Framework;
using TinyZsad.Imaging;
using Image = TinyZsad.Imaging.Image;

namespace TinyZsad.Tests.Imaging;

/// <summary>Heatmaps, overlays, masks and maps in files.</summary>
public class RenderingTests
{
    [Test]
    public void ColoursGrowLighterEvenly()
    {
        Assert.That(Heatmap.Colours.Length, Is.EqualTo(768));
        double[] lightness = [.. Enumerable.Range(0, 256).Select(Lightness)];
        for (int i = 1; i < 256; i++)
        {
            // 0.74 / 255 a step; a byte more or less in each channel is at most 0.0035 of lightness here.
            Assert.That(lightness[i] - lightness[i - 1], Is.EqualTo(0.74 / 255).Within(0.0035), $"step {i}");
        }

        // The lightness of OKLab, from the bytes.
        static double Lightness(int i)
        {
            double[] c = [.. Heatmap.Colours.Slice(3 * i, 3).ToArray().Select(v =>
                v / 255.0 <= 0.04045 ? v / 255.0 / 12.92 : Math.Pow((v / 255.0 + 0.055) / 1.055, 2.4))];
            return 0.2104542553 * Math.Cbrt(0.4122214708 * c[0] + 0.5363325363 * c[1] + 0.0514459929 * c[2])
                + 0.7936177850 * Math.Cbrt(0.2119034982 * c[0] + 0.6806995451 * c[1] + 0.1073969566 * c[2])
                - 0.0040720468 * Math.Cbrt(0.0883024619 * c[0] + 0.2817188376 * c[1] + 0.6299787005 * c[2]);
        }
    }

    [TestCase(-1f, 0)]
    [TestCase(2f, 0)]
    [TestCase(4f, 128)]
    [TestCase(6f, 255)]
    [TestCase(9f, 255)]
    [TestCase(float.NaN, 0)]
    [TestCase(float.NegativeInfinity, 0)]
    [TestCase(float.PositiveInfinity, 255)]
    public void LevelsAreClamped(float value, int level) => Assert.That(Heatmap.Level(value, 2, 6), Is.EqualTo(level));

    [Test]
    public void NormalPartsStayAndAnomalousOnesAreCoveredAndTheLegendHidesNothing(
        [Values(1, 40, 100, 500)] int width, [Values(1, 30, 100, 400)] int height)
    {
        Image picture = PictureFixture.Pattern(width, height);
        Image normal = Overlay.Render(picture.View, [0, 0, 0, 0], 2, 2, new() { Score = 0.25f });
        Image anomalous = Overlay.Render(picture.View, [1, 1, 1, 1], 2, 2, new() { Score = 0.25f, Opacity = 1 });
        Assert.That(normal.Width, Is.GreaterThan(width));
        Assert.That(normal.Height, Is.GreaterThanOrEqualTo(height));
        byte[] hottest = Heatmap.Colours[^3..].ToArray();
        for (int y = 0; y < height; y++)
        {
            Assert.That(normal.View.Row(y)[..(3 * width)].SequenceEqual(picture.View.Row(y)), $"row {y}");
            for (int x = 0; x < width; x++)
                Assert.That(anomalous.View.Row(y).Slice(3 * x, 3).SequenceEqual(hottest), $"pixel {x}, {y}");
        }
    }

    /// <summary>Black under a fully opaque map: the colours show the resized map itself.</summary>
    [Test]
    public void TheMapIsResizedBilinearlyBetweenCentres()
    {
        const int width = 12, height = 8;
        float[] map = [0, 1, 0.5f, 0.25f, 0.75f, 1];
        Image overlay = Overlay.Render(new ImageView(new byte[width * height], width, height, PixelFormat.Gray8), map, 3, 2,
            new() { Score = 0, Opacity = 1 });
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                double u = Math.Clamp((x + 0.5) * 3 / width - 0.5, 0, 2), v = Math.Clamp((y + 0.5) * 2 / height - 0.5, 0, 1);
                int x0 = Math.Min((int)u, 1), y0 = Math.Min((int)v, 0);
                double value = (map[3 * y0 + x0] * (1 - u + x0) + map[3 * y0 + x0 + 1] * (u - x0)) * (1 - v + y0)
                    + (map[3 * y0 + 3 + x0] * (1 - u + x0) + map[3 * y0 + 4 + x0] * (u - x0)) * (v - y0);
                int alpha = (int)(256 * value * value * (3 - 2 * value) + 0.5);
                byte red = overlay.View.Row(y)[3 * x];
                byte expected = (byte)(Heatmap.Colours[3 * (int)(value * 255 + 0.5)] * alpha + 128 >> 8);

                // The value is rounded to one of 256 levels first; one level is at most 4 of red or alpha.
                Assert.That((int)red, Is.EqualTo((int)expected).Within(4), $"pixel {x}, {y}");
            }
        }
    }

    [Test]
    public void TheLegendShowsTheScoreAndTheBar()
    {
        Image picture = PictureFixture.Pattern(200, 150);
        Image one = Overlay.Render(picture.View, [0.5f], 1, 1, new() { Score = 0.111f }),
            other = Overlay.Render(picture.View, [0.5f], 1, 1, new() { Score = 0.999f });
        Assert.That(one.Pixels.SequenceEqual(other.Pixels), Is.False, "another score, another text");
        Assert.That(one.Width, Is.EqualTo(other.Width));
        Assert.That(Strip(one, 0), Does.Contain(Hex(Heatmap.Colours[..3])).And.Contain(Hex(Heatmap.Colours[^3..])));

        // Odd numbers are printed, not refused.
        foreach (float score in (float[])[float.NaN, float.PositiveInfinity, -12.5f, 1e30f, 1e-30f])
            Assert.That(WidthOf(new() { Low = -1e6f, High = 1e20f, Score = score }), Is.GreaterThan(200));
        Assert.That(WidthOf(new() { Low = 1, High = float.BitIncrement(1), Score = 0 }), Is.GreaterThan(200));

        int WidthOf(OverlayOptions options) => Overlay.Render(picture.View, [0.5f], 1, 1, options).Width;

        static string Strip(Image image, int from) =>
            string.Join(' ', Enumerable.Range(from, image.Height).SelectMany(y =>
                Enumerable.Range(200, image.Width - 200).Select(x => Hex(image.View.Row(y).Slice(3 * x, 3)))));

        static string Hex(ReadOnlySpan<byte> pixel) => Convert.ToHexString(pixel);
    }

    [Test]
    public void OverlaysGoIntoABuffer(
        [Values(PixelFormat.Rgb24, PixelFormat.Bgr24, PixelFormat.Rgba32, PixelFormat.Bgra32)] PixelFormat format,
        [Values(1, -1)] int direction)
    {
        const int width = 33, height = 21, gap = 5;
        Image picture = PictureFixture.Pattern(width, height);
        float[] map = [0, 1, 0.5f, 0.25f, 0.75f, 1];
        OverlayOptions options = new() { Legend = false, Boxes = [new(2, 3, 10, 8)] };
        Image expected = Overlay.Render(picture.View, map, 3, 2, options);
        Assert.That((expected.Width, expected.Height), Is.EqualTo((width, height)));
        int bytes = format.BytesPerPixel(), stride = width * bytes + gap;
        byte[] buffer = new byte[height * stride + 3];
        Array.Fill(buffer, (byte)7);
        Overlay.Render(picture.View, map, 3, 2, buffer, format, direction * stride, options);
        ImageView view = new ImageView(buffer, width, height, direction * stride, format);
        Assert.That(Image.Create(view).Pixels.SequenceEqual(expected.Pixels));
        for (int y = 0; y < height; y++)
        {
            Assert.That(buffer.AsSpan(y * stride + width * bytes, gap - (y == height - 1 ? 2 : 0)).IndexOfAnyExcept((byte)7), Is.Negative);
            for (int x = 0; bytes == 4 && x < width; x++)
                Assert.That(view.Row(y)[4 * x + 3], Is.EqualTo(255));
        }
    }

    [Test]
    public void OverlaysRefuseWrongBuffers()
    {
        Image picture = PictureFixture.Pattern(4, 4);
        byte[] buffer = new byte[48];
        Assert.That(() => Render(buffer, PixelFormat.Gray8, 4), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render(buffer, PixelFormat.Gray16, 8), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render(buffer, (PixelFormat)77, 16), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render(buffer, PixelFormat.Rgb24, 11), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render(buffer, PixelFormat.Rgb24, 13), Throws.ArgumentException.With.Message.Contains("51 bytes"));
        Assert.That(() => Overlay.Render(new ImageView(buffer, 4, 4, PixelFormat.Rgb24), [1], 1, 1, buffer, PixelFormat.Rgb24, 12),
            Throws.ArgumentException.With.Message.Contains("overlap"));

        void Render(byte[] to, PixelFormat format, int stride) =>
            Overlay.Render(picture.View, [1], 1, 1, to, format, stride);
    }

    /// <summary>Large enough to be drawn in bands; the lines are four pixels wide.</summary>
    [Test]
    public void BoxesAreOutlinedAndClipped()
    {
        const int width = 1200, height = 1000, line = 4;
        Rectangle[] boxes = [new(-10, 20, 100, 50), new(1150, 900, int.MaxValue, int.MaxValue), new(500, 500, 0, 9), new(300, 300, 3, 3),
            new(int.MinValue, int.MinValue, 5, 5)];
        OverlayOptions options = new() { Legend = false, Opacity = 0, Boxes = boxes };
        Image picture = PictureFixture.Pattern(width, height);
        Image overlay = Overlay.Render(picture.View, [0], 1, 1, options);
        for (int y = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                bool outlined = boxes.Any(b => Inside(b, x, y, 0) && !Inside(b, x, y, line));
                ReadOnlySpan<byte> expected = outlined ? [0, 229, 255] : picture.View.Row(y).Slice(3 * x, 3);
                if (!overlay.View.Row(y).Slice(3 * x, 3).SequenceEqual(expected))
                    Assert.Fail($"pixel {x}, {y}");
            }
        }

        static bool Inside(Rectangle b, long x, long y, int margin) =>
            x >= b.X + margin && x < (long)b.X + b.Width - margin && y >= b.Y + margin && y < (long)b.Y + b.Height - margin;
    }

    [Test]
    public void WithoutAScoreTheLegendIsNarrower()
    {
        Image picture = PictureFixture.Pattern(200, 150);
        Image with = Overlay.Render(picture.View, [0.5f], 1, 1, new() { Score = 123456.7f }),
            without = Overlay.Render(picture.View, [0.5f], 1, 1);
        Assert.That(without.Width, Is.GreaterThan(200).And.LessThan(with.Width));
        Assert.That(without.View.Row(75)[..600].SequenceEqual(with.View.Row(75)[..600]));
    }

    [Test]
    public void OverlaysRefuseWrongArguments()
    {
        Image picture = PictureFixture.Pattern(4, 4);
        Assert.That(() => Render([1, 2], 1, 1, 0, 1), Throws.ArgumentException.With.Message.Contains("1 values, not 2"));
        Assert.That(() => Render([], 0, 1, 0, 1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render([1], 1, 1, 1, 1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render([1], 1, 1, float.NaN, 1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render([1], 1, 1, 0, float.PositiveInfinity), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Render([1], 1, 1, float.MinValue, float.MaxValue), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Overlay.Render(picture.View, [1], 1, 1, new() { Opacity = 1.5f }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Overlay.Render(default, [1], 1, 1), Throws.ArgumentException);

        void Render(float[] map, int width, int height, float low, float high) =>
            Overlay.Render(picture.View, map, width, height, new() { Low = low, High = high });
    }

    [Test]
    public void MasksAreGrayPngs()
    {
        float[] map = [0.1f, 0.5f, 0.9f, float.NaN, float.PositiveInfinity, 0.49999997f];
        byte[] expected = [0, 255, 255, 0, 255, 0];
        Assert.That(Mask.Render(map, 0.5f), Is.EqualTo(expected));
        using MemoryStream stream = new MemoryStream();
        Mask.SavePng(stream, map, 3, 2, 0.5f);
        byte[] png = stream.ToArray();
        Assert.That((png[24], png[25]), Is.EqualTo(((byte)8, (byte)0)), "8 bits, gray");
        Assert.That(Image.Load(png).Pixels.ToArray().Where((_, i) => i % 3 == 1), Is.EqualTo(expected));
        Assert.That(() => Mask.Render(map, float.NaN), Throws.ArgumentException);
        Assert.That(() => Mask.SavePng(stream, map, 4, 2, 0.5f), Throws.ArgumentException);
    }

    [TestCase(3, 2)]
    [TestCase(518, 518)]
    [TestCase(1, 1)]
    public void MapsAreNumPyFiles(int width, int height)
    {
        float[] map = [.. Enumerable.Range(0, width * height).Select(i => i / 7f - 1)];
        using MemoryStream stream = new MemoryStream();
        NpyWriter.Save(stream, map, width, height);
        byte[] npy = stream.ToArray();
        Assert.That(npy[..8], Is.EqualTo((byte[])[0x93, .. "NUMPY"u8, 1, 0]));
        int length = npy[8] + 256 * npy[9];
        Assert.That((10 + length) % 64, Is.Zero);
        string header = Encoding.ASCII.GetString(npy, 10, length);
        Assert.That(header,
            Does.StartWith($"{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}").And.EndsWith("\n"));
        Assert.That(MemoryMarshal.Cast<byte, float>(npy.AsSpan(10 + length)).ToArray(), Is.EqualTo(map));
        Assert.That(() => NpyWriter.Save(stream, map, width, height + 1), Throws.ArgumentException);
    }

    [Test]
    public void FilesAreWritten()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string path = Path.Combine(folder, "a");
            Image picture = PictureFixture.Pattern(9, 7);
            picture.SavePng(path);
            Assert.That(Image.Load(path).Pixels.SequenceEqual(picture.Pixels));
            Mask.SavePng(path, [1, 0], 2, 1, 0.5f);
            Assert.That(Image.Load(path).Pixels.ToArray(), Is.EqualTo((byte[])[255, 255, 255, 0, 0, 0]));
            NpyWriter.Save(path, [1, 2], 2, 1);
            Assert.That(new FileInfo(path).Length, Is.EqualTo(128 + 8));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
