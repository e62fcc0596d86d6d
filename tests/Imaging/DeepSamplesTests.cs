using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>16-bit samples: in files, by the depth that the caller states or that a picture uses.</summary>
internal sealed class DeepSamplesTests
{
    private const int Auto = ImageLoadOptions.AutoSignificantBits;

    /// <summary>Every length up to several vectors, at every address, against the rule.</summary>
    [Test]
    public void NarrowsRowsOfAnyLengthAtAnyAddress([Values(8, 9, 10, 12, 14, 15, 16)] int bits)
    {
        Random random = new Random(bits);
        for (int count = 1; count < 70; count++)
        {
            ushort[] samples = [.. Enumerable.Range(0, count).Select(_ => (ushort)random.Next(1 << random.Next(1, 17)))];
            samples[random.Next(count)] = ushort.MaxValue;
            byte[] expected = [.. samples.Select(s => (byte)Math.Min(s >> (bits - 8), 255))];
            byte[] bytes = new byte[2 * count];
            for (int i = 0; i < count; i++)
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), samples[i]);
            foreach (int odd in (int[])[0, 1])
            {
                using GuardedBuffer source = new GuardedBuffer([.. new byte[odd], .. bytes]);
                using GuardedBuffer target = new GuardedBuffer(new byte[count + odd]);
                DeepSamples.Narrow(source.Span[odd..], target.Span[odd..], bits);
                Assert.That(target.Span[odd..].ToArray(), Is.EqualTo(expected), $"{count} samples");
            }
        }
    }

    [Test]
    public void ScalesEverySampleLikeANumberDividedAndRounded()
    {
        foreach (int skip in (int[])[0, 65_536 - 16 - 5])
        {
            byte[] bytes = new byte[2 * (65_536 - skip)], levels = new byte[65_536 - skip];
            for (int i = 0; i < levels.Length; i++)
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), (ushort)(i + skip));
            DeepSamples.Scale(bytes, levels);
            Assert.That(levels, Is.EqualTo(Enumerable.Range(skip, levels.Length).Select(s => (byte)Math.Round(s / 65535.0 * 255))));
        }
    }

    [Test]
    public void FindsTheLargestSampleWhereverItIsButNotAlpha([Values(0, 2, 4)] int alphaEvery)
    {
        int channels = Math.Max(alphaEvery, 1);
        for (int pixels = 1; pixels < 30; pixels++)
        {
            for (int at = 0; at < pixels * channels; at++)
            {
                ushort[] samples = new ushort[pixels * channels];
                Array.Fill(samples, (ushort)33_000);
                samples[at] = 50_000;
                bool isAlpha = alphaEvery > 0 && at % alphaEvery == alphaEvery - 1;
                Assert.That(DeepSamples.Largest(samples, alphaEvery), Is.EqualTo(isAlpha ? 33_000 : 50_000), $"{at} of {samples.Length}");
            }
        }

        Assert.That(() => DeepSamples.Largest([1, 2, 3], 3), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [TestCase(0, 8)]
    [TestCase(255, 8)]
    [TestCase(256, 9)]
    [TestCase(1023, 10)]
    [TestCase(1024, 11)]
    [TestCase(4095, 12)]
    [TestCase(32_768, 16)]
    [TestCase(65_535, 16)]
    public void TheDepthHoldsTheLargestSample(int sample, int bits) => Assert.That(DeepSamples.BitsOf(sample), Is.EqualTo(bits));

    /// <summary>Every kind of PNG with 16 bits; alpha uses the whole range, the other samples do not.</summary>
    [Test]
    public void PngSamplesAreCutByTheirDepth(
        [Values(0, 2, 4, 6)] int colour, [Values(0, 1)] int interlace, [Values(8, 10, 12, 16)] int depth)
    {
        foreach ((int width, int height) in ((int, int)[])[(1, 1), (5, 3), (8, 8), (67, 9), (1500, 2)])
        {
            TestPng png = Picture(colour, width, height, interlace, depth);
            byte[] file = png.Encode();
            int largest = Colours(png).Max();
            foreach (int bits in (int[])[8, 10, 12, 13, 16, Auto])
            {
                Image image = Image.Load(file, new ImageLoadOptions { SignificantBits = bits });
                Assert.That(image.Pixels.SequenceEqual(Expected(png, bits == Auto ? depth : bits)), $"{width} x {height}, {bits} bits");
                Assert.That(image.LargestSample, Is.EqualTo(largest));
            }

            Assert.That(Image.Load(file).Pixels.SequenceEqual(Expected(png, 16)), "the high byte is the default");
        }
    }

    /// <summary>The pixels before the brightest one would have been cut by fewer bits.</summary>
    [Test]
    public void AutomaticDepthHoldsWhereverTheBrightestPixelIs([Values] bool pooled)
    {
        for (int at = 0; at < 12; at++)
        {
            TestPng png = Picture(0, 4, 3, 0, 8);
            png.Samples[at] = 3000;
            CountingPool pool = new CountingPool();
            ImageLoadOptions options = new() { SignificantBits = Auto, Pool = pooled ? pool : null };
            using (Image image = Image.Load(png.Encode(), options))
                Assert.That(image.Pixels.SequenceEqual(Expected(png, 12)), $"pixel {at}");
            Assert.That(pool.Rented, Is.Zero);
            byte[] buffer = new byte[36];
            Image.Load(png.Encode(), buffer, options);
            Assert.That(buffer, Is.EqualTo(Expected(png, 12)));
        }
    }

    /// <summary>A second pass over the file needs no second memory for the pixels.</summary>
    [Test]
    public void AutomaticDepthTakesNoMoreMemory()
    {
        TestPng png = Picture(0, 700, 700, 0, 8);
        png.Samples[^1] = 60_000;
        byte[] file = png.Encode();
        ImageLoadOptions auto = new() { SignificantBits = Auto };
        long plain = Allocated(new ImageLoadOptions()), twice = Allocated(auto);
        Assert.That(twice - plain, Is.LessThan(700 * 700), $"{plain} and {twice} bytes");

        long Allocated(ImageLoadOptions options)
        {
            Image.Load(file, options);
            long before = GC.GetAllocatedBytesForCurrentThread();
            Image.Load(file, options);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Test]
    public void PnmWithTheWholeRangeIsCutByItsDepthAndScaledAt16Bits(
        [Values("P2", "P3", "P5", "P6", "P7-1", "P7-2", "P7-3", "P7-4")] string kind, [Values(12, 15)] int depth)
    {
        int channels = kind switch { "P2" or "P5" => 1, "P3" or "P6" => 3, _ => kind[3] - '0' };
        foreach ((int width, int height) in ((int, int)[])[(1, 1), (5, 3), (61, 50)])
        {
            TestPng picture = Picture(channels switch { 1 => 0, 2 => 4, 3 => 2, _ => 6 }, width, height, 0, depth);
            byte[] file = Pnm(kind, picture, channels, 65_535);
            foreach (int bits in (int[])[8, 11, 12, Auto])
            {
                Image image = Image.Load(file, new ImageLoadOptions { SignificantBits = bits });
                Assert.That(image.Pixels.SequenceEqual(Expected(picture, bits == Auto ? depth : bits)), $"{width} x {height}, {bits} bits");
                Assert.That(image.LargestSample, Is.EqualTo(Colours(picture).Max()));
            }

            byte[] scaled = Rgb(picture, s => (byte)Math.Round(s / 65535.0 * 255));
            Assert.That(Image.Load(file).Pixels.SequenceEqual(scaled));
        }
    }

    [Test]
    public void OtherFilesStateTheirRange([Values(8, 12, 16, Auto)] int bits)
    {
        ImageLoadOptions options = new() { SignificantBits = bits };
        foreach (PictureFixture fixture in PictureFixture.All.Where(f => !IsDeep(f.Name)))
        {
            Image image = Image.Load(fixture.Bytes, options);
            Assert.That(image.Pixels.SequenceEqual(Image.Load(fixture.Bytes).Pixels), fixture.Name);
            Assert.That(image.LargestSample, Is.Null, fixture.Name);
        }

        Assert.That(Image.Create(1, 1, [1, 2, 3]).LargestSample, Is.Null);

        static bool IsDeep(string name) => name.Contains("65535") || (name.StartsWith("png") && name.Contains("-16"));
    }

    [Test]
    public void TheLargestSampleSurvivesTurning()
    {
        TestPng png = Picture(0, 5, 3, 0, 10);
        byte[] exif = TestPng.Chunk("eXIf", [.. "MM\0*"u8, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
        byte[] file = TestPng.File(
            png.Header(), exif, TestPng.Chunk("IDAT", TestPng.Deflate(png.Filtered())), TestPng.Chunk("IEND"));
        Image image = Image.Load(file, new ImageLoadOptions { ApplyExifOrientation = true, SignificantBits = Auto });
        Assert.That((image.Width, image.Height, image.LargestSample), Is.EqualTo((3, 5, png.Samples.Max())));
        Assert.That(image.Pixels[0], Is.EqualTo(png.Samples[2 * 5] >> 2));
    }

    [Test]
    public void RefusesDepthsThatAreNone()
    {
        foreach (int bits in (int[])[-1, 1, 7, 17, int.MaxValue])
        {
            Assert.That(() => new ImageLoadOptions { SignificantBits = bits }, Throws.TypeOf<ArgumentOutOfRangeException>(), $"{bits}");
        }

        Assert.That(new ImageLoadOptions().SignificantBits, Is.EqualTo(16));
    }

    /// <summary>A picture whose brightest colour sample just needs so many bits, and whose alpha has any 16 bits.</summary>
    private static TestPng Picture(int colour, int width, int height, int interlace, int depth)
    {
        TestPng png = TestPng.Make(colour, 16, width, height, interlace, seed: width + depth);
        for (int i = 0; i < png.Samples.Length; i++)
        {
            if (!IsAlpha(png, i))
                png.Samples[i] >>= 16 - depth;
        }

        png.Samples[^(png.Channels is 2 or 4 ? 2 : 1)] = (1 << depth) - 2;
        return png;
    }

    private static bool IsAlpha(TestPng png, int i) => png.Channels is 2 or 4 && i % png.Channels == png.Channels - 1;

    private static IEnumerable<int> Colours(TestPng png) => png.Samples.Where((_, i) => !IsAlpha(png, i));

    private static byte[] Expected(TestPng png, int bits) => Rgb(png, s => (byte)Math.Min(s >> (bits - 8), 255));

    private static byte[] Rgb(TestPng png, Func<int, byte> convert) => [.. Enumerable.Range(0, 3 * png.Width * png.Height)
        .Select(i => convert(png.Samples[i / 3 * png.Channels + (png.Channels < 3 ? 0 : i % 3)]))];

    private static byte[] Pnm(string kind, TestPng picture, int channels, int maxValue)
    {
        string head = kind[1] == '7'
            ? $"P7\nWIDTH {picture.Width}\nHEIGHT {picture.Height}\nDEPTH {channels}\nMAXVAL {maxValue}\nENDHDR\n"
            : $"{kind} {picture.Width} {picture.Height} {maxValue}\n";
        return kind is "P2" or "P3"
            ? Encoding.ASCII.GetBytes(head + string.Join(' ', picture.Samples))
            : [.. Encoding.ASCII.GetBytes(head), .. picture.Samples.SelectMany(s => (byte[])[(byte)(s >> 8), (byte)s])];
    }

    private sealed class CountingPool : System.Buffers.ArrayPool<byte>
    {
        public int Rented { get; private set; }

        public override byte[] Rent(int minimumLength)
        {
            Rented++;
            return new byte[minimumLength + 7];
        }

        public override void Return(byte[] array, bool clearArray = false) => Rented--;
    }
}
