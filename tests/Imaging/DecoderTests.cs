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
        (string Name, string Start, byte[] File)[] files =
        [
            ("GIF", "a GIF picture", [.. "GIF89a"u8]),
            ("TIFF", "a TIFF picture", [.. "II*\0"u8]),
            ("TIFF", "a TIFF picture", [.. "MM\0*"u8]),
            ("BigTIFF", "a BigTIFF picture", [.. "II+\0"u8]),
            ("BigTIFF", "a BigTIFF picture", [.. "MM\0+"u8]),
            ("WebP", "a WebP picture", [.. "RIFF\u0001\u0002\u0003\u0004WEBPVP8 "u8]),
            ("AVIF", "an AVIF picture", [.. "\0\0\0\u001cftypavif\0\0\0\0mif1miaf"u8]),
            ("AVIF", "an AVIF picture", [.. "\0\0\0\u001cftypmif1\0\0\0\0miafavif"u8]),
            ("HEIC", "a HEIC picture", [.. "\0\0\0\u0018ftypheic\0\0\0\0mif1"u8]),
            ("HEIC", "a HEIC picture", [.. "\0\0\0\u0018ftypmif1\0\0\0\0heic"u8]),
            ("HEIF", "a HEIF picture", [.. "\0\0\0\u0010ftypmif1\0\0\0\0heic"u8]),
            ("camera raw", "a camera raw picture", [.. "\0\0\0\u0018ftypcrx \0\0\0\u0001crx isom"u8]),
            ("camera raw", "a camera raw picture", [.. "FUJIFILMCCD-RAW 0201"u8]),
            ("JPEG XL", "a JPEG XL picture", [0xFF, 0x0A, 1, 2]),
            ("JPEG XL", "a JPEG XL picture", [.. "\0\0\0\fJXL \r\n"u8, 0x87, 0x0A]),
            ("JPEG 2000", "a JPEG 2000 picture", [.. "\0\0\0\fjP  \r\n"u8, 0x87, 0x0A]),
            ("JPEG 2000", "a JPEG 2000 picture", [0xFF, 0x4F, 0xFF, 0x51, 0]),
            ("JPEG XR", "a JPEG XR picture", [0x49, 0x49, 0xBC, 1]),
            ("PSD", "a PSD picture", [.. "8BPS\0\u0001"u8]),
            ("XCF", "an XCF picture", [.. "gimp xcf v011"u8]),
            ("ICO", "an ICO picture", [0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0]),
            ("CUR", "a CUR picture", [0, 0, 2, 0, 1, 0, 16, 16, 0, 0, 1, 0]),
            ("MNG", "an MNG picture", [0x8A, .. "MNG\r\n"u8]),
            ("JNG", "a JNG picture", [0x8B, .. "JNG\r\n"u8]),
            ("OpenEXR", "an OpenEXR picture", [0x76, 0x2F, 0x31, 0x01]),
            ("Radiance HDR", "a Radiance HDR picture", [.. "#?RADIANCE\n"u8]),
            ("Radiance HDR", "a Radiance HDR picture", [.. "#?RGBE\n"u8]),
            ("DDS", "a DDS picture", [.. "DDS |"u8]),
            ("QOI", "a QOI picture", [.. "qoif"u8]),
            ("PFM", "a PFM picture", [.. "PF\n2 2\n-1.0\n"u8]),
            ("PFM", "a PFM picture", [.. "Pf\n2 2\n-1.0\n"u8]),
            ("farbfeld", "a farbfeld picture", [.. "farbfeld\0\0"u8]),
            ("DICOM", "a DICOM picture", [.. new byte[128], .. "DICM"u8]),
            ("FITS", "a FITS picture", [.. "SIMPLE  =   T"u8]),
            ("PCX", "a PCX picture", [10, 5, 1, 8, 0, 0]),
            ("TGA", "a TGA picture", [0, 0, 2, 0, 0, 0, 0, 0, .. "TRUEVISION-XFILE.\0"u8]),
            ("PDF", "a PDF document, not a picture", [.. "%PDF-1.7"u8]),
            ("PostScript", "a PostScript document, not a picture", [.. "%!PS-Adobe-3.0"u8]),
            ("DjVu", "a DjVu document, not a picture", [.. "AT&TFORM"u8]),
            ("SVG", "an SVG drawing", [.. "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"u8]),
            ("SVG", "an SVG drawing", [.. "\uFEFF<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg/>"u8]),
            ("HTML", "an HTML page, not a picture", [.. "\r\n <!DOCTYPE html><title>404</title>"u8]),
            ("HTML", "an HTML page, not a picture", [.. "<HTML><body>"u8]),
            ("HTML", "an HTML page, not a picture", [.. "<?xml version=\"1.0\"?><!DOCTYPE html><html/>"u8]),
            ("XML", "an XML document, not a picture", [.. "<?xml version=\"1.0\"?><annotation/>"u8]),
            ("Git LFS pointer", "a Git LFS pointer, not a picture; run git lfs pull",
                [.. "version https://git-lfs.github.com/spec/v1\noid sha256:"u8]),
            ("ZIP", "a ZIP archive", [.. "PK\u0003\u0004"u8]),
            ("ZIP", "a ZIP archive", [.. "PK\u0005\u0006"u8]),
            ("gzip", "a gzip file, not a picture", [0x1F, 0x8B, 8]),
            ("7-Zip", "a 7-Zip archive", [.. "7z"u8, 0xBC, 0xAF, 0x27, 0x1C]),
            ("RAR", "a RAR archive", [.. "Rar!\u001a\u0007\0"u8]),
            ("tar", "a tar archive", [.. "picture.png"u8, .. new byte[246], .. "ustar\0"u8]),
            ("AVI", "an AVI video, not a picture", [.. "RIFF\0\0\0\0AVI LIST"u8]),
            ("Matroska", "a Matroska or WebM video", [0x1A, 0x45, 0xDF, 0xA3]),
            ("MP4", "an MP4 or QuickTime video", [.. "\0\0\0\u0018ftypisom\0\0\u0002\0mp42"u8]),
            ("MP4", "an MP4 or QuickTime video", [.. "\0\0\0\u0008moov"u8]),
            ("NumPy", "a NumPy array, not a picture; save it as PNG", [0x93, .. "NUMPY\u0001\0"u8]),
            ("safetensors", "a safetensors file, not a picture", [0x40, 1, 0, 0, 0, 0, 0, 0, .. "{\"__metadata__\":"u8]),
        ];
        Assert.Multiple(() =>
        {
            foreach ((string name, string start, byte[] file) in files)
            {
                ImageFormatException? error = Assert.Throws<ImageFormatException>(() => Image.Load(file), name);
                Assert.That(error?.Message, Does.StartWith($"This is {start}").And.EndWith(" (JPEG, PNG, BMP and PNM are supported)."));
                Assert.That(error?.Format, Is.EqualTo(name));
            }
        });

        string tiff = Assert.Throws<ImageFormatException>(() => Image.Load("II*\0"u8))!.Message;
        Assert.That(tiff, Does.Contain("add the package TinyZsad.Tiff"));
        foreach (string text in (string[])["ftypheic", "RIFF", "<a>", "PG\n", "SIMPLE", "moov"])
        {
            Assert.That(() => Image.Load(System.Text.Encoding.ASCII.GetBytes(text)),
                Throws.TypeOf<ImageFormatException>().With.Property("Format").Null, text);
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
