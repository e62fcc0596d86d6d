using System.Buffers.Binary;
using System.Text;
using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>
/// Damaged pictures end in one ImageFormatException that says where; they neither crash nor hang nor allocate by what they claim.
/// </summary>
public class DamagedPictureTests
{
    private static readonly TestPng Rgb = TestPng.Make(2, 8, 5, 4, 0, seed: 1), Palette = TestPng.Make(3, 4, 5, 4, 0, seed: 2);

    private static readonly byte[] Data = TestPng.Chunk("IDAT", TestPng.Deflate(Rgb.Filtered())), End = TestPng.Chunk("IEND");

    /// <summary>What is wrong, the file, and a part of the message.</summary>
    private static IEnumerable<(string What, byte[] File, string Message)> Cases()
    {
        byte[] good = Rgb.Encode(), header = Rgb.Header(), plte = TestPng.Chunk("PLTE", Palette.Palette);

        // The frame of a PNG.
        yield return ("PNG: half a signature", good[..5], "signature");
        yield return ("PNG: transferred as text", [.. good[..4], 0x0A, .. good[6..]], "signature");
        yield return ("PNG: signature alone", good[..8], "cut off");
        yield return ("PNG: cut in IHDR", good[..20], "IHDR at offset 8 claims 13 bytes");
        yield return ("PNG: cut after IHDR", good[..33], "offset 33");
        yield return ("PNG: cut in IDAT", good[..60], "IDAT at offset 33");
        yield return ("PNG: no IEND", good[..^12], "IEND");
        yield return ("PNG: cut in IEND", good[..^3], "cut off");
        yield return ("PNG: no IHDR", TestPng.File(Data, End), "must be IHDR");
        yield return ("PNG: short IHDR", TestPng.File(TestPng.Chunk("IHDR", new byte[12]), Data, End), "12 bytes");
        yield return ("PNG: two IHDR", TestPng.File(header, header, Data, End), "second header");
        yield return ("PNG: no IDAT", TestPng.File(header, End), "no IDAT");
        yield return ("PNG: empty IDAT", TestPng.File(header, TestPng.Chunk("IDAT"), End), "cannot inflate");
        yield return ("PNG: unknown critical chunk", TestPng.File(header, TestPng.Chunk("TEST"), Data, End),
            "TEST at offset 33 is critical");
        yield return ("PNG: chunk type of digits", TestPng.File(header, TestPng.Chunk("12ab"), Data, End), "offset 33");
        byte[] firstHalf = TestPng.Chunk("IDAT", Data[8..40]), secondHalf = TestPng.Chunk("IDAT", Data[40..^4]);
        yield return ("PNG: chunk between IDAT", TestPng.File(header, firstHalf, TestPng.Chunk("tEXt"), secondHalf, End), "row");
        yield return ("PNG: length beyond the end", Patched(good, 33, 0, 0, 255, 0), "IDAT at offset 33 claims 65280 bytes");
        yield return ("PNG: length above 2^31", Patched(good, 33, 255, 255, 255, 255), "claims 4294967295 bytes");
        yield return ("PNG: checksum of IHDR", Patched(good, 29, 1, 2, 3, 4), "IHDR at offset 8 is damaged");
        yield return ("PNG: checksum of IDAT", Patched(good, good.Length - 16, 1, 2, 3, 4), "IDAT at offset 33 is damaged");
        yield return ("PNG: checksum of IEND", Patched(good, good.Length - 4, 1, 2, 3, 4), "IEND");

        // IHDR.
        foreach ((int colour, int depth) in ((int, int)[])[(0, 3), (0, 0), (0, 32), (1, 8), (2, 4), (3, 16), (4, 4), (5, 8),
            (6, 1), (7, 8)])
        {
            yield return ($"PNG: colour type {colour} of {depth} bits", Header(5, 4, depth, colour),
                $"colour type {colour} with bit depth {depth}");
        }

        yield return ("PNG: width 0", Header(0, 4), "0 x 4");
        yield return ("PNG: height 0", Header(5, 0), "5 x 0");
        yield return ("PNG: width above 2^31", Header(-1, 4), "4294967295 x 4");
        yield return ("PNG: more pixels than allowed", Header(1 << 15, 1 << 14), "MaxPixels");
        yield return ("PNG: 2^31 by 2^31", Header(int.MaxValue, int.MaxValue), "MaxPixels");
        yield return ("PNG: compression 1", Header(5, 4, 8, 2, compression: 1), "compression 1");
        yield return ("PNG: filter method 1", Header(5, 4, 8, 2, method: 1), "filter method 1");
        yield return ("PNG: interlace 2", Header(5, 4, 8, 2, interlace: 2), "interlace 2");
        yield return ("PNG: 2^28 pixels of 60 bytes", Header(1 << 14, 1 << 14), "cannot inflate");
        yield return ("PNG: interlaced, 2^28 pixels of 60 bytes", Header(1 << 14, 1 << 14, 16, 6, interlace: 1),
            "cannot inflate");
        yield return ("PNG: a row of 2^31 bytes", Header(1 << 28, 1, 16, 6), "one array holds");

        // The compressed rows.
        foreach (byte filter in (byte[])[5, 6, 128, 255])
            yield return ($"PNG: filter {filter}", Rows(Rgb, rows => rows[0] = filter), $"filter {filter}");
        yield return ("PNG: filter 5 in the last row", Rows(Rgb, rows => rows[3 * 16] = 5), "row 3");
        yield return ("PNG: a byte too few", Rows(Rgb, null, length: 63), "end in row 3");
        yield return ("PNG: a row too few", Rows(Rgb, null, length: 48), "end in row 3");
        yield return ("PNG: no rows", Idat([0x78, 0x9C, 3, 0, 0, 0, 0, 1]), "end in row 0");
        byte[] zlib = TestPng.Deflate(Rgb.Filtered());
        yield return ("PNG: zlib header", Idat(Patched(zlib, 0, 0, 0)), "damaged in or before row 0");
        yield return ("PNG: zlib method 7", Idat(Patched(zlib, 0, 0x77, 0x85)), "row 0");
        yield return ("PNG: zlib with a dictionary", Idat([0x78, 0xBB, 0, 0, 0, 1, .. zlib[2..]]), "row 0");
        yield return ("PNG: deflate block of type 3", Idat(Patched(zlib, 2, 0xFF)), "row 0");
        yield return ("PNG: zlib data cut", Idat(zlib[..(zlib.Length / 2)]), "row");
        yield return ("PNG: zlib header alone", Idat(zlib[..2]), "row 0");

        // Palettes.
        byte[] colourData = TestPng.Chunk("IDAT", TestPng.Deflate(Palette.Filtered()));
        yield return ("PNG: no palette", TestPng.File(Palette.Header(), colourData, End), "no PLTE");
        yield return ("PNG: palette after IDAT", TestPng.File(Palette.Header(), colourData, plte, End), "before any IDAT");
        yield return ("PNG: two palettes", TestPng.File(Palette.Header(), plte, plte, colourData, End), "one PLTE");
        foreach (int length in (int[])[0, 1, 2, 4, 771])
        {
            yield return ($"PNG: palette of {length} bytes",
                TestPng.File(Palette.Header(), TestPng.Chunk("PLTE", new byte[length]), colourData, End), $"{length} bytes");
        }

        yield return ("PNG: empty palette as a suggestion", TestPng.File(header, TestPng.Chunk("PLTE"), Data, End), "0 bytes");
        yield return ("PNG: damaged palette as a suggestion", TestPng.File(header, Patched(plte, 9, 1, 2, 3), Data, End),
            "PLTE at offset 33 is damaged");

        // BMP.
        byte[] bmp = PictureFixture.Read("bmp-24.bmp"), bmp8 = PictureFixture.Read("bmp-8.bmp"),
            masks = PictureFixture.Read("bmp-16-565.bmp");
        byte[] rle8 = PictureFixture.Read("bmp-8-rle.bmp"), rle4 = PictureFixture.Read("bmp-4-rle.bmp");
        yield return ("BMP: two bytes", bmp[..2], "headers");
        yield return ("BMP: cut in its header", bmp[..40], "headers");
        yield return ("BMP: cut in its masks", masks[..60], "bit masks");
        yield return ("BMP: no pixels", bmp[..54], "pixels should start");
        yield return ("BMP: a byte too few", bmp8[..^4], "there are");
        yield return ("BMP: half the pixels", bmp[..600], "there are 546");
        foreach (int size in (int[])[0, 11, 13, 15, 17, 39, 41, 65, 128, -1])
            yield return ($"BMP: header of {size} bytes", PatchedWord(bmp, 14, size), "the bitmap header");
        yield return ("BMP: width 0", PatchedWord(bmp, 18, 0), "0 x 17");
        yield return ("BMP: width -21", PatchedWord(bmp, 18, -21), "-21 x 17");
        yield return ("BMP: height 0", PatchedWord(bmp, 22, 0), "21 x 0");
        yield return ("BMP: height -2^31", PatchedWord(bmp, 22, int.MinValue), "2147483648");
        yield return ("BMP: 2^31 by 2^31", PatchedWord(PatchedWord(bmp, 18, int.MaxValue), 22, int.MaxValue), "MaxPixels");
        yield return ("BMP: 2^28 pixels of 1 kB", PatchedWord(PatchedWord(bmp, 18, 1 << 14), 22, 1 << 14), "there are");
        yield return ("BMP: 2 planes", Patched(bmp, 26, 2), "planes");
        foreach (byte bits in (byte[])[0, 3, 12, 25, 64])
            yield return ($"BMP: {bits} bits", Patched(bmp, 28, bits), $"{bits} bits");
        foreach (byte compression in (byte[])[1, 2, 4, 5, 7, 255])
        {
            yield return ($"BMP: compression {compression} of 24 bits", Patched(bmp, 30, compression),
                $"compression {compression}");
        }

        yield return ("BMP: masks beyond the pixels' start", Patched(bmp, 30, 3), "headers end at 66");
        yield return ("BMP: masks with 8 bits", Patched(bmp8, 30, 3), "8 bits");
        yield return ("BMP: masks in an OS/2 header", Patched(Patched(masks, 14, 64), 30, 3), "Windows header");
        yield return ("BMP: pixels in the header", PatchedWord(bmp, 10, 53), "offset 53");
        yield return ("BMP: pixels beyond the end", PatchedWord(bmp, 10, 100_000), "offset 100000");
        yield return ("BMP: pixels far beyond the end", PatchedWord(bmp, 10, -1), "offset 4294967295");
        yield return ("BMP: masks 0", PatchedWord(PatchedWord(PatchedWord(masks, 54, 0), 58, 0), 62, 0), "one must have bits");
        yield return ("BMP: mask with a hole", PatchedWord(masks, 54, 0xA000), "masks");
        yield return ("BMP: mask outside the pixel", PatchedWord(masks, 54, 0x10000), "masks");
        yield return ("BMP: colour beyond the palette", PatchedWord(PatchedWord(bmp8, 46, 2), 10, 62), "palette has 2 colours");
        yield return ("BMP: no palette", PatchedWord(bmp8, 10, 55), "palette has 0 colours");
        yield return ("BMP: codes cut", rle8[..^30], "run-length");
        yield return ("BMP: codes cut in a literal", rle4[..(118 + 9)], "run-length");
        yield return ("BMP: codes cut in a jump", [.. rle4[..118], 0, 2, 1], "run-length");
        yield return ("BMP: run of a colour beyond the palette", PatchedWord(Patched(rle8, 1078, 9, 200), 46, 16), "palette has");
        yield return ("BMP: no palette for codes", PatchedWord(rle8, 10, 54 + 2), "palette has 0 colours");

        // PNM.
        foreach ((string text, string message) in ((string, string)[])
        [
            ("P6\n", "the width"), ("P6 5", "the height"), ("P6 5 4", "the largest sample"),
                ("P6 5 4 255\n", "at least 60 bytes"),
            ("P6 0 4 255\n", "the width"), ("P6 5 0 255\n", "the height"), ("P6 -5 4 255\n", "the width"),
                ("P6 5x 4 255\n", "the width"),
            ("P6 5 4 0\n", "1 to 65535"), ("P6 5 4 65536\n", "1 to 65535"), ("P6 99999999999 4 255\n", "the width"),
            ("P6 5000000000 4 255\n", "the width"), ("P6 2147483647 2147483647 255\n", "MaxPixels"),
                ("P6 16384 16384 255\n", "at least 805306368"),
            ("P5 5 4 256\n0123456789", "at least 40 bytes"), ("P4 9 4\n0123456", "at least 8 bytes"),
                ("P6 # only a comment", "the width"),
            ("P2 2 2 9\n1 2 3", "at least 7 bytes"), ("P2 2 2 9\n1 2 3    ", "a sample"), ("P2 2 2 9\n1 2 10 3", "0 to 9"),
                ("P2 2 2 9\n1 2 -1 3", "a sample"),
            ("P2 2 2 9\n1 2 x 3", "a sample"), ("P3 1 1 9\n1 2   ", "a sample"), ("P1 2 2\n1 0 2 1", "0 or 1"),
                ("P1 2 2\n1 0    ", "0 or 1"), ("P1 2 2\n101", "4 bytes"),
            ("P2 2 1 9\n00000000001 1", "10 digits"), ("P3 16384 16384 255\n", "at least 1610612735"),
                ("P1 16384 16384\n", "at least 268435456"),
            ("P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR", "does not end"),
                ("P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\rA", "a line feed must follow"),
            ("P7\n", "should start with a word"), ("P7\nWIDTH 5\nHEIGHT 4\nDEPTH 3\nENDHDR\n", "MAXVAL 0"),
                ("P7\nENDHDR\n", "WIDTH 0"), ("P7\nWIDTH 5\nSIZE 4\n", "\"SIZE\""),
            ("P7\nWIDTH 5\nHEIGHT 4\nDEPTH 5\n", "DEPTH"),
                ("P7\nWIDTH 5\nHEIGHT 4\nDEPTH 3\nMAXVAL 255\nENDHDR\n123", "at least 60 bytes"),
        ])
        {
            yield return ("PNM: " + text.Replace('\n', '|'), Encoding.ASCII.GetBytes(text), message);
        }
    }

    [Test]
    public void EachRuleIsKept()
    {
        (string What, byte[] File, string Message)[] cases = [.. Cases()];
        Assert.That(cases, Has.Length.GreaterThan(100));
        Assert.Multiple(() =>
        {
            foreach ((string what, byte[] file, string message) in cases)
            {
                // None of these needs more than a few kilobytes, messages and stack traces included.
                Exception? error = Decode(file, limits: null, mostBytes: 1 << 18);
                Assert.That(error, Is.TypeOf<ImageFormatException>(), what);
                Assert.That(error?.Message, Does.Contain(message).And.StartsWith(what[..3]), what);
                ImageFormatException? facts = error as ImageFormatException;
                Assert.That(facts?.Format, Is.EqualTo(what[..3]), what);
                Assert.That(facts?.Offset ?? 0, Is.InRange(0, file.Length), what);
                Assert.That(facts?.File, Is.Null, what);
            }
        });
    }

    /// <summary>
    /// A run-length picture may stop anywhere, so its claim can be met by a few bytes; only the limits bound it.
    /// </summary>
    [Test]
    public void RunLengthsAreBoundByTheLimits()
    {
        byte[] rle = PatchedWord(PatchedWord(PictureFixture.Read("bmp-8-rle.bmp"), 18, 5000), 22, 5000);
        Assert.That(Decode(rle, new ImageLimits { MaxPixels = 5000 * 5000 - 1 }, 1 << 18), Is.TypeOf<ImageFormatException>());
    }

    /// <summary>
    /// A deflate stream of zeros, a thousand times smaller than what it inflates to, is not inflated beyond the last row.
    /// </summary>
    [Test]
    public void ABombIsNotInflated()
    {
        byte[] zeros = TestPng.Deflate(new byte[1 << 26]);
        Assert.That(zeros, Has.Length.LessThan(1 << 17));
        byte[] file = TestPng.File(Rgb.Header(), TestPng.Chunk("IDAT", zeros), End);
        Assert.That(Decode(file, null, 1 << 18), Is.Null);
    }

    /// <summary>Of a text that inflates to gigabytes, no more than a megabyte is inflated, and only where it is read.</summary>
    [TestCase("XML:com.adobe.xmp")]
    [TestCase("Raw profile type exif")]
    public void ABombInATextIsNotInflated(string keyword)
    {
        byte[] zeros = TestPng.Deflate(new byte[1 << 26]);
        byte[] text = TestPng.Chunk("zTXt", [.. Encoding.ASCII.GetBytes(keyword), 0, 0, .. zeros]);
        byte[] file = TestPng.File(Rgb.Header(), text, text, text, Data, End);
        Assert.That(Decode(file, null, 1 << 18), Is.Null);
        ImageLoadOptions upright = new() { ApplyExifOrientation = true };
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(Image.Load(file, upright).Pixels.SequenceEqual(Rgb.Rgb()));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan((1 << 20) + (1 << 18)));
    }

    [TestCase("png", 2500)]
    [TestCase("bmp", 2500)]
    [TestCase("pnm", 2500)]
    [TestCase("jpeg", 5000)]
    public void MutationsAreCaughtOrHarmless(string kind, int count)
    {
        byte[][] files = [.. PictureFixture.All.Where(f => f.Name.StartsWith(kind)).Select(f => f.Bytes)];
        Random random = new Random(7);
        ImageLimits limits = new ImageLimits { MaxPixels = 1 << 18, MaxEncodedBytes = 1 << 20 };
        int caught = 0;
        for (int i = 0; i < count; i++)
        {
            byte[] file = Mutate(files, random, repair: kind == "png" && random.Next(4) != 0);
            Exception? error = Decode(file, limits, 1 << 21);
            if (error is not null)
            {
                Assert.That(error, Is.TypeOf<ImageFormatException>(), $"mutation {i}: {Convert.ToHexString(file)}");
                caught++;
            }
        }

        TestContext.Out.WriteLine($"{kind}: {caught} of {count} refused");
        Assert.That(caught, Is.InRange(count / 20, count - 1), "the mutations are too wild or too mild to show anything");
    }

    /// <summary>The error of decoding, or null; it ends, within bounded memory.</summary>
    internal static Exception? Decode(byte[] file, ImageLimits? limits, long mostBytes) =>
        Ends.Eventually(() => DecodeHere(file, limits, mostBytes));

    private static Exception? DecodeHere(byte[] file, ImageLimits? limits, long mostBytes)
    {
        // Ends at an unreadable page, so that a byte read beyond the end would end the process.
        using GuardedBuffer guarded = new GuardedBuffer(file);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Exception? error = null;
        try
        {
            Image image = Image.Load(guarded.Span, new ImageLoadOptions { Limits = limits ?? ImageLimits.Default });
            Assert.That(image.Pixels.Length, Is.EqualTo(3 * image.Width * image.Height));
        }
        catch (Exception e) when (e is not AssertionException)
        {
            error = e;
        }

        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(mostBytes));
        return error;
    }

    private static byte[] Mutate(byte[][] files, Random random, bool repair)
    {
        byte[] file = (byte[])files[random.Next(files.Length)].Clone();
        for (int n = random.Next(1, 4); n > 0 && file.Length > 2; n--)
        {
            // Half of the time near the start, where the headers are.
            int at = random.Next(2) == 0 ? random.Next(Math.Min(file.Length, 70)) : random.Next(file.Length);
            switch (random.Next(6))
            {
                case 0:
                    file[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    file[at] = (byte)random.Next(256);
                    break;
                case 2:
                    file[at] = (byte)(random.Next(2) * 255);
                    break;
                case 3:
                    file = file[..at];
                    break;
                case 4:
                    int end = Math.Min(at + random.Next(1, 20), file.Length);
                    file = [.. file[..at], .. file[end..]];
                    break;
                default:
                    byte[] other = files[random.Next(files.Length)];
                    int from = random.Next(other.Length);
                    file = [.. file[..at], .. other[from..Math.Min(from + random.Next(1, 200), other.Length)], .. file[at..]];
                    break;
            }
        }

        return repair ? Repair(file) : file;
    }

    /// <summary>Corrects a PNG's checksums as far as its chunks go, so that mutations get past them.</summary>
    private static byte[] Repair(byte[] file)
    {
        for (int at = 8; at + 12 <= file.Length;)
        {
            long length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at));
            if (at + 12 + length > file.Length)
                break;
            string type = Encoding.Latin1.GetString(file, at + 4, 4);
            if (type.All(char.IsAscii))
                TestPng.Chunk(type, file[(at + 8)..(at + 8 + (int)length)]).CopyTo(file, at);
            at += 12 + (int)length;
        }

        return file;
    }

    private static byte[] Header(int width, int height, int depth = 8, int colour = 2, int compression = 0, int method = 0,
        int interlace = 0)
    {
        byte[] header = new TestPng { Width = width, Height = height, Depth = depth, Colour = colour,
            Interlace = interlace }.Header();
        (header[18], header[19]) = ((byte)compression, (byte)method);
        return TestPng.File(TestPng.Chunk("IHDR", header[8..21]), Data, End);
    }

    private static byte[] Rows(TestPng png, Action<byte[]>? change, int length = int.MaxValue)
    {
        byte[] rows = png.Filtered();
        change?.Invoke(rows);
        return Idat(TestPng.Deflate(rows[..Math.Min(length, rows.Length)]));
    }

    private static byte[] Idat(byte[] zlib) => TestPng.File(Rgb.Header(), TestPng.Chunk("IDAT", zlib), End);

    private static byte[] Patched(byte[] file, int at, params byte[] bytes)
    {
        byte[] patched = (byte[])file.Clone();
        bytes.CopyTo(patched, at);
        return patched;
    }

    private static byte[] PatchedWord(byte[] file, int at, int word)
    {
        byte[] patched = (byte[])file.Clone();
        BinaryPrimitives.WriteInt32LittleEndian(patched.AsSpan(at), word);
        return patched;
    }
}
