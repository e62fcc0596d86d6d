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
    public unsafe void AViewTakesPointersAndBottomUpRows()
    {
        byte[] pixels = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9];
        ImageView up = new ImageView(pixels, 1, 3, -4, PixelFormat.Rgb24);
        Assert.That(up.Row(0).ToArray(), Is.EqualTo((byte[])[7, 8, 9]));
        Assert.That(up.Row(2).ToArray(), Is.EqualTo((byte[])[1, 2, 3]));
        Assert.That(up.Pixels.SequenceEqual(pixels));
        Assert.That(new ImageView((byte[])[.. pixels, 99], 1, 3, 4, PixelFormat.Rgb24).Pixels.SequenceEqual(pixels));
        fixed (byte* start = pixels)
        {
            ImageView down = new ImageView(start, 1, 3, 4, PixelFormat.Rgb24), flipped = new((nint)start + 8, 1, 3, -4, PixelFormat.Rgb24);
            Assert.That(down.Row(1).ToArray(), Is.EqualTo((byte[])[4, 5, 6]));
            Assert.That(down.Pixels.SequenceEqual(pixels));
            Assert.That(Image.Create(flipped).Pixels.SequenceEqual(Image.Create(up).Pixels));
        }

        Assert.That(() => { _ = new ImageView((void*)null, 1, 1, 4, PixelFormat.Rgb24); }, Throws.ArgumentNullException);
        Assert.That(() => { _ = new ImageView((nint)16, 1, 1, 2, PixelFormat.Rgb24); }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => { _ = new ImageView((nint)16, int.MaxValue, 1, int.MaxValue, PixelFormat.Rgb24); },
            Throws.TypeOf<ArgumentOutOfRangeException>());

        // A row of 2^31 bytes is more than a span holds, although the stride allows it.
        Assert.That(() => { _ = new ImageView((nint)16, 1 << 29, 1, int.MinValue, PixelFormat.Rgba32); },
            Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    /// <summary>Only the pages of the rows are touched.</summary>
    [TestCase(1_200_000_000)]
    [TestCase(-1_200_000_000)]
    public unsafe void AViewMayBeLargerThanASpan(int stride)
    {
        nuint length = 2_400_000_000 + 30;
        byte* memory = (byte*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(length);
        try
        {
            byte* top = stride > 0 ? memory : memory + 2_400_000_000;
            top[2L * stride + 5] = 99;
            ImageView view = new ImageView(top, 10, 3, stride, PixelFormat.Rgb24);
            Assert.That(view.Row(2)[5], Is.EqualTo(99));
            Assert.That(view.Crop(1, 2, 2, 1).Pixels.ToArray(), Is.EqualTo((byte[])[0, 0, 99, 0, 0, 0]));
            Assert.That(Image.Create(view).Pixels[65], Is.EqualTo(99));
            Assert.That(() => { _ = new ImageView(top, 10, 3, stride, PixelFormat.Rgb24).Pixels; },
                Throws.InvalidOperationException);
            byte[] rgb = new byte[3 * 10 * 6];
            Resampler.Resize(view, rgb, 10, 6);
            Assert.That(rgb[5 * 30 + 5], Is.GreaterThan(90));
            Assert.That(view.Overlaps(new ReadOnlySpan<byte>(memory + 2_399_000_000, 100)));
            Assert.That(view.Overlaps(new ReadOnlySpan<byte>(memory + length, 1)), Is.False);
        }
        finally
        {
            System.Runtime.InteropServices.NativeMemory.Free(memory);
        }
    }

    [Test]
    public void PartsAreChecked()
    {
        Image image = PictureFixture.Pattern(5, 4);
        Assert.That(image.View.Crop(0, 0, 5, 4).Pixels.SequenceEqual(image.Pixels));
        ImageView part = image.View.Crop(3, 1, 2, 3).Crop(1, 1, 1, 2);
        Assert.That(part.Row(1).SequenceEqual(image.View.Row(3)[12..]));
        foreach ((int x, int y, int width, int height) in ((int, int, int, int)[])[(-1, 0, 1, 1), (0, -1, 1, 1), (0, 0, 0, 1),
            (0, 0, 1, 0), (5, 0, 1, 1), (0, 4, 1, 1), (1, 0, 5, 1), (0, 1, 1, 4), (1, 0, int.MaxValue, 1)])
        {
            Assert.That(() => { _ = image.View.Crop(x, y, width, height); }, Throws.TypeOf<ArgumentOutOfRangeException>());
        }
    }

    [Test]
    public void EmptyViewsAreRefused()
    {
        Assert.That(default(ImageView).IsEmpty && default(ImageView).Pixels.IsEmpty);
        Assert.That(default(ImageFrame).IsEmpty && default(ImageFrame).View.IsEmpty);
        Assert.That(() => { _ = default(ImageView).Row(0); }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => { _ = default(ImageView).Crop(0, 0, 1, 1); }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Image.Create(default), Throws.ArgumentException);
        Assert.That(() => PngEncoder.Save(Stream.Null, default), Throws.ArgumentException);
    }

    [Test]
    public void AFrameIsCheckedLikeAView()
    {
        byte[] pixels = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 99];
        ImageFrame frame = new ImageFrame(pixels, 1, 3, -4, PixelFormat.Bgr24);
        Assert.That((frame.Width, frame.Height, frame.Stride, frame.Format), Is.EqualTo((1, 3, -4, PixelFormat.Bgr24)));
        Assert.That(frame.Pixels.Length, Is.EqualTo(11));
        Assert.That(Image.Create(frame.View).Pixels.ToArray(), Is.EqualTo((byte[])[9, 8, 7, 6, 5, 4, 3, 2, 1]));
        Assert.That(() => new ImageFrame(pixels, 1, 4, 4, PixelFormat.Bgr24), Throws.ArgumentException);
        Assert.That(() => new ImageFrame(pixels, 2, 1, 4, PixelFormat.Bgr24), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new ImageFrame(pixels, 0, 1, PixelFormat.Bgr24), Throws.TypeOf<ArgumentOutOfRangeException>());
        Image image = PictureFixture.Pattern(5, 4);
        Assert.That(image.Frame.View.Pixels.SequenceEqual(image.Pixels));
    }

    /// <summary>A large picture is compressed in bands, which are one valid zlib stream with the checksum of all.</summary>
    [Test]
    public void PngsInBandsComeBackAsTheyWere([Values] PixelFormat format, [Values(1, 2, 5, 39)] int bandRows)
    {
        const int width = 67, height = 41;
        byte[] pixels = new byte[width * height * format.BytesPerPixel()];
        new Random(bandRows).NextBytes(pixels.AsSpan(0, pixels.Length / 2));
        ImageView view = new ImageView(pixels, width, height, -width * format.BytesPerPixel(), format);
        using MemoryStream inOne = new MemoryStream(), inBands = new MemoryStream();
        PngEncoder.Save(inOne, view, height);
        PngEncoder.Save(inBands, view, bandRows);
        Assert.That(Image.Load(inBands.ToArray()).Pixels.SequenceEqual(Image.Create(view).Pixels));
        Assert.That(Inflate(inBands.ToArray()), Is.EqualTo(Inflate(inOne.ToArray())));
    }

    [Test]
    public void LargePicturesAreCompressedInBandsAndHardlyLarger()
    {
        const int width = 1500, height = 1000;
        byte[] pixels = new byte[3 * width * height];
        Random random = new Random(5);
        for (int i = 0; i < pixels.Length; i++)
            pixels[i] = (byte)(i / 3 % width / 9 + i / 3 / width / 7 + random.Next(4));
        Image image = Image.Create(width, height, pixels);
        using MemoryStream inOne = new MemoryStream(), inBands = new MemoryStream();
        PngEncoder.Save(inOne, image.View, height);
        image.SavePng(inBands);
        Assert.That(inBands.ToArray(), Is.Not.EqualTo(inOne.ToArray()));
        Assert.That(inBands.Length, Is.LessThan(1.02 * inOne.Length));
        Assert.That(Image.Load(inBands.ToArray()).Pixels.SequenceEqual(pixels));
    }

    [Test]
    public void Adler32AgreesWithZlib()
    {
        byte[] data = new byte[20_000];
        Array.Fill(data, (byte)255);
        byte[] zlib = TestPng.Deflate(data);
        uint expected = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(zlib.AsSpan(zlib.Length - 4));
        Assert.That(Adler32.Append(Adler32.Empty, data), Is.EqualTo(expected));
        foreach (int split in (int[])[0, 1, 5552, 12_345, 20_000])
        {
            uint first = Adler32.Append(Adler32.Empty, data.AsSpan(0, split)), second = Adler32.Append(Adler32.Empty, data.AsSpan(split));
            Assert.That(Adler32.Combine(first, second, data.Length - split), Is.EqualTo(expected), $"{split}");
            Assert.That(Adler32.Append(first, data.AsSpan(split)), Is.EqualTo(expected), $"{split}");
        }
    }

    /// <summary>The data of all IDAT chunks, with zlib's checksum verified.</summary>
    private static byte[] Inflate(byte[] png)
    {
        using MemoryStream data = new MemoryStream(), result = new MemoryStream();
        for (int at = 8; at < png.Length;)
        {
            int length = System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(at));
            if (png.AsSpan(at + 4, 4).SequenceEqual("IDAT"u8))
                data.Write(png, at + 8, length);
            at += 12 + length;
        }

        data.Position = 0;
        using System.IO.Compression.ZLibStream zlib = new(data, System.IO.Compression.CompressionMode.Decompress);
        zlib.CopyTo(result);
        Assert.That(zlib.ReadByte(), Is.EqualTo(-1));
        return result.ToArray();
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
