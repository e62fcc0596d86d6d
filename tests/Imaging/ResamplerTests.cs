using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>The resize against Pillow's own results, in vectors of every width, over every format and stride.</summary>
internal sealed class ResamplerTests
{
    private delegate void Resize(ImageView source, Span<byte> rgb, int width, int height, ResampleFilter filter);

    /// <summary>
    /// Bounds that make small pictures take the ways of extreme ones: blocks of columns, weights in portions, and sums of rows.
    /// </summary>
    private static readonly ResampleBudget[] Budgets =
    [
        ResampleBudget.Default,
        new(TableWeights: 300, BetweenBytes: 1 << 20, Columns: 7, PortionTaps: 8),
        new(TableWeights: 15, BetweenBytes: 1, Columns: 5, PortionTaps: 4),
        new(TableWeights: 1 << 20, BetweenBytes: 900, Columns: 1 << 14, PortionTaps: 64),
    ];

    private static readonly Resize[] Widths =
    [
        .. Budgets.Select(b => InOneBand<SampleSums128>(b)), .. Budgets.Select(b => InOneBand<SampleSums256>(b)),
        .. Budgets.Select(b => InOneBand<SampleSums512>(b)),
    ];

    private static Resize InOneBand<TSums>(ResampleBudget? budget = null) where TSums : unmanaged, ISampleSums<TSums> =>
        (source, rgb, width, height, filter) => Resampler.Resize<TSums>(
            source, rgb, width, height, filter, 1, null, budget ?? ResampleBudget.Default, default);

    private static void Sequential(ImageView source, Span<byte> rgb, int width, int height, ResampleFilter filter) =>
        Resampler.Resize(source, rgb, width, height, filter);

    [TestCase("lizad-gravel-700x500", 518)]
    [TestCase("lizad-coins-gray-384x303", 518)]
    [TestCase("lizad-coffee-300x420", 518)]
    [TestCase("lizad-coffee-300x420", 70)]
    public void AgreesWithPillowOnPhotographs(string name, int size)
    {
        Image source = Image.Load(TestData.Path("images", name + ".png"));
        Image expected = Image.Load(TestData.Path("images", $"{name}-{size}.png"));
        byte[] rgb = new byte[3 * size * size];
        Resampler.Resize(source.View, rgb, size, size);
        Assert.That(rgb.AsSpan().SequenceEqual(expected.Pixels));
    }

    [TestCaseSource(nameof(PillowSizes))]
    public void AgreesWithPillowOnOddSizes(string line)
    {
        string[] words = line.Split(' ');
        int[] sizes = [.. words.Take(4).Select(int.Parse)];
        Image source = PictureFixture.Pattern(sizes[0], sizes[1]);
        ResampleFilter filter = Enum.Parse<ResampleFilter>(words[4]);
        byte[] rgb = new byte[3 * sizes[2] * sizes[3]];
        foreach (Resize resize in (Resize[])[Sequential, .. Widths])
        {
            Array.Clear(rgb);
            resize(source.View, rgb, sizes[2], sizes[3], filter);
            Assert.That(PictureFixture.HashOf(rgb), Is.EqualTo(words[5]));
        }
    }

    private static IEnumerable<string> PillowSizes => File.ReadLines(TestData.Path("imaging", "resize.txt"));

    [Test]
    public void TakesEveryFormatAndStrideAndReadsNothingBeyond([Values] PixelFormat format, [Values(0, 1, 5, 16)] int gap)
    {
        foreach ((int width, int height) in ((int, int)[])[(1, 1), (2, 3), (3, 2), (5, 9), (17, 6), (40, 13)])
        {
            int bytes = format.BytesPerPixel(), stride = width * bytes + gap;
            Random random = new Random(width);
            byte[] content = new byte[(height - 1) * stride + width * bytes];
            random.NextBytes(content);
            byte[] rgb = new byte[3 * width * height];
            int[] order = format switch
            {
                PixelFormat.Gray8 => [0, 0, 0],
                PixelFormat.Gray16 => [1, 1, 1],
                PixelFormat.Bgr24 or PixelFormat.Bgra32 => [2, 1, 0],
                _ => [0, 1, 2],
            };
            for (int i = 0; i < rgb.Length; i++)
                rgb[i] = content[i / 3 / width * stride + i / 3 % width * bytes + order[i % 3]];

            using GuardedBuffer guarded = new GuardedBuffer(content);
            ImageView view = new ImageView(guarded.Span, width, height, stride, format);
            Assert.That(Image.Create(view).Pixels.SequenceEqual(rgb));
            Image plain = Image.Create(width, height, rgb);
            foreach ((int toWidth, int toHeight) in ((int, int)[])[(1, 1), (width, 7), (6, height), (width, height), (11, 14),
                (50, 2)])
            {
                byte[] expected = new byte[3 * toWidth * toHeight];
                using GuardedBuffer result = new GuardedBuffer(expected);
                InOneBand<SampleSums128>()(plain.View, expected, toWidth, toHeight, ResampleFilter.Bicubic);
                foreach (Resize resize in Widths)
                {
                    result.Span.Clear();
                    resize(view, result.Span, toWidth, toHeight, ResampleFilter.Bicubic);
                    Assert.That(result.Span.SequenceEqual(expected), $"{width} x {height} to {toWidth} x {toHeight}");
                }
            }
        }
    }

    [Test]
    public void BottomUpPicturesAndPartsGiveTheSame([Values] PixelFormat format, [Values(0, 5)] int gap)
    {
        const int width = 23, height = 17, left = 4, top = 3, partWidth = 11, partHeight = 9;
        int bytes = format.BytesPerPixel(), stride = width * bytes + gap;
        byte[] content = new byte[(height - 1) * stride + width * bytes], flipped = new byte[content.Length];
        new Random(3).NextBytes(content);
        for (int y = 0; y < height; y++)
            content.AsSpan(y * stride, width * bytes).CopyTo(flipped.AsSpan((height - 1 - y) * stride));

        ImageView view = new ImageView(content, width, height, stride, format);
        Image part = Image.Create(view.Crop(left, top, partWidth, partHeight));
        using GuardedBuffer guarded = new GuardedBuffer(flipped);
        ImageView bottomUp = new ImageView(guarded.Span, width, height, -stride, format);
        Assert.That(Image.Create(bottomUp).Pixels.SequenceEqual(Image.Create(view).Pixels));
        foreach ((int toWidth, int toHeight) in ((int, int)[])[(7, 40), (width, 5), (40, height)])
        {
            byte[] expected = new byte[3 * toWidth * toHeight], rgb = new byte[expected.Length];
            foreach (Resize resize in Widths)
            {
                resize(view, expected, toWidth, toHeight, ResampleFilter.Bicubic);
                resize(bottomUp, rgb, toWidth, toHeight, ResampleFilter.Bicubic);
                Assert.That(rgb, Is.EqualTo(expected));
                resize(part.View, expected, toWidth, toHeight, ResampleFilter.Bicubic);
                resize(bottomUp.Crop(left, top, partWidth, partHeight), rgb, toWidth, toHeight, ResampleFilter.Bicubic);
                Assert.That(rgb, Is.EqualTo(expected));
            }
        }
    }

    /// <summary>The source is high enough that the rows between the passes move on several times.</summary>
    [Test]
    public void BandsDoNotChangeTheResult([Values(1, 2, 3, 7, 40)] int bands, [Values] bool parallel)
    {
        Image source = PictureFixture.Pattern(31, 400);
        foreach ((int width, int height) in ((int, int)[])[(50, 40), (31, 90), (20, 400), (31, 400), (9, 1200), (64, 41)])
        {
            byte[] expected = new byte[3 * width * height], rgb = new byte[expected.Length];
            InOneBand<SampleSums128>()(source.View, expected, width, height, ResampleFilter.Bicubic);
            foreach (ResampleBudget budget in Budgets)
            {
                Array.Clear(rgb);
                Resampler.Resize<SampleSums128>(
                    source.View, rgb, width, height, ResampleFilter.Bicubic, bands, parallel ? InParallel : null, budget, default);
                Assert.That(rgb, Is.EqualTo(expected), $"{width} x {height}, {budget}");
            }
        }

        static void InParallel(int count, Action<int> body) => Parallel.For(0, count, body);
    }

    [Test]
    public void ParallelBandsAreUsedAndCancelled()
    {
        Image source = PictureFixture.Pattern(60, 50);
        byte[] expected = new byte[3 * 300 * 200], rgb = new byte[expected.Length];
        Resampler.Resize(source.View, expected, 300, 200);
        int calls = 0;
        Resampler.Resize(source.View, rgb, 300, 200, ResampleFilter.Bicubic, (count, body) =>
        {
            for (calls = 0; calls < count; calls++)
                body(calls);
        }, default);
        Assert.That(calls, Is.GreaterThan(1));
        Assert.That(rgb, Is.EqualTo(expected));

        using CancellationTokenSource source2 = new CancellationTokenSource();
        Array.Clear(rgb);
        Assert.That(() => Resampler.Resize(source.View, rgb, 300, 200, ResampleFilter.Bicubic, (count, body) =>
        {
            for (int i = 0; i < count; i++)
            {
                body(i);
                source2.Cancel();
            }
        }, source2.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(rgb.AsSpan(0, 300).IndexOfAnyExcept((byte)0), Is.Not.Negative, "the first band was done");
        Assert.That(rgb.AsSpan(rgb.Length / 2 + 2000).IndexOfAnyExcept((byte)0), Is.Negative, "the last bands were not");
        Assert.That(() => Resampler.Resize(source.View, rgb, 30, 20, cancellationToken: source2.Token),
            Throws.InstanceOf<OperationCanceledException>());
    }

    /// <summary>Large enough that the bounds of real use apply, against plain sums of weights.</summary>
    [TestCase(300_000, 5, 7, 4)]
    [TestCase(3_000_000, 2, 9, 3)]
    [TestCase(3, 1_500_000, 20, 3)]
    [TestCase(20_000, 3, 20_000, 2)]
    [TestCase(2, 3, 70_000, 5)]
    [TestCase(3, 2, 2, 700_000)]
    [TestCase(400_000, 1, 30, 30)]
    [TestCase(1, 400_000, 30, 30)]
    public void ExtremeSizesAgreeWithAPlainResizeAndTakeLittleMemory(int width, int height, int toWidth, int toHeight)
    {
        byte[] gray = new byte[width * height], rgb = new byte[3 * toWidth * toHeight], inParallel = new byte[rgb.Length];
        new Random(width).NextBytes(gray);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Resampler.Resize(new ImageView(gray, width, height, PixelFormat.Gray8), rgb, toWidth, toHeight);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(20 << 20));
        byte[] expected = Plain(gray, width, height, toWidth, toHeight);
        Assert.That(rgb.AsSpan().SequenceEqual(expected));
        Resampler.Resize(new ImageView(gray, width, height, PixelFormat.Gray8), inParallel, toWidth, toHeight, ResampleFilter.Bicubic,
            (count, body) => Parallel.For(0, count, body), default);
        Assert.That(inParallel.AsSpan().SequenceEqual(expected));
    }

    /// <summary>The bicubic resize as Pillow defines it: one weight after the other, with bytes between the passes.</summary>
    private static byte[] Plain(byte[] gray, int width, int height, int toWidth, int toHeight)
    {
        byte[] across = Along(gray, width, toWidth, height, step: 1, pitch: width, toStep: 1, toPitch: toWidth);
        byte[] down = Along(across, height, toHeight, toWidth, step: toWidth, pitch: 1, toStep: toWidth, toPitch: 1);
        return [.. down.SelectMany(v => (byte[])[v, v, v])];

        static byte[] Along(byte[] from, int size, int toSize, int lines, int step, int pitch, int toStep, int toPitch)
        {
            byte[] to = new byte[toSize * lines];
            double scale = (double)size / toSize, stretch = Math.Max(scale, 1), support = 2 * stretch, perStretch = 1 / stretch;
            for (int i = 0; i < toSize; i++)
            {
                double center = (i + 0.5) * scale;
                int low = Math.Max((int)(center - support + 0.5), 0), high = Math.Min((int)(center + support + 0.5), size);
                double[] exact = new double[high - low];
                for (int j = low; j < high; j++)
                    exact[j - low] = Cubic(Math.Abs((j - center + 0.5) * perStretch));
                double sum = 0;
                foreach (double w in exact)
                    sum += w;
                int[] weights = [.. exact.Select(w => (int)Math.Round(w / sum * (1 << 22), MidpointRounding.AwayFromZero))];
                for (int line = 0; line < lines; line++)
                {
                    long total = 1 << 21;
                    for (int j = low; j < high; j++)
                        total += (long)weights[j - low] * from[j * step + line * pitch];
                    to[i * toStep + line * toPitch] = (byte)Math.Clamp(total >> 22, 0, 255);
                }
            }

            return to;
        }

        static double Cubic(double x) => x < 1 ? ((-0.5 + 2) * x - (-0.5 + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
    }

    /// <summary>Sums in portions have the same last bits as sums in one go.</summary>
    [Test]
    public void WeightsInPortionsAreThoseOfTheTable([Values] ResampleFilter filter)
    {
        foreach ((int from, int to) in ((int, int)[])[(5000, 3), (1025, 1), (3, 50), (1, 4), (4096, 4095)])
        {
            ResampleAxis axis = new ResampleAxis(from, to, filter);
            using ResampleWeights table = new ResampleWeights(axis, 0, to, group: 1, lanes: 1);
            for (int i = 0; i < to; i++)
            {
                (int first, int end) = axis.Range(i);
                Assert.That((table.First[i], table.Taps[i]), Is.EqualTo((first, end - first)));
                Assert.That(end - first, Is.LessThanOrEqualTo(axis.MostTaps));
                int[] weights = new int[end - first];
                double sum = axis.Sum(i);
                for (int at = 0; at < weights.Length; at += 700)
                    axis.Fix(i, first + at, Math.Min(700, weights.Length - at), sum, 1, weights.AsSpan(at));
                Assert.That(table.Weights.Slice(i * table.Stride, weights.Length).SequenceEqual(weights), $"{from} to {to}, {i}");
            }
        }
    }

    /// <summary>The bound that lets sums of weights times bytes be 32-bit integers.</summary>
    [Test]
    public void AbsoluteWeightsSumToLittleMoreThanOne([Values] ResampleFilter filter)
    {
        double most = 0;
        int[] sizes = [.. Enumerable.Range(1, 48), 70, 101, 518, 1000, 4001];
        foreach (int from in sizes)
        {
            foreach (int to in sizes)
            {
                using ResampleWeights weights = new ResampleWeights(
                    new ResampleAxis(from, to, filter), 0, to, group: 4, lanes: 1);
                for (int i = 0; i < to; i++)
                {
                    ReadOnlySpan<int> w = weights.Weights.Slice(i * weights.Stride, weights.Stride);
                    long absolute = 0, sum = 0;
                    foreach (int k in w)
                        (absolute, sum) = (absolute + Math.Abs((long)k), sum + k);
                    most = Math.Max(most, absolute / (double)(1 << ResampleAxis.FractionBits));

                    // Each weight is rounded by at most a half of the last place.
                    Assert.That(Math.Abs(sum - (1 << ResampleAxis.FractionBits)), Is.LessThanOrEqualTo(weights.Taps[i] * 0.5));
                    Assert.That(weights.First[i] + weights.Taps[i], Is.LessThanOrEqualTo(from));
                }
            }
        }

        TestContext.Out.WriteLine($"{filter}: {most}");
        Assert.That(most, Is.LessThanOrEqualTo(1.3));
    }

    [Test]
    public void AConstantStaysConstant([Values] ResampleFilter filter, [Values(0, 1, 127, 254, 255)] int value)
    {
        byte[] pixels = new byte[3 * 37 * 29];
        Array.Fill(pixels, (byte)value);
        byte[] rgb = new byte[3 * 53 * 11];
        Resampler.Resize(new ImageView(pixels, 37, 29, PixelFormat.Rgb24), rgb, 53, 11, filter);
        Assert.That(rgb, Is.All.EqualTo((byte)value));
    }

    [Test]
    public void RefusesWrongArguments()
    {
        byte[] pixels = new byte[300];
        byte[] rgb = new byte[300];
        Assert.That(() => Resampler.Resize(View(), rgb, 0, 5), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Resampler.Resize(View(), rgb, 5, -1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Resampler.Resize(View(), rgb, 5, 5, (ResampleFilter)9), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Resampler.Resize(View(), rgb, 10, 11), Throws.ArgumentException.With.Message.Contains("330"));
        Assert.That(() => Resampler.Resize(View(), rgb, int.MaxValue, int.MaxValue),
            Throws.ArgumentException.With.Message.Contains("13835058042397261827"));
        Assert.That(() => Resampler.Resize(View(), pixels, 5, 5), Throws.ArgumentException.With.Message.Contains("overlap"));
        Assert.That(() => Resampler.Resize(default, rgb, 5, 5), Throws.ArgumentException);

        ImageView View() => new(pixels, 10, 10, PixelFormat.Rgb24);
    }

    [Test]
    public void AllocatesNothingOnceWarm()
    {
        Image source = PictureFixture.Pattern(300, 200);
        byte[] rgb = new byte[3 * 70 * 70];
        for (int i = 0; i < 3; i++)
            Resampler.Resize(source.View, rgb, 70, 70);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Resampler.Resize(source.View, rgb, 70, 70);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
    }
}
