using TinyZsad.Imaging;
using TinyZsad.Tests;
using TinyZsad.Tests.Imaging;

namespace TinyZsad.Fuzz;

/// <summary>Pictures, under limits that make a large claim cheap to refuse: what is allocated is bound by them.</summary>
internal static class PictureTargets
{
    private static readonly ImageLimits Limits = new() { MaxPixels = 1 << 18, MaxEncodedBytes = 1 << 16 };

    /// <summary>The picture itself; the rest is rows, tables, messages and stack traces.</summary>
    private static readonly long Memory = 3L * Limits.MaxPixels + (1 << 19);

    public static FuzzTarget Png { get; } = Target("png", () =>
    [
        .. Files("*.png"), .. Wild("png-*"),
        TestPng.Make(3, 1, 9, 2, 1, seed: 1).Encode(),
        TestPng.File(TestPng.Make(2, 8, 5, 4, 0, seed: 2).Header(), TestPng.Chunk("IDAT", TestPng.Deflate(new byte[1 << 22])),
            TestPng.Chunk("IEND")), // inflates to a thousand times its length
    ]) with
    {
        Repair = Repairs.Png,
        Tokens =
        [
            "IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "eXIf", "\u0089PNG\r\n\u001a\n", "\0\0\0\0IEND", "\0\0\0\rIHDR",
            "\u0078\u009c", "\0\0\0\u0001", "\u007f\u00ff\u00ff\u00ff", "\0\0\u0040\0",
        ],
    };

    /// <summary>
    /// A PNG's metadata, always applied. Allocated are the picture, its turned copy and, of four texts, the inflated bytes and the
    /// profile's bytes.
    /// </summary>
    public static FuzzTarget PngMetadata { get; } = new FuzzTarget("png-metadata", DecodeUpright, () => Wild("orientation-*.png"))
    {
        Errors = [typeof(ImageFormatException)],
        MaxBytes = 2 * Memory + 4 * (PngText.MaxBytes + PngText.MaxBytes / 2),
        MaxBytesEach = 16,
        Repair = Repairs.Png,
        Tokens =
        [
            "eXIf", "tEXt", "zTXt", "iTXt", "XML:com.adobe.xmp\0", "Raw profile type exif\0", "Raw profile type APP1\0",
            "Raw profile type xmp\0", "exif\0", "\0\0\0\0", "\0\u0001\0\0\0", "\u0078\u009c", "tiff:Orientation=\"6\"",
            "<tiff:Orientation>8", "tiff:Orientation", "=\"", "Exif\0\0", "457869660000", "49492a00", "4d4d002a", "\nexif\n      32\n",
            "http://ns.adobe.com/xap/1.0/\0", "II*\0\u0008\0\0\0", "\u0012\u0001\u0003\0", "\n", "\0",
        ],
    };

    public static FuzzTarget Bmp { get; } = Target("bmp", () => [.. Files("*.bmp"), .. Wild("bmp-*")]) with
    {
        Tokens = ["BM", "\u0010\0\0\0", "\u0024\0\0\0", "\u0028\0\0\0", "\u0034\0\0\0", "\u0038\0\0\0", "\u0040\0\0\0",
            "\u006c\0\0\0", "\u007c\0\0\0", "\0\0", "\0\u0001", "\0\u0002", "\0\0\0\u0080", "\u0001\0\0\0", "\u0002\0\0\0",
            "\u0003\0\0\0", "\u0006\0\0\0", "\u0018\0\u0003\0\0\0", "\u00ff\u00ff\0\0"],
    };

    public static FuzzTarget Pnm { get; } = Target("pnm", () => [.. Files("*.p?m"), .. Wild("pnm-*")]) with
    {
        Tokens = ["P1", "P2", "P3", "P4", "P5", "P6", "P7\n", "P7\r\n", " ", "\n", "\r\n", "#", "WIDTH ", "HEIGHT ", "DEPTH ",
            "MAXVAL ", "TUPLTYPE ", "ENDHDR\n", "ENDHDR \r\n", "RGB_ALPHA", "65535", "65536", "2147483647", "4294967297", "0", "-1",
            "00000000001"],
    };

    /// <summary>
    /// With and without its Exif orientation. Coefficients and planes lie outside the heap; the process's peak shows those.
    /// </summary>
    public static FuzzTarget Jpeg { get; } = Target("jpeg", () =>
    [
        .. Files("*.jpg"), .. Files("jpeg-4*.jpg").Select(Turned), .. Wild("orientation-*.jpg"),
        [0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 0, 0, 0xFF, 0xD9],
    ]) with
    {
        MaxBytes = 4 * Memory, // twice a picture and its turned copy
        Tokens =
        [
            "\u00ff\u00d8", "\u00ff\u00d9", "\u00ff\u00c0", "\u00ff\u00c2", "\u00ff\u00c4", "\u00ff\u00da", "\u00ff\u00db",
            "\u00ff\u00dd", "\u00ff\u00d0", "\u00ff\u00d7", "\u00ff\u00e1", "\u00ff\u00ee", "\u00ff\0", "\u00ff\u00ff", "Exif\0\0",
            "II*\0\u0008\0\0\0", "MM\0*\0\0\0\u0008", "Adobe", "JFIF\0",
            "http://ns.adobe.com/xap/1.0/\0", "tiff:Orientation=\"6\"", "\u0012\u0001\u0003\0", "\u0001\u0011\0", "\u0002\u0022\u0001",
        ],
    };

    /// <summary>All pages that seeds have. A strip or a tile may be as large as a picture, and is decoded once more upright.</summary>
    public static FuzzTarget Tiff { get; } = Target("tiff", () => Files("*.tif", "tiff")) with
    {
        Parse = bytes => Decode(bytes, new ImageLoadOptions { Limits = Limits }.WithTiff(1 + bytes.Length % 2)),
        MaxBytes = 8 * Memory,
        MaxBytesEach = 256,
        Tokens =
        [
            "II*\0\u0008\0\0\0", "MM\0*\0\0\0\u0008", "II+\0\u0008\0\0\0", "MM\0+\0\u0008\0\0", "\0\u0001\u0003\0", "\u0001\u0001\u0003\0",
            "\u0002\u0001\u0003\0", "\u0003\u0001\u0003\0", "\u0006\u0001\u0003\0", "\u000a\u0001\u0003\0", "\u0011\u0001\u0004\0",
            "\u0012\u0001\u0003\0", "\u0015\u0001\u0003\0", "\u0016\u0001\u0003\0", "\u0017\u0001\u0004\0", "\u001c\u0001\u0003\0",
            "\u0024\u0001\u0004\0", "\u003d\u0001\u0003\0", "\u0040\u0001\u0003\0", "\u0042\u0001\u0003\0", "\u0043\u0001\u0003\0",
            "\u0044\u0001\u0004\0", "\u0045\u0001\u0004\0", "\u0052\u0001\u0003\0", "\u0053\u0001\u0003\0", "\u005b\u0001\u0007\0",
            "\u0001\0\0\0\u0002\0\0\0", "\u0001\0\0\0\u0005\0\0\0", "\u0001\0\0\0\u0008\0\0\0", "\u0005\u0080", "\u00ff\u00d8\u00ff",
        ],
    };

    private static FuzzTarget Target(string name, Func<IEnumerable<byte[]>> seeds) => new(name, b => Decode(b), seeds)
    {
        Errors = [typeof(ImageFormatException)],
        MaxBytes = Memory,
        MaxBytesEach = 16,
    };

    private static IEnumerable<byte[]> Files(string pattern, string folder = "") =>
        Directory.EnumerateFiles(TestData.Path("imaging", folder), pattern).Order(StringComparer.Ordinal).Select(File.ReadAllBytes);

    private static IEnumerable<byte[]> Wild(string pattern) => Files(pattern, "wild");

    /// <summary>A JPEG with an Exif segment that asks for a quarter turn.</summary>
    private static byte[] Turned(byte[] jpeg) =>
    [
        .. jpeg[..2], 0xFF, 0xE1, 0, 34, .. "Exif\0\0II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,
        .. jpeg[2..],
    ];

    private static string Decode(ReadOnlyMemory<byte> bytes, ImageLoadOptions? given = null)
    {
        ImageLoadOptions options = given ?? new ImageLoadOptions { Limits = Limits };
        Image image = Image.Load(bytes.Span, options);
        if (given is not null || bytes.Span.IndexOf("Exif"u8) >= 0 || bytes.Span.IndexOf("eXIf"u8) >= 0
            || bytes.Span.IndexOf("xap/1.0/"u8) >= 0)
        {
            image = Image.Load(bytes.Span, options with { ApplyExifOrientation = true });
        }

        return Describe(image);
    }

    private static string DecodeUpright(ReadOnlyMemory<byte> bytes)
    {
        ImageLoadOptions options = new ImageLoadOptions { Limits = Limits, ApplyExifOrientation = true };
        Image image = Image.Load(bytes.Span, options);
        ImageInfo info = Image.Identify(bytes.Span, options);
        if ((info.Width, info.Height) != (image.Width, image.Height)) throw new InvalidOperationException("the size is another");
        return Describe(image);
    }

    private static string Describe(Image image)
    {
        if (image.Pixels.Length != 3 * image.Width * image.Height) throw new InvalidOperationException("pixels are missing");
        // Sizes of one order of magnitude count as one kind of picture.
        return new string('w', (int)Math.Log2(image.Width)) + new string('h', (int)Math.Log2(image.Height));
    }
}
