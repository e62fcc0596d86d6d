using System.Buffers;
using System.Buffers.Binary;
using BitMiracle.LibTiff.Classic;
using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>TIFF against Pillow, with libtiff, and ImageMagick (make.py), and what files may not do.</summary>
public class TiffTests
{
    private static readonly ImageLoadOptions Tiff = new ImageLoadOptions().WithTiff();

    private static readonly ImageLoadOptions Upright = Tiff with { ApplyExifOrientation = true };

    /// <summary>A file of each way through the decoder.</summary>
    private static readonly string[] Names =
    [
        "rgb.tif", "rgb-lzw-predictor-strips.tif", "rgb-zip-tiles.tif", "rgb-zip-separate.tif", "deep-packbits-strips.tif",
        "deep-gray-lzw-tiles.tif", "bits-g4-strips.tif", "bits-g3-2d-tiles.tif", "palette-04.tif", "cmyk-8-separate.tif",
        "gray-12-packed.tif", "rgb-jpeg-strips.tif", "rgb-jpeg-tiles.tif", "rgb-jpeg-separate.tif", "gray-jpeg-one.tif", "big.tif",
    ];

    /// <summary>A file, a page of it, and the picture that another program makes of it.</summary>
    private static string[] Expected => File.ReadAllLines(PathOf("expected.txt"));

    [TestCaseSource(nameof(Expected))]
    public void AgreesWithOtherPrograms(string line)
    {
        string[] words = line.Split(' ');
        Image expected = Image.Load(PathOf(words[2]));
        byte[] file = Read(words[0]);
        ImageLoadOptions options = Upright.WithTiff(int.Parse(words[1]));
        Image image = Image.Load(file, options);
        Assert.That(Image.Identify(file, options), Is.EqualTo(new ImageInfo(image.Width, image.Height, "TIFF")));
        Assert.That((image.Width, image.Height), Is.EqualTo((expected.Width, expected.Height)));
        Assert.That(image.Pixels.SequenceEqual(expected.Pixels));
    }

    [Test]
    public void TheOrientationIsAppliedIfAskedFor()
    {
        Image stored = Image.Load(Read("rgb.tif"), Tiff);
        for (int value = 1; value <= 8; value++)
        {
            byte[] file = Read($"orientation-{value}.tif");
            Assert.That(Image.Load(file, Tiff).Pixels.SequenceEqual(stored.Pixels), $"{value}");
            Assert.That(Image.Identify(file, Tiff), Is.EqualTo(new ImageInfo(37, 21, "TIFF")));
            Assert.That(Image.Identify(file, Upright), Is.EqualTo(new ImageInfo(value < 5 ? 37 : 21, value < 5 ? 21 : 37, "TIFF")));
            Assert.That(Image.Load(file, Upright).Pixels.SequenceEqual(stored.Pixels), Is.EqualTo(value == 1), $"{value}");
        }
    }

    [TestCase("float", "3 (floating-point numbers)")]
    [TestCase("signed", "2 (signed integers)")]
    [TestCase("lab", "8 (CIE L*a*b*)")]
    [TestCase("ycbcr", "YCbCr with the compression None")]
    [TestCase("old-jpeg", "6 (old-style JPEG)")]
    [TestCase("jpeg-2000", "34712 (JPEG 2000)")]
    [TestCase("zstd", "50000 (ZSTD)")]
    [TestCase("lzma", "34925 (LZMA)")]
    [TestCase("webp", "50001 (WebP)")]
    [TestCase("logluv", "34676 (LogLuv)")]
    public void SaysWhatIsNotSupported(string name, string part)
    {
        byte[] file = Read($"refused-{name}.tif");
        Assert.That(() => Image.Load(file, Tiff), Refused(part));
        Assert.That(() => Image.Identify(file, Tiff), Refused(part));
    }

    [Test]
    public void PagesCountFromOne()
    {
        foreach (string name in (string[])["pages.tif", "big-pages.tif"])
        {
            byte[] file = Read(name);
            Assert.That(Image.Load(file, Tiff).Pixels.SequenceEqual(Image.Load(file, new ImageLoadOptions().WithTiff(1)).Pixels));
            Assert.That(Image.Identify(file, Tiff.WithTiff(3)), Is.EqualTo(new ImageInfo(11, 9, "TIFF")));
            Assert.That(Image.Identify(file, Tiff.WithTiff(3).WithTiff(4)), Is.EqualTo(new ImageInfo(37, 21, "TIFF")), "the last holds");
            Assert.That(() => Image.Load(file, Tiff.WithTiff(5)), Refused("no page 5; the file has 4"));
            Assert.That(() => Image.Identify(file, Tiff.WithTiff(int.MaxValue)), Refused("the file has 4"));
        }

        Assert.That(() => Tiff.WithTiff(0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => TiffImageLoadOptions.WithTiff(null!), Throws.ArgumentNullException);
    }

    [Test]
    public void OptionsAreNotChanged()
    {
        ImageLoadOptions options = new ImageLoadOptions();
        ImageLoadOptions two = options.WithTiff().WithTiff(2);
        Assert.That(() => Image.Load(Read("rgb.tif"), options), Throws.TypeOf<ImageFormatException>()
            .With.Message.Contains("add the package TinyZsad.Tiff and call WithTiff()"));
        Assert.That(() => Image.Load(Read("big.tif"), options), Throws.TypeOf<ImageFormatException>().With.Message.Contains("WithTiff()"));
        Assert.That(two.Formats.Select(f => f.Name), Is.EqualTo(new[] { "JPEG", "PNG", "BMP", "PNM", "TIFF" }));
        Assert.That(two.Formats[^1].Extensions, Is.EqualTo(new[] { ".tif", ".tiff" }));
        Assert.That(Image.Load(PictureFixture.Read("png-2-08.png"), two).Width, Is.EqualTo(21), "other formats have no pages");
    }

    /// <summary>The same 12-bit picture in samples of 16 bits and packed.</summary>
    [Test]
    public void SignificantBitsApplyToSamplesOf16Bits()
    {
        byte[] file = Read("camera-12-in-16.tif"), packed = Read("gray-12.tif");
        Image whole = Image.Load(packed, Tiff);
        Assert.That(whole.LargestSample, Is.Null);
        Assert.That(Image.Load(packed, Tiff with { SignificantBits = 10 }).Pixels.SequenceEqual(whole.Pixels));
        foreach (int bits in (int[])[12, ImageLoadOptions.AutoSignificantBits])
        {
            Image image = Image.Load(file, Tiff with { SignificantBits = bits });
            Assert.That(image.Pixels.SequenceEqual(whole.Pixels));
            Assert.That(image.LargestSample, Is.InRange(2048, 4095));
        }

        Assert.That(Image.Load(file, Tiff).Pixels.SequenceEqual(whole.Pixels), Is.False);

        // White is 0: the samples are inverted after they are narrowed.
        byte[] inverted = With(file, 262, 0);
        Image dark = Image.Load(inverted, Tiff with { SignificantBits = 12 });
        for (int i = 0; i < whole.Pixels.Length; i++)
            Assert.That(dark.Pixels[i], Is.EqualTo(255 - whole.Pixels[i]));
    }

    [Test]
    public void KeepsToTheLimits()
    {
        foreach (string name in Names)
        {
            byte[] file = Read(name);
            Image image = Image.Load(file, Tiff);
            ImageLoadOptions few = Tiff with { Limits = new ImageLimits { MaxPixels = image.Width * image.Height - 1 } };
            ImageLoadOptions small = Tiff with { Limits = new ImageLimits { MaxEncodedBytes = file.Length - 1 } };
            Assert.That(() => Image.Load(file, few), Refused("MaxPixels"), name);
            Assert.That(() => Image.Identify(file, few), Refused("MaxPixels"), name);
            Assert.That(() => Image.Load(file, small),
                Throws.TypeOf<ImageFormatException>().With.Message.Contains("MaxEncodedBytes"), name);
        }
    }

    [Test]
    public async Task LoadsIntoBuffersFromPoolsAndStreams()
    {
        foreach (string name in Names)
        {
            byte[] file = Read(name);
            Image expected = Image.Load(file, Tiff);
            byte[] buffer = new byte[expected.Pixels.Length + 20];
            Array.Fill(buffer, (byte)7);
            Assert.That(Image.Load(file, buffer.AsMemory(4), Tiff).Pixels.SequenceEqual(expected.Pixels), name);
            Assert.That(buffer.AsSpan(expected.Pixels.Length + 4).IndexOfAnyExcept((byte)7), Is.Negative, name);
            Assert.That(() => Image.Load(file, buffer.AsMemory(0, expected.Pixels.Length - 1), Tiff), Throws.ArgumentException, name);
            ArrayPool<byte> pool = ArrayPool<byte>.Create();
            using (Image image = Image.Load(file, Tiff with { Pool = pool }))
                Assert.That(image.Pixels.SequenceEqual(expected.Pixels), name);
            using MemoryStream stream = new MemoryStream(file);
            Assert.That((await Image.LoadAsync(stream, Tiff)).Pixels.SequenceEqual(expected.Pixels), name);
            Assert.That((await Image.LoadAsync(PathOf(name), Tiff)).Pixels.SequenceEqual(expected.Pixels), name);
        }

        Assert.That(() => Image.Load(PathOf("refused-zstd.tif"), Tiff),
            Throws.TypeOf<ImageFormatException>().With.Message.StartsWith(PathOf("refused-zstd.tif")));
    }

    [TestCaseSource(nameof(Names))]
    public void DecodingIsCancelledBetweenRows(string name)
    {
        byte[] file = Read(name);
        using CountingContext whole = new CountingContext(int.MaxValue);
        Tiff.Formats[^1].Decode(file, whole);
        using Image image = whole.ToImage();
        Assert.That(whole.Checks, Is.GreaterThanOrEqualTo(name.Contains("jpeg") ? 2 : image.Height));
        for (int stop = 1; stop <= whole.Checks; stop++)
        {
            using CountingContext context = new CountingContext(stop);
            Assert.That(() => Tiff.Formats[^1].Decode(file, context), Throws.InstanceOf<OperationCanceledException>());
            Assert.That(context.Checks, Is.EqualTo(stop));
        }
    }

    /// <summary>The library's handler of messages is one for the process: threads must not hear each other's.</summary>
    [Test]
    public void ManyThreadsLoadAtOnce()
    {
        byte[][] files = [.. Names.Select(Read)];
        byte[][] pixels = [.. files.Select(f => Image.Load(f, Tiff).Pixels.ToArray())];
        byte[] damaged = Damaged();
        Parallel.For(0, 600, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            if (i % 3 == 0)
            {
                Assert.That(() => Image.Load(damaged, Tiff), Refused("strip"));
            }
            else
            {
                Assert.That(Image.Load(files[i % files.Length], Tiff).Pixels.SequenceEqual(pixels[i % files.Length]));
            }
        });
    }

    [Test, NonParallelizable]
    public void TheLibraryIsSilentAndItsOtherUsersHearTheirMessages()
    {
        Messages messages = new Messages();
        TiffErrorHandler before = BitMiracle.LibTiff.Classic.Tiff.SetErrorHandler(messages);
        try
        {
            Assert.That(() => Image.Load(Damaged(), Tiff), Refused("Lzw"));
            Assert.That(messages.Count, Is.Zero, "messages of a load are its own");
            using MemoryStream stream = new MemoryStream([1, 2, 3]);
            Assert.That(BitMiracle.LibTiff.Classic.Tiff.ClientOpen("other", "r", stream, new TiffStream()), Is.Null);
            Assert.That(messages.Count, Is.GreaterThan(0), "messages of others are theirs");

            // A handler that passes on to the one before it, which is ours.
            Messages outer = new Messages();
            outer.Before = BitMiracle.LibTiff.Classic.Tiff.SetErrorHandler(outer);
            Assert.That(() => Image.Load(Damaged(), Tiff), Refused("Lzw"));
            stream.Position = 0;
            Assert.That(BitMiracle.LibTiff.Classic.Tiff.ClientOpen("other", "r", stream, new TiffStream()), Is.Null);
            Assert.That(outer.Count, Is.GreaterThan(0));
        }
        finally
        {
            BitMiracle.LibTiff.Classic.Tiff.SetErrorHandler(before);
        }
    }

    /// <summary>A part of a file is an error, and never a picture with a part that is missing.</summary>
    [Test]
    public void ATruncatedFileIsRefused([ValueSource(nameof(Names))] string name)
    {
        byte[] file = Read(name);
        byte[] pixels = Image.Load(file, Tiff).Pixels.ToArray();
        int step = file.Length > 2500 ? 3 : 1;
        for (int length = 0; length < file.Length; length += step)
        {
            try
            {
                // What is missing may be a padding, as in a file whose directory comes first.
                Assert.That(Image.Load(file.AsSpan(0, length), Tiff).Pixels.SequenceEqual(pixels), $"{length}");
                Assert.That(length, Is.GreaterThan(file.Length - 40));
            }
            catch (ImageFormatException)
            {
            }
        }
    }

    [TestCase("rgb-lzw-strips.tif", "strip 0")]
    [TestCase("rgb-zip-strips.tif", "strip 0")]
    [TestCase("rgb-packbits-strips.tif", "strip 0")]
    [TestCase("bits-g3-1d-strips.tif", "strip 0")]
    [TestCase("bits-g4-strips.tif", "strip 0")]
    [TestCase("bits-g4-tiles.tif", "tile 0")]
    [TestCase("rgb-jpeg-strips.tif", "strip 0")]
    [TestCase("rgb-zip-tiles.tif", "tile 0")]
    public void AShortStripIsRefused(string name, string part)
    {
        // Half of the first strip or tile; the other half is not read.
        byte[] file = Read(name);
        ushort tag = (ushort)(part.StartsWith("tile") ? 325 : 279);
        Assert.That(() => Image.Load(With(file, tag, bytes => bytes / 2), Tiff), Refused(part));
        Assert.That(() => Image.Load(With(file, tag, _ => 0), Tiff), Refused(part));
        Assert.That(() => Image.Load(With(file, tag, _ => file.Length), Tiff), Refused("the file ends"));
    }

    [TestCase("rgb.tif", 256, 0, "must be 1 to")]
    [TestCase("rgb.tif", 256, 60000, "strip 0 at offset 8 has 2331 bytes; its 21 rows of 180000 bytes")]
    [TestCase("rgb.tif", 257, 60000, "at least 2858 numbers")]
    [TestCase("rgb.tif", 258, 32, "1, 2, 4, 8, 10, 12, 14 or 16")]
    [TestCase("rgb.tif", 259, 77, "77 (an unknown one)")]
    [TestCase("rgb.tif", 262, 99, "99 (unknown)")]
    [TestCase("rgb.tif", 266, 3, "FillOrder (266)")]
    [TestCase("rgb.tif", 273, 1 << 30, "it is cut off or damaged")]
    [TestCase("rgb.tif", 277, 2, "3 to 8 for Rgb")]
    [TestCase("rgb.tif", 277, 60000, "3 to 8 for Rgb")]
    [TestCase("rgb.tif", 278, 0, "RowsPerStrip (278)")]
    [TestCase("rgb.tif", 278, 1, "at least 21 numbers")]
    [TestCase("rgb.tif", 284, 3, "PlanarConfiguration (284)")]
    [TestCase("rgb-zip-tiles.tif", 322, 0, "must be 1 to")]
    [TestCase("rgb-zip-tiles.tif", 322, 1, "at least 74 numbers")]
    [TestCase("rgb-zip-tiles.tif", 323, 60000, "in row 16 of 21: LibTiff.NET: Not enough data")]
    [TestCase("rgb-jpeg-tiles.tif", 322, 8192, "it must have 8192 x 16")]
    [TestCase("rgb-lzw-predictor-strips.tif", 317, 3, "Predictor (317)")]
    [TestCase("rgb-lzw-strips.tif", 259, 4, "1 for CcittGroup4")]
    [TestCase("rgb-lzw-strips.tif", 259, 8, "Deflate")]
    [TestCase("rgb-zip-strips.tif", 259, 5, "Lzw")]
    [TestCase("rgb-jpeg-strips.tif", 256, 48, "37 x 16 pixels")]
    [TestCase("rgb-jpeg-strips.tif", 277, 1, "SamplesPerPixel (277)")]
    [TestCase("gray-jpeg-one.tif", 262, 2, "SamplesPerPixel (277)")]
    [TestCase("palette-08.tif", 258, 16, "for a palette")]
    public void DamagedTagsAreRefused(string name, int tag, int value, string part)
    {
        Assert.That(() => Image.Load(With(Read(name), (ushort)tag, value), Tiff), Refused(part, ignoreCase: true));
    }

    [Test]
    public void DamagedStructuresAreRefused()
    {
        byte[] file = Read("rgb.tif");
        int directory = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(4)), entries = file[directory];
        Assert.That(() => Image.Load(file.AsSpan(0, 7), Tiff), Refused("within its header"));
        Assert.That(() => Image.Load(At(4, 0), Tiff), Refused("there is no page"));
        Assert.That(() => Image.Load(At(4, file.Length), Tiff), Refused("directory of page 1"));
        Assert.That(() => Image.Load(At(directory, 0x00FF0000), Tiff), Refused("claims 0 entries"));
        Assert.That(() => Image.Load(At(directory, 0x0000FFFF), Tiff), Refused("claims 65535 entries"));

        // The directory is the one after itself.
        byte[] loop = At(directory + 2 + 12 * entries, directory);
        Assert.That(Image.Load(loop, Tiff).Width, Is.EqualTo(37));
        Assert.That(() => Image.Load(loop, Tiff.WithTiff(2)), Refused("that of an earlier page"));

        // Without a width; and with 2^32 - 1 of them.
        Assert.That(() => Image.Load(At(directory + 2, 0x00030001), Tiff), Refused("lacks ImageWidth (256)"));
        Assert.That(() => Image.Load(At(directory + 6, -1), Tiff), Refused("claims 4294967295 values"));
        Assert.That(() => Image.Load(At(directory + 4, 11), Tiff), Refused("has type 11"));
        byte[] big = Read("big.tif");
        big[4] = 4;
        Assert.That(() => Image.Load(big, Tiff), Refused("must be 8 and 0"));

        byte[] At(int offset, int value)
        {
            byte[] changed = [.. file];
            BinaryPrimitives.WriteInt32LittleEndian(changed.AsSpan(offset), value);
            return changed;
        }
    }

    /// <summary>Each strip is the whole file: reading it again and again is refused before it begins.</summary>
    [Test]
    public void StripsMayNotClaimTheSameBytesOverAndOver()
    {
        byte[] file = [.. Read("rgb-zip-strips.tif"), .. new byte[20000]];
        byte[] changed = With(With(file, 273, _ => 8), 279, _ => file.Length - 8);
        Assert.That(() => Image.Load(changed, Tiff), Refused("altogether"));
    }

    /// <summary>A tile is decoded whole, so tiles far larger than the picture take time for nothing.</summary>
    [Test]
    public void TilesMayNotBeFarLargerThanThePicture()
    {
        byte[] file = With(Read("rgb-jpeg-tiles.tif"), 322, 37);
        Assert.That(() => Image.Load(With(file, 323, 60000), Tiff), Refused("37 x 21"), "the JPEG is not as large");
        Assert.That(() => Image.Load(With(With(file, 322, 8192), 323, 8192), Tiff), Refused("all tiles together"));
    }

    /// <summary>A run that is longer than its strip ends with it.</summary>
    [Test]
    public void AStripStartsAnew()
    {
        (ushort Tag, ushort Type, int Count, int Value)[] entries =
        [
            (256, 3, 1, 4), (257, 3, 1, 2), (258, 3, 1, 8), (259, 3, 1, 32773), (262, 3, 1, 1), (273, 3, 2, 10 << 16 | 8),
            (277, 3, 1, 1), (278, 3, 1, 1), (279, 3, 2, 5 << 16 | 2),
        ];
        byte[] file = new byte[16 + 2 + 12 * entries.Length + 4];
        ((byte[])[(byte)'I', (byte)'I', 42, 0, 16, 0, 0, 0, 257 - 8, 7, 3, 1, 2, 3, 4, 0, (byte)entries.Length]).CopyTo(file, 0);
        for (int i = 0; i < entries.Length; i++)
        {
            Span<byte> entry = file.AsSpan(18 + 12 * i);
            BinaryPrimitives.WriteUInt16LittleEndian(entry, entries[i].Tag);
            BinaryPrimitives.WriteUInt16LittleEndian(entry[2..], entries[i].Type);
            BinaryPrimitives.WriteInt32LittleEndian(entry[4..], entries[i].Count);
            BinaryPrimitives.WriteInt32LittleEndian(entry[8..], entries[i].Value);
        }

        byte[] gray = [.. Image.Load(file, Tiff).Pixels.ToArray().Where((_, i) => i % 3 == 0)];
        Assert.That(gray, Is.EqualTo(new byte[] { 7, 7, 7, 7, 1, 2, 3, 4 }));
    }

    private static byte[] Damaged()
    {
        byte[] file = Read("rgb-lzw-strips.tif");
        file.AsSpan(60, 900).Fill(0xFF);
        return file;
    }

    private static string PathOf(string name) => TestData.Path("imaging", "tiff", name);

    private static byte[] Read(string name) => File.ReadAllBytes(PathOf(name));

    private static NUnit.Framework.Constraints.IResolveConstraint Refused(string part, bool ignoreCase = false)
    {
        NUnit.Framework.Constraints.Constraint message = ignoreCase
            ? Does.StartWith("TIFF: ").And.Contains(part).IgnoreCase : Does.StartWith("TIFF: ").And.Contains(part);
        return Throws.TypeOf<ImageFormatException>().With.Property("Message").Matches(message);
    }

    private static byte[] With(byte[] file, ushort tag, int value) => With(file, tag, _ => value);

    /// <summary>Returns a file of either byte order with the first value of an entry of its first directory changed.</summary>
    private static byte[] With(byte[] file, ushort tag, Func<int, int> change)
    {
        byte[] changed = [.. file];
        bool little = file[0] == 'I';
        int directory = (int)Number(4, 4);
        for (int at = directory + 2; at < directory + 2 + 12 * (int)Number(directory, 2); at += 12)
        {
            if (Number(at, 2) != tag)
            {
                continue;
            }

            int size = Number(at + 2, 2) == 3 ? 2 : 4, count = (int)Number(at + 4, 4);
            int place = size * count > 4 ? (int)Number(at + 8, 4) : at + 8;
            for (int i = 0; i < count; i++)
            {
                long value = change((int)Number(place + i * size, size));
                for (int b = 0; b < size; b++)
                {
                    changed[place + i * size + (little ? b : size - 1 - b)] = (byte)(value >> 8 * b);
                }
            }
        }

        return changed;

        long Number(int at, int bytes)
        {
            long number = 0;
            for (int b = 0; b < bytes; b++)
            {
                number |= (long)file[at + (little ? b : bytes - 1 - b)] << 8 * b;
            }

            return number;
        }
    }

    /// <summary>Counts what the library says, and passes it on.</summary>
    private sealed class Messages : TiffErrorHandler
    {
        public int Count { get; private set; }

        public TiffErrorHandler? Before { get; set; }

        public override void ErrorHandler(BitMiracle.LibTiff.Classic.Tiff tif, string method, string format, params object[] args)
        {
            Count++;
            Before?.ErrorHandler(tif, method, format, args);
        }
    }

    /// <summary>Cancels at a given check.</summary>
    private sealed class CountingContext(int stop) : DecodingContext(new ImageLoadOptions(), null, CancellationToken.None)
    {
        public int Checks { get; private set; }

        public override void ThrowIfCancelled()
        {
            if (++Checks == stop)
            {
                throw new OperationCanceledException();
            }
        }
    }
}
