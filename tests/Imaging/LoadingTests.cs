using System.Buffers;
using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>Asynchronous loading, buffers and pools, sizes without pixels, and cancellation.</summary>
public class LoadingTests
{
    /// <summary>A fixture of each format; of JPEG one with a scan and one with several.</summary>
    private static readonly string[] Names =
        ["png-2-08.png", "png-3-04-adam7.png", "bmp-24.bmp", "bmp-8-rle.bmp", "pnm-p3.ppm", "pnm-p4.pbm", "pnm-p6.ppm",
            "pnm-p6-1023.ppm", "pnm-p1.pbm", "jpeg-420.jpg", "jpeg-420-progressive.jpg", "jpeg-scans.jpg"];

    private static readonly ImageLoadOptions Upright = new() { ApplyExifOrientation = true };

    [Test]
    public async Task ReadsAStreamThatIsOnlyAsynchronous([Values(1, 1000, 1 << 20)] int part)
    {
        foreach (string name in Names)
        {
            byte[] file = PictureFixture.Read(name);
            using Image image = await Image.LoadAsync(new AsyncStream(file, part));
            Assert.That(image.Pixels.SequenceEqual(Image.Load(file).Pixels), name);
        }

        // Longer than the first buffer.
        byte[] bmp = PictureFixture.Read("bmp-24.bmp"), large = [.. bmp, .. new byte[100_000]];
        Assert.That((await Image.LoadAsync(new AsyncStream(large, 4 * part))).Pixels.SequenceEqual(Image.Load(bmp).Pixels));
    }

    [Test]
    public async Task WritesAStreamThatIsOnlyAsynchronous()
    {
        Image image = PictureFixture.Pattern(40, 30);
        AsyncStream stream = new AsyncStream([], 1);
        await image.SavePngAsync(stream);
        Assert.That(Image.Load(stream.Written.ToArray()).Pixels.SequenceEqual(image.Pixels));
        Assert.That(() => image.SavePngAsync(stream, new CancellationToken(canceled: true)),
            Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public async Task ReadsFilesAsynchronously()
    {
        string path = TestData.Path("imaging", Names[0]);
        Assert.That((await Image.LoadAsync(path)).Pixels.SequenceEqual(Image.Load(path).Pixels));
        Assert.That(() => Image.LoadAsync(path + ".none"), Throws.InstanceOf<IOException>());
        Assert.That(() => { _ = Image.LoadAsync((string)null!); }, Throws.ArgumentNullException);
        Assert.That(() => { _ = Image.LoadAsync((Stream)null!); }, Throws.ArgumentNullException);
    }

    [Test]
    public void AsynchronousReadsKeepToTheLimit()
    {
        byte[] file = [.. PictureFixture.Read("bmp-24.bmp"), .. new byte[200_000]];
        foreach (int limit in (int[])[10, 16_384, 100_000, file.Length - 1])
        {
            AsyncStream stream = new AsyncStream(file, int.MaxValue);
            ImageLoadOptions options = new() { Limits = new ImageLimits { MaxEncodedBytes = limit } };
            Assert.That(() => Image.LoadAsync(stream, options), Throws.TypeOf<ImageFormatException>());
            Assert.That(stream.Taken, Is.LessThanOrEqualTo(limit + 1), "no more than tells that it is too much");
        }

        ImageLoadOptions just = new() { Limits = new ImageLimits { MaxEncodedBytes = file.Length } };
        Assert.That(() => Image.LoadAsync(new AsyncStream(file, 5000), just), Throws.Nothing);
    }

    [Test]
    public void IdentifiesWhatDecodingGives()
    {
        foreach (PictureFixture fixture in PictureFixture.All)
        {
            byte[] file = fixture.Bytes;
            foreach (ImageLoadOptions? options in (ImageLoadOptions?[])[null, Upright])
            {
                ImageInfo info = Image.Identify(file, options);
                Image image = Image.Load(file, options);
                string format = fixture.Name[..3] is "jpe" ? "JPEG" : fixture.Name[..3].ToUpperInvariant();
                Assert.That(info, Is.EqualTo(new ImageInfo(image.Width, image.Height, format)), fixture.Name);
            }
        }

        byte[] turned = PictureFixture.Read("png-orientation-6.png");
        (int width, int height, _) = Image.Identify(turned);
        Assert.That(Image.Identify(turned, Upright), Is.EqualTo(new ImageInfo(height, width, "PNG")));
        Assert.That(Image.Identify(turned.AsSpan(0, 40)), Is.EqualTo(new ImageInfo(width, height, "PNG")), "the header suffices");
        byte[] jpeg = Turned(PictureFixture.Read("jpeg-422.jpg"));
        (width, height, _) = Image.Identify(jpeg);
        Assert.That(Image.Identify(jpeg, Upright), Is.EqualTo(new ImageInfo(height, width, "JPEG")));
        Assert.That(() => Image.Identify("hello"u8), Throws.TypeOf<ImageFormatException>());
        Assert.That(() => Image.Identify([0xFF, 0xD8, 0xFF, 0xD9]), Throws.TypeOf<ImageFormatException>());
        ImageLoadOptions small = new() { Limits = new ImageLimits { MaxPixels = 4 } };
        foreach (string name in Names)
            Assert.That(() => Image.Identify(PictureFixture.Read(name), small), Throws.TypeOf<ImageFormatException>(), name);
    }

    [Test]
    public void DecodesIntoABuffer()
    {
        foreach (string name in (string[])[.. Names, "png-orientation-6.png"])
        {
            byte[] file = PictureFixture.Read(name);
            foreach (ImageLoadOptions? options in (ImageLoadOptions?[])[null, Upright])
            {
                Image expected = Image.Load(file, options);
                int needed = expected.Pixels.Length;
                byte[] buffer = new byte[needed + 20];
                Array.Fill(buffer, (byte)7);
                Image image = Image.Load(file, buffer.AsMemory(4), options);
                Assert.That(image.Pixels.SequenceEqual(expected.Pixels), name);
                Assert.That(buffer.AsSpan(4, needed) == image.Pixels, "it is the buffer");
                Assert.That(buffer.AsSpan(needed + 4).IndexOfAnyExcept((byte)7), Is.Negative, name);
                image.Dispose();
                Assert.That(image.Width * image.Height * 3, Is.EqualTo(image.Pixels.Length), "disposing does nothing");
                Assert.That(() => Image.Load(file, buffer.AsMemory(0, needed - 1), options),
                    Throws.ArgumentException.With.Message.Contains($"needs {needed} bytes").And.Property("ParamName").EqualTo("buffer"));
            }
        }

        byte[] both = new byte[1 << 16];
        PictureFixture.Read("bmp-24.bmp").CopyTo(both, 0);
        Assert.That(() => Image.Load(both.AsSpan(0, 3000), both.AsMemory(2999)), Throws.ArgumentException.With.Message.Contains("overlap"));
    }

    [Test]
    public void RentsAndReturns()
    {
        foreach (string name in (string[])[.. Names, "png-orientation-6.png"])
        {
            byte[] file = PictureFixture.Read(name);
            CountingPool pool = new CountingPool();
            ImageLoadOptions options = Upright with { Pool = pool };
            Image image = Image.Load(file, options);
            Assert.That(image.Pixels.SequenceEqual(Image.Load(file, Upright).Pixels), name);
            Assert.That(pool.Lent, Is.EqualTo(1), name);
            image.Dispose();
            image.Dispose();
            Assert.That(pool.Lent, Is.Zero, name);
            Assert.That(() => image.Pixels.Length, Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => image.Memory, Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => image.View.Width, Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => image.Frame, Throws.TypeOf<ObjectDisposedException>());
            Assert.That(() => image.SavePng(Stream.Null), Throws.TypeOf<ObjectDisposedException>());

            // What fails while pixels are decoded gives the array back.
            using CancellationTokenSource source = new CancellationTokenSource();
            pool.Rented = source.Cancel;
            Assert.That(() => Image.Load(file, options, source.Token), Throws.InstanceOf<OperationCanceledException>(), name);
            Assert.That(pool.Lent, Is.Zero, name);
        }

        byte[] damaged = PictureFixture.Read("jpeg-420.jpg");
        damaged = damaged[..(damaged.Length * 2 / 3)];
        CountingPool other = new CountingPool();
        Assert.That(() => Image.Load(damaged, new ImageLoadOptions { Pool = other }), Throws.TypeOf<ImageFormatException>());
        Assert.That((other.Lent, other.Count), Is.EqualTo((0, 1)));
    }

    [Test]
    public void AnImageThatIsNotRentedOutlivesDisposing()
    {
        Image image = PictureFixture.Pattern(3, 2);
        image.Dispose();
        Assert.That(image.Pixels.Length, Is.EqualTo(18));
    }

    /// <summary>Decoding looks at the token in every row, or row of MCUs, of every scan, and ends at once.</summary>
    [TestCaseSource(nameof(Names))]
    public void DecodingIsCancelledBetweenRows(string name)
    {
        byte[] file = PictureFixture.Read(name);
        using CountingContext whole = new CountingContext(int.MaxValue);
        Decode(file, whole);
        using Image image = whole.ToImage();
        bool pixelwise = name is "pnm-p3.ppm" or "pnm-p1.pbm" or "pnm-p6-1023.ppm";
        int least = name.EndsWith(".jpg") ? JpegChecks(file, image.Height) : pixelwise ? 1 : image.Height;
        Assert.That(whole.Checks, Is.GreaterThanOrEqualTo(least));
        for (int stop = 1; stop <= whole.Checks; stop++)
        {
            using CountingContext context = new CountingContext(stop);
            Assert.That(() => Decode(file, context), Throws.InstanceOf<OperationCanceledException>());
            Assert.That(context.Checks, Is.EqualTo(stop));
        }

        // One for each segment, and one for each row of MCUs of each scan and, after several scans, of the picture.
        static int JpegChecks(byte[] file, int height)
        {
            int segments = 0, scans = 0;
            for (int at = 2; JpegSegment.Next(file, at) is { Marker: not JpegMarker.Eoi } segment; at = segment.End)
            {
                segments++;
                scans += segment.Marker == JpegMarker.Sos ? 1 : 0;
            }

            return segments + ((height - 1) / 16 + 1) * (scans > 1 ? scans + 1 : 1);
        }

        static void Decode(byte[] file, DecodingContext context)
        {
            switch (Image.Identify(file).Format)
            {
                case "JPEG":
                    JpegDecoder.Decode(file, context);
                    break;
                case "PNG":
                    PngDecoder.Decode(file, context);
                    break;
                case "BMP":
                    BmpDecoder.Decode(file, context);
                    break;
                default:
                    PnmDecoder.Decode(file, context);
                    break;
            }
        }
    }

    /// <summary>A picture of 24 million pixels takes some 500 ms, so a row takes about 0.1 ms.</summary>
    [Test]
    public void ALargePngIsLookedAtInEveryRow()
    {
        using MemoryStream stream = new MemoryStream();
        PngEncoder.Save(stream, new ImageView(new byte[6000 * 4000], 6000, 4000, PixelFormat.Gray8));
        byte[] file = stream.ToArray();
        using CountingContext context = new CountingContext(2000);
        Assert.That(() => PngDecoder.Decode(file, context), Throws.InstanceOf<OperationCanceledException>());
        using CountingContext whole = new CountingContext(int.MaxValue);
        PngDecoder.Decode(file, whole);
        Assert.That(whole.Checks, Is.GreaterThan(4000));
    }

    [Test]
    public void ACancelledTokenStopsEveryWayOfLoading()
    {
        byte[] file = PictureFixture.Read(Names[0]);
        string path = TestData.Path("imaging", Names[0]);
        CancellationToken cancelled = new CancellationToken(canceled: true);
        Assert.That(() => Image.Load(file, cancellationToken: cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => Image.Load(path, cancellationToken: cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => Image.Load(new MemoryStream(file), cancellationToken: cancelled),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => Image.Load(file, new byte[1 << 16].AsMemory(), cancellationToken: cancelled),
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => Image.LoadAsync(path, cancellationToken: cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(() => Image.LoadAsync(new AsyncStream(file, 9), cancellationToken: cancelled),
            Throws.InstanceOf<OperationCanceledException>());
    }

    /// <summary>A JPEG with an Exif segment that asks for a quarter turn.</summary>
    private static byte[] Turned(byte[] jpeg) =>
    [
        .. jpeg[..2], 0xFF, 0xE1, 0, 34, .. "Exif\0\0II*\0"u8, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,
        .. jpeg[2..],
    ];

    /// <summary>Cancels decoding at a certain check.</summary>
    private sealed class CountingContext(int last) : DecodingContext(new ImageLoadOptions(), null, CancellationToken.None)
    {
        public int Checks { get; private set; }

        public override void ThrowIfCancelled()
        {
            if (++Checks == last)
                throw new OperationCanceledException();
        }
    }

    private sealed class CountingPool : ArrayPool<byte>
    {
        private readonly HashSet<byte[]> lent = [];

        public int Lent => this.lent.Count;

        public int Count { get; private set; }

        public Action? Rented { get; set; }

        public override byte[] Rent(int minimumLength)
        {
            byte[] array = new byte[minimumLength + 13];
            this.lent.Add(array);
            Count++;
            Rented?.Invoke();
            return array;
        }

        public override void Return(byte[] array, bool clearArray = false) => Assert.That(this.lent.Remove(array), "it was not lent");
    }

    /// <summary>A stream like a web request's body: no length, no position, and no synchronous reads.</summary>
    private sealed class AsyncStream(byte[] data, int part) : Stream
    {
        private int at;

        public int Taken => this.at;

        public MemoryStream Written { get; } = new();

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            Assert.That(buffer.IsEmpty, Is.False);
            int count = Math.Min(Math.Min(part, buffer.Length), data.Length - this.at);
            data.AsMemory(this.at, count).CopyTo(buffer);
            this.at += count;
            return count;
        }

        public override int ReadByte() => throw new InvalidOperationException("synchronous");

        public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException("synchronous");

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            Written.Write(buffer.Span);
        }

        public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("synchronous");
    }
}
