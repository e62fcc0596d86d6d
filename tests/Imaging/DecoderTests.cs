using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>Decoding against libpng, netpbm and Pillow (fixtures), and PNG against a second encoder.</summary>
public class DecoderTests
{
    private static readonly (int Colour, int Depth)[] Kinds =
    [
        (0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8),
        (4, 8), (4, 16), (6, 8), (6, 16),
    ];

    [TestCaseSource(nameof(Fixtures))]
    public void AgreesWithTheReferenceDecoders(string name)
    {
        PictureFixture fixture = PictureFixture.All.Single(f => f.Name == name);
        Image image = Image.Load(fixture.Bytes);
        Assert.That((image.Width, image.Height), Is.EqualTo((fixture.Width, fixture.Height)));
        Assert.That(PictureFixture.HashOf(image.Pixels), Is.EqualTo(fixture.Hash));
    }

    private static IEnumerable<string> Fixtures => PictureFixture.All.Select(f => f.Name);

    [Test]
    public void DecodesEveryKindOfPng([ValueSource(nameof(KindNumbers))] int kind, [Values(0, 1)] int interlace)
    {
        (int colour, int depth) = Kinds[kind];
        byte[][] filters = [[0], [1], [2], [3], [4], [4, 3, 2, 1, 0], [3, 4, 1, 2]];
        (int, int)[] sizes = [(1, 1), (2, 1), (1, 9), (3, 5), (4, 4), (5, 3), (8, 8), (9, 2), (16, 5), (33, 20), (67, 9)];
        foreach ((int width, int height) in sizes)
        {
            foreach (byte[] filter in filters)
            {
                TestPng png = TestPng.Make(colour, depth, width, height, interlace, seed: width * height);
                png.Filters = filter;
                Image image = Image.Load(png.Encode());
                Assert.That((image.Width, image.Height), Is.EqualTo((width, height)));
                Assert.That(image.Pixels.SequenceEqual(png.Rgb()), $"{width} x {height}, filters {string.Join(' ', filter)}");
            }
        }
    }

    private static IEnumerable<int> KindNumbers => Enumerable.Range(0, Kinds.Length);

    [Test]
    public void ToleratesWhatLibpngTolerates()
    {
        TestPng png = TestPng.Make(2, 8, 5, 4, 0, seed: 1);
        byte[] data = TestPng.Deflate(png.Filtered());
        byte[] more = TestPng.Deflate([.. png.Filtered(), 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        byte[] damagedText = TestPng.Chunk("tEXt", 1, 2, 3);
        damagedText[^1] ^= 1;
        Dictionary<string, byte[]> files = new()
        {
            ["bytes after IEND"] = [.. png.Encode(), 1, 2, 3],
            ["more rows than the header says"] = TestPng.File(png.Header(), TestPng.Chunk("IDAT", more), TestPng.Chunk("IEND")),
            ["bytes after the compressed data"] =
                TestPng.File(png.Header(), TestPng.Chunk("IDAT", [.. data, 1, 2, 3]), TestPng.Chunk("IEND")),
            ["empty IDAT chunks"] = TestPng.File(png.Header(), TestPng.Chunk("IDAT"), TestPng.Chunk("IDAT", data[..9]),
                TestPng.Chunk("IDAT"), TestPng.Chunk("IDAT", data[9..]), TestPng.Chunk("IDAT"), TestPng.Chunk("IEND")),
            ["unknown ancillary chunks"] = TestPng.File(png.Header(), TestPng.Chunk("teSt", 1), TestPng.Chunk("IDAT", data),
                TestPng.Chunk("teSt", 2), TestPng.Chunk("IEND")),
            ["a damaged ancillary chunk"] = TestPng.File(png.Header(), damagedText, TestPng.Chunk("IDAT", data),
                TestPng.Chunk("IEND")),
            ["a palette as a suggestion"] = TestPng.File(png.Header(), TestPng.Chunk("PLTE", 1, 2, 3),
                TestPng.Chunk("IDAT", data),
                TestPng.Chunk("IEND")),
        };
        foreach ((string what, byte[] file) in files)
            Assert.That(Image.Load(file).Pixels.SequenceEqual(png.Rgb()), what);
    }

    [TestCase("P5 2 1 255\nAB")]
    [TestCase("P5#c\n2 1 255 AB")]
    [TestCase("P5 2 1 255# then pixels\nAB")]
    [TestCase("P5\r\n2\t1\r\n#x\r#y\n255\nABmore")]
    [TestCase("P2 2 1 255 65#c\n66")]
    public void PnmCommentsAndSpace(string text) =>
        Assert.That(Image.Load(System.Text.Encoding.ASCII.GetBytes(text)).Pixels.ToArray(), Is.EqualTo("AAABBB"u8.ToArray()));

    /// <summary>A quarter turn, told of before the pixels or behind them, as Pillow reads it; and Exif data that are none.</summary>
    [Test]
    public void PngIsTurnedUprightIfAskedFor([Values] bool behind)
    {
        TestPng png = TestPng.Make(2, 8, 5, 3, 0, seed: 4);
        byte[] data = TestPng.Chunk("IDAT", TestPng.Deflate(png.Filtered())), end = TestPng.Chunk("IEND");
        byte[] exif = TestPng.Chunk("eXIf", [.. "MM\0*"u8, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
        byte[] file = behind ? TestPng.File(png.Header(), data, exif, end) : TestPng.File(png.Header(), exif, data, end);
        byte[] rgb = png.Rgb();
        Assert.That(Image.Load(file).Pixels.SequenceEqual(rgb));
        Image turned = Image.Load(file, new ImageLoadOptions { ApplyExifOrientation = true });
        Assert.That((turned.Width, turned.Height), Is.EqualTo((3, 5)));
        for (int y = 0; y < 5; y++)
        {
            for (int x = 0; x < 3; x++)
                Assert.That(turned.Pixels[3 * (y * 3 + x)], Is.EqualTo(rgb[3 * ((2 - x) * 5 + y)]), $"{x}, {y}");
        }

        byte[] none = TestPng.File(png.Header(), TestPng.Chunk("eXIf", 1, 2, 3), data, end);
        Assert.That(Image.Load(none, new ImageLoadOptions { ApplyExifOrientation = true }).Pixels.SequenceEqual(rgb));
    }

    [Test]
    public void ReadsFilesAndStreams()
    {
        PictureFixture fixture = PictureFixture.All.First(f => f.Name.EndsWith(".png"));
        byte[] pixels = Image.Load(fixture.Bytes).Pixels.ToArray();
        string path = TestData.Path("imaging", fixture.Name);
        Assert.That(Image.Load(path).Pixels.SequenceEqual(pixels));
        using (FileStream file = File.OpenRead(path))
            Assert.That(Image.Load(file).Pixels.SequenceEqual(pixels));
        foreach (int part in (int[])[1, 7, 100_000])
            Assert.That(Image.Load(new TrickleStream(fixture.Bytes, part)).Pixels.SequenceEqual(pixels), $"{part} bytes a read");

        // Longer than the first buffer, so that it grows.
        byte[] large = new byte[30_000];
        byte[] bmp = PictureFixture.Read("bmp-24.bmp");
        bmp.CopyTo(large, 0);
        Assert.That(Image.Load(new TrickleStream(large, 4096)).Pixels.SequenceEqual(Image.Load(bmp).Pixels));
    }

    [Test]
    public void NamesFormatsItDoesNotDecode()
    {
        Dictionary<string, byte[]> files = new()
        {
            ["GIF"] = [.. "GIF89a"u8],
            ["TIFF"] = [.. "II*\0"u8],
            ["WebP"] = [.. "RIFF\u0001\u0002\u0003\u0004WEBPVP8 "u8],
        };
        foreach ((string name, byte[] file) in files)
        {
            string message = Assert.Throws<ImageFormatException>(() => Image.Load(file))!.Message;
            Assert.That(message, Does.StartWith($"This is a {name}").And.Contain("use JPEG, PNG, BMP or PNM"));
        }

        Assert.That(() => Image.Load((byte[])[]), Throws.TypeOf<ImageFormatException>().With.Message.Contains("empty"));
        Assert.That(() => Image.Load("hello, world"u8), Throws.TypeOf<ImageFormatException>().With.Message.Contains("68656C6C"));
    }

    [Test]
    public void SaysWhichFileWasBad()
    {
        string path = TestData.Path("imaging", "make.py");
        Assert.That(() => Image.Load(path), Throws.TypeOf<ImageFormatException>().With.Message.StartsWith(path));
        Assert.That(() => Image.Load(path), Throws.TypeOf<ImageFormatException>().With.Property("File").EqualTo(path));
        Assert.That(() => Image.LoadAsync(path), Throws.TypeOf<ImageFormatException>().With.Property("File").EqualTo(path));
        Assert.That(() => Image.Load(path + ".none"), Throws.InstanceOf<IOException>());
    }

    [Test]
    public void ErrorsSayWhere()
    {
        byte[] png = TestPng.Make(2, 8, 5, 4, 0, seed: 1).Encode();
        png[40] ^= 1;
        CheckError(png, "PNG", 33);
        CheckError(PictureFixture.Read("bmp-24.bmp")[..40], "BMP", 40);
        CheckError("P6 5 x"u8.ToArray(), "PNM", 5);
        CheckError([0xFF, 0xD8, 0xFF, 0xC0, 0, 4, 1, 2], "JPEG", 2);
        CheckError("GIF89a"u8.ToArray(), "GIF", null);
        CheckError("hello"u8.ToArray(), null, 0);

        static void CheckError(byte[] file, string? format, long? offset)
        {
            ImageFormatException error = Assert.Throws<ImageFormatException>(() => Image.Load(file))!;
            Assert.That((error.Format, error.Offset), Is.EqualTo((format, offset)));
        }
    }

    [Test]
    public void KeepsToTheLimits()
    {
        PictureFixture[] kinds = [.. PictureFixture.All.GroupBy(f => f.Name[..4]).Select(g => g.First())];
        Assert.That(kinds, Has.Length.GreaterThanOrEqualTo(3));
        foreach (PictureFixture fixture in kinds)
        {
            byte[] data = fixture.Bytes;
            int pixels = fixture.Width * fixture.Height;
            ImageLoadOptions just = Within(new ImageLimits { MaxPixels = pixels, MaxEncodedBytes = data.Length });
            Assert.That(PictureFixture.HashOf(Image.Load(data, just).Pixels), Is.EqualTo(fixture.Hash));
            Assert.That(() => Image.Load(data, Within(new ImageLimits { MaxPixels = pixels - 1 })),
                Throws.TypeOf<ImageFormatException>().With.Message.Contains("MaxPixels"));
            ImageLoadOptions fewBytes = Within(new ImageLimits { MaxEncodedBytes = data.Length - 1 });
            Assert.That(() => Image.Load(data, fewBytes),
                Throws.TypeOf<ImageFormatException>().With.Message.Contains("MaxEncoded"));
            Assert.That(() => Image.Load(new MemoryStream(data), fewBytes), Throws.TypeOf<ImageFormatException>());
            Assert.That(() => Image.Load(new TrickleStream(data, 50), fewBytes), Throws.TypeOf<ImageFormatException>());
        }

        Assert.That(() => new ImageLimits { MaxPixels = 0 }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new ImageLimits { MaxPixels = int.MaxValue }, Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new ImageLimits { MaxEncodedBytes = 0 }, Throws.TypeOf<ArgumentOutOfRangeException>());

        static ImageLoadOptions Within(ImageLimits limits) => new() { Limits = limits };
    }

    /// <summary>A stream without length or position that gives a few bytes a read.</summary>
    private sealed class TrickleStream(byte[] data, int part) : MemoryStream(data)
    {
        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override int Read(byte[] buffer, int offset, int count) => base.Read(buffer, offset, Math.Min(count, part));

        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, part)]);
    }
}
