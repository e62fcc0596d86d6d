using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>Damaged JPEG files, and those that are not supported, end in one ImageFormatException that says where.</summary>
public class DamagedJpegTests
{
    private const byte Sof0 = 0xC0, Sof2 = 0xC2, Dht = 0xC4, Rst0 = 0xD0, Soi = 0xD8, Sos = 0xDA, Dqt = 0xDB, Dri = 0xDD;

    /// <summary>What is wrong, the file, and a part of the message.</summary>
    private static IEnumerable<(string What, byte[] File, string Message)> Cases()
    {
        TestJpeg gray = TestJpeg.Read("jpeg-gray.jpg"), colour = TestJpeg.Read("jpeg-420.jpg");
        TestJpeg restart = TestJpeg.Read("jpeg-420-restart.jpg"), progressive = TestJpeg.Read("jpeg-420-progressive.jpg");
        TestJpeg scans = TestJpeg.Read("jpeg-scans.jpg"), bare = TestJpeg.Read("jpeg-no-tables.jpg");

        // What is not supported, by name.
        foreach ((byte marker, string name) in ((byte, string)[])[(0xC3, "lossless coding"), (0xC5, "hierarchical coding"),
            (0xC7, "hierarchical coding"), (0xC9, "arithmetic coding"), (0xCA, "arithmetic coding"),
            (0xCB, "lossless arithmetic coding"), (0xCE, "hierarchical arithmetic coding"), (0xF7, "JPEG-LS")])
        {
            yield return ($"SOF{marker - Sof0}", Renamed(colour, Sof0, marker),
                $"SOF{marker - Sof0} at offset 158 announces {name}");
        }

        yield return ("DAC", colour.Before(Dht, TestJpeg.Segment(0xCC, 0, 0)), "arithmetic coding, which is not supported");
        yield return ("12 bits", colour.With(Sof0, 0, 12), "samples of 12 bits");
        yield return ("height by DNL", colour.With(Sof0, 1, 0, 0), "DNL");
        yield return ("2 components", colour.Replaced(Sof0, d => [.. d[..5], 2, .. d[6..12]]), "has 2 components");
        yield return ("5 components", colour.Replaced(Sof0, d => [.. d[..5], 5, .. d[6..], .. d[6..12]]), "has 5 components");
        yield return ("fractional sampling", colour.With(Sof0, 7, 0x31, 1, 2, 0x21), "fractional sampling");
        yield return ("reserved marker", colour.Before(Sos, TestJpeg.Segment(0x02, 1)), "does not belong");
        yield return ("marker JPG", colour.Before(Sos, TestJpeg.Segment(0xC8, 1)), "does not belong");

        // The frame.
        yield return ("no SOF", colour.Without(Sof0), "comes before any SOF");
        yield return ("SOI alone", [0xFF, Soi, 0xFF], "cut off before its EOI");
        yield return ("SOI and EOI", [0xFF, Soi, 0xFF, 0xD9], "there is no picture");
        yield return ("two SOI", colour.Before(Dqt, 0xFF, Soi), "SOI at offset");
        yield return ("two SOF", colour.Before(Sos, TestJpeg.Segment(Sof0, colour.Segments.First(s => s.Marker == Sof0).Data)),
            "second frame");
        yield return ("width 0", colour.With(Sof0, 3, 0, 0), "0 x 27");
        yield return ("more pixels than allowed", colour.With(Sof0, 1, 0xFF, 0xFF, 0xFF, 0xFF), "MaxPixels");
        yield return ("2^28 pixels of 1 kB", colour.With(Sof0, 1, 0x40, 0, 0x40, 0), "take at least 1572864");
        yield return ("2^28 pixels of 1 kB, progressive", progressive.With(Sof2, 1, 0x40, 0, 0x40, 0), "take at least 786432");
        yield return ("sampling 0", colour.With(Sof0, 7, 0x02), "sampling factors 0 x 2");
        yield return ("sampling 5", colour.With(Sof0, 7, 0x25), "sampling factors 2 x 5");
        yield return ("quantisation table 4", colour.With(Sof0, 8, 4), "quantisation table 4");
        yield return ("a byte more in SOF", colour.Replaced(Sof0, d => [.. d, 0]), "16 bytes of parameters");
        yield return ("a length of 1", colour.Before(Sos, 0xFF, 0xE0, 0, 1), "claims 1 bytes");
        yield return ("a length beyond the end", colour.Before(Sos, 0xFF, 0xE0, 0xFF, 0xFF), "claims 65535 bytes");

        // Tables.
        yield return ("no DQT", colour.Without(Dqt), "needs quantisation table 0");
        yield return ("quantisation table 9", colour.With(Dqt, 0, 9), "quantisation table 9");
        yield return ("precision 2", colour.With(Dqt, 0, 0x20), "precision 2");
        yield return ("DQT cut", colour.Replaced(Dqt, d => d[..64]), "with 63 bytes");
        yield return ("no DHT, progressive", progressive.Without(Dht), "needs DC Huffman table 0");
        yield return ("Huffman table 4", colour.With(Dht, 0, 4), "Huffman table 4");
        yield return ("Huffman class 2", colour.With(Dht, 0, 0x20), "class 2");
        yield return ("DHT cut", colour.Replaced(Dht, d => d[..^1]), "Huffman table 0 of class 0 with 12 symbols in 28 bytes");
        yield return ("too many codes", colour.With(Dht, 1, 2, 1, 3), "more codes of some length");
        yield return ("a code of ones", colour.With(Dht, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2), "more codes");
        yield return ("257 symbols", colour.With(Dht, 1, 255, 2), "with 268 symbols");
        yield return ("a DC value of 16 bits", colour.With(Dht, 17, 16), "meaningless symbol");
        yield return ("DRI of 3 bytes", restart.Replaced(Dri, d => [.. d, 0]), "must have 2");

        // Scans.
        yield return ("no scan", colour.Without(Sos), "comes before any scan of component 0");
        yield return ("a scan missing", Cut(scans, Sos, 2), "comes before any scan of component 2");
        yield return ("a scan twice", Repeated(scans, Sos), "codes coefficient 0 of component 0 for the first time");
        yield return ("unknown component", colour.With(Sos, 1, 77), "names component 77");
        yield return ("component named twice", colour.With(Sos, 3, 1), "named already");
        yield return ("no component", colour.Changed(Sos, d => d[0] = 0), "for 0 components");
        yield return ("5 components in a scan",
            gray.Before(Sos, TestJpeg.Segment(Sos, 5, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 63, 0)), "for 5 components");
        yield return ("Huffman table 5 in a scan", colour.With(Sos, 2, 0x50), "names Huffman table 5");
        yield return ("Huffman table 3 in a scan", colour.With(Sos, 2, 0x30), "needs DC Huffman table 3");
        yield return ("Huffman table 2 of none", bare.With(Sos, 2, 0x02), "needs AC Huffman table 2");
        yield return ("12 blocks in an MCU", colour.With(Sof0, 7, 0x42, 0, 2, 0x22), "interleaves 13 blocks");
        yield return ("DC with AC", progressive.With(Sos, 8, 5), "codes the coefficients 0 to 5");
        yield return ("a band backwards", progressive.With(Sos, 7, 9, 5), "codes the coefficients 9 to 5");
        yield return ("a band of three components", progressive.With(Sos, 7, 1, 5), "of 3 components");
        yield return ("beyond coefficient 63", progressive.With(Sos, 7, 0, 64), "0 to 64");
        yield return ("bit 14", progressive.With(Sos, 9, 14), "bits 0 to 14");
        yield return ("two bits at once", progressive.With(Sos, 9, 0x31), "bits 3 to 1");
        yield return ("refined too early", progressive.With(Sos, 9, 0x21), "below bit 2, but no scan before it does");
        yield return ("AC before DC", Cut(progressive, Sos, 0, keepFrom: 1), "before any scan of coefficient 0");
        yield return ("AC twice", Repeated(progressive, Sos, 1), "for the first time, but all above bit 2 is known");

        // Coded data.
        yield return ("no code", Data(gray, new string('1', 200)),
            "damaged in MCU 0 of 20, before offset 378: some bits are no code");
        yield return ("the end of two blocks", Of(gray.Segments.Select(s => s.Marker == Dht && s.Data[0] == 0x10
            ? (s.Marker, [.. s.Data[..20], 0x10, .. s.Data[21..]]) : s)), "some bits are no code");
        // A difference of 0, and the code of 15 zeros and a value of one bit.
        string fifteen = string.Concat(Enumerable.Repeat("11111111111101011", 4));
        yield return ("zeros beyond a block", Data(gray, "00" + fifteen + new string('1', 500)), "a run of zeros leads out");
        yield return ("EOI in between", colour.Replaced(Sos, d => [.. d[..40], 0xFF, 0xD9, .. d[40..]]), "end at offset");
        yield return ("half the data", colour.Replaced(Sos, d => d[..(d.Length / 2)]), "the file is cut off or damaged");
        yield return ("no data", colour.Replaced(Sos, d => d[..10]), "cut off");
        yield return ("a restart marker missing",
            restart.Replaced(Sos, d => [.. d.AsSpan(0, Marker(d, 0)), .. d.AsSpan(Marker(d, 0) + 2)]),
            "RST0 should follow MCU 1 of 6; there is RST1");
        yield return ("restart markers in another order", restart.Changed(Sos, d => d[Marker(d, 1) + 1] = Rst0),
            "RST1 should follow MCU 2 of 6; there is RST0");
        yield return ("an MCU missing before a restart marker",
            restart.Replaced(Sos, d => [.. d.AsSpan(0, Marker(d, 0) + 2), .. d.AsSpan(Marker(d, 1))]),
            "after 2 of 6 MCUs at most");
        yield return ("no more restart markers", restart.Replaced(Sos, d => d[..Marker(d, 4)]), "RST4 should follow MCU 5");
    }

    [Test]
    public void EachRuleIsKept()
    {
        (string What, byte[] File, string Message)[] cases = [.. Cases()];
        Assert.Multiple(() =>
        {
            foreach ((string what, byte[] file, string message) in cases)
            {
                Exception? error = DamagedPictureTests.Decode(file, limits: null, mostBytes: 1 << 18);
                Assert.That(error, Is.TypeOf<ImageFormatException>(), what);
                Assert.That(error?.Message, Does.StartWith("JPEG: ").And.Contain(message), what);
            }
        });
    }

    /// <summary>No picture without its data; only the EOI marker may be cut off, where nothing else can be missing.</summary>
    [Test]
    public void ACutFileIsRefusedWhereverItIsCut()
    {
        PictureFixture[] fixtures = [.. PictureFixture.All.Where(f => f.Name.StartsWith("jpeg"))];
        Assert.That(fixtures, Has.Length.GreaterThan(10));
        foreach (PictureFixture fixture in fixtures)
        {
            byte[] file = fixture.Bytes;
            bool complete = !fixture.Name.Contains("incomplete") && !fixture.Name.Contains("dc-only");
            for (int length = 3; length < file.Length; length += length < file.Length - 30 ? 9 : 1)
            {
                Exception? error = DamagedPictureTests.Decode(file[..length], limits: null, mostBytes: 1 << 18);
                if (complete && length >= file.Length - 2)
                    Assert.That(error, Is.Null, $"{fixture.Name} without {file.Length - length} bytes");
                else
                    Assert.That(error, Is.TypeOf<ImageFormatException>(), $"{fixture.Name}, {length} bytes");
            }
        }
    }

    /// <summary>As many scans as are allowed, none with more than a few bytes, over as many pixels as the limits allow.</summary>
    [Test]
    public void ManyScansTakeBoundedTime()
    {
        Exception? error = DamagedPictureTests.Decode(ManyScans(500, 2048), new ImageLimits { MaxPixels = 1 << 22 }, 1 << 24);
        Assert.That(error, Is.Null);
        error = DamagedPictureTests.Decode(ManyScans(501), limits: null, mostBytes: 1 << 20);
        Assert.That(error?.Message, Does.Contain("scan 501 of the picture; at most 500"));
    }

    /// <summary>Found by fuzzing: each took a table of four kilobytes, whether a scan needed it or not.</summary>
    [Test]
    public void HuffmanTablesThatNoScanNeedsTakeNoMoreThanTheirBytes()
    {
        byte[] code = TestJpeg.Segment(Dht, [0x13, 0, 1, .. new byte[14], 0]);
        byte[] file = TestJpeg.Read("jpeg-420.jpg").Before(Sos, [.. Enumerable.Repeat(code, 3000).SelectMany(c => c)]);
        Assert.That(DamagedPictureTests.Decode(file, limits: null, mostBytes: 1 << 20), Is.Null);
    }

    [Test]
    public void OrientationsThatMakeNoSenseAreNone()
    {
        byte[] good = [.. "II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
        Assert.That(ExifOrientation.Read(good), Is.EqualTo(6));
        Random random = new Random(5);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] bad = good[..Math.Min(i, good.Length)];
            for (int n = i < good.Length ? 0 : random.Next(1, 4); n > 0; n--)
                bad[random.Next(bad.Length)] = (byte)random.Next(256);
            using GuardedBuffer guarded = new GuardedBuffer(bad);
            Assert.That(ExifOrientation.Read(guarded.Span) ?? 1, Is.InRange(1, 8));
        }

        // Ends within its directory, and entries of other types, counts and values.
        // Where there is no entry, XMP may tell; an invalid one counts as upright.
        Assert.That(ExifOrientation.Read(good.AsSpan(0, 16)), Is.Null);
        (int, byte, int?)[] changes = [(0, (byte)'X', null), (4, 200, null), (8, 0, null), (10, 0x13, null), (12, 1, 1), (12, 2, 1),
            (14, 2, 1), (18, 9, 1)];
        foreach ((int at, byte value, int? expected) in changes)
        {
            byte[] bad = (byte[])good.Clone();
            bad[at] = value;
            Assert.That(ExifOrientation.Read(bad), Is.EqualTo(expected), $"{value} at {at}");
        }
    }

    /// <summary>Where the next marker lies in a scan's data, by its number from 0.</summary>
    private static int Marker(byte[] data, int number)
    {
        int at = 10;
        while (true)
        {
            if (data[at] == 0xFF && data[at + 1] != 0 && number-- == 0)
                return at;
            at++;
        }
    }

    private static byte[] Renamed(TestJpeg jpeg, byte marker, byte other)
    {
        byte[] file = jpeg.File();
        int at = file.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, marker]);
        file[at + 1] = other;
        return file;
    }

    /// <summary>A gray picture with other coded data, as bits.</summary>
    private static byte[] Data(TestJpeg gray, string bits) => gray.Replaced(Sos, d =>
    [
        .. d[..6], .. bits.Chunk(8).Select(b => Convert.ToByte(new string(b).PadRight(8, '1'), 2))
            .SelectMany(b => b == 0xFF ? [b, (byte)0] : new[] { b }),
    ]);

    /// <summary>The file with so many segments of a marker, from one on.</summary>
    private static byte[] Cut(TestJpeg jpeg, byte marker, int keep, int keepFrom = 0)
    {
        int number = 0;
        return Of(jpeg.Segments.Where(s => s.Marker != marker || (keepFrom > 0 ? number++ >= keepFrom : number++ < keep)));
    }

    private static byte[] Repeated(TestJpeg jpeg, byte marker, int which = 0)
    {
        (byte, byte[]) segment = jpeg.Segments.Where(s => s.Marker == marker).ElementAt(which);
        return Of(jpeg.Segments.SelectMany(s => s.Data == segment.Item2 ? [s, s] : new[] { s }));
    }

    private static byte[] Of(IEnumerable<(byte Marker, byte[] Data)> segments)
    {
        TestJpeg jpeg = TestJpeg.Read("jpeg-gray.jpg");
        jpeg.Segments.Clear();
        jpeg.Segments.AddRange(segments);
        return jpeg.File();
    }

    /// <summary>
    /// A gray square whose first scan says that all blocks are gray, and whose others say nothing of thousands of blocks at once.
    /// </summary>
    private static byte[] ManyScans(int count, int side = 64)
    {
        int blocks = side / 8 * (side / 8);
        List<byte> file =
        [
            0xFF, Soi, .. TestJpeg.Segment(Dqt, [0, .. Enumerable.Repeat((byte)1, 64)]),
            .. TestJpeg.Segment(Sof2, [8, .. TestJpeg.Word(side), .. TestJpeg.Word(side), 1, 1, 0x11, 0]),
            // One code of one bit each: a difference of 0; the end of 2^14 blocks and up.
            .. TestJpeg.Segment(Dht, [0x00, 1, .. new byte[15], 0x00]),
            .. TestJpeg.Segment(Dht, [0x10, 1, .. new byte[15], 0xE0]),
            .. TestJpeg.Segment(Sos, 1, 1, 0, 0, 0, 0), .. new byte[(blocks + 7) / 8],
        ];
        for (int n = 1; n < count; n++)
        {
            int k = 1 + (n - 1) / 14, bit = 13 - (n - 1) % 14;
            file.AddRange(TestJpeg.Segment(Sos, 1, 1, 0, (byte)k, (byte)k, (byte)((bit == 13 ? 0 : bit + 1) << 4 | bit)));
            file.AddRange(new byte[2 * ((blocks >> 14) + 1)]);
        }

        return [.. file, 0xFF, 0xD9];
    }
}
