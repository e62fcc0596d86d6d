using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Models.Nano;

namespace TinyZsad.Tests;

/// <summary>
/// Four threads with mixed pictures, cancellations, bad pictures, batches and reloads, in a process of its own: every result is that of
/// one thread, every failure is typed, and the memory goes back. It runs for a few seconds, or for as many as
/// <c>TINYZSAD_SOAK_SECONDS</c> says.
/// </summary>
[TestFixture, NonParallelizable]
public sealed class SoakTests
{
    private const int Threads = 4;
    private const double MegabytesThatMayStay = 60;

    private static readonly string Seconds = Environment.GetEnvironmentVariable("TINYZSAD_SOAK_SECONDS") ?? "6";

    [Test, Platform("Linux")]
    public void EveryResultIsRightEveryFailureTypedAndTheMemoryGoesBack()
    {
        ProcessStartInfo start = new("dotnet", [typeof(SoakTests).Assembly.Location, "soak", Seconds])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        Assert.That(child.ExitCode, Is.Zero, output + errors.Result);
        TestContext.Progress.WriteLine(output);
    }

    /// <summary>The child.</summary>
    public static int Run(double seconds, TextWriter output)
    {
        double before = Megabytes("VmRSS:");
        byte[] model = new byte[NanoModel.Open().Length];
        using (Stream stream = NanoModel.Open()) stream.ReadExactly(model);
        string path = Path.GetTempFileName();
        File.WriteAllBytes(path, model);
        try
        {
            Counts counts = new();
            Soak(seconds, model, path, counts).GetAwaiter().GetResult();
            GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            double after = Megabytes("VmRSS:");
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{counts.Done} results, {counts.Cancelled} cancelled, {counts.Bad} bad pictures, {counts.Refused} refused, "
                + $"{counts.Reloads} reloads; {counts.Wrong} wrong, {counts.Untyped} of other kinds {counts.Other}; resident: start "
                + $"{before:0} MB, peak {Megabytes("VmHWM:"):0}, end {after:0}"));
            return counts.Wrong + counts.Untyped == 0 && after - before <= MegabytesThatMayStay * 1.048576 ? 0 : 1;
        }
        finally
        {
            File.Delete(path);
        }
    }

    private sealed class Counts
    {
        public int Done, Cancelled, Bad, Refused, Reloads, Wrong, Untyped;

        public string Other { get; set; } = "";
    }

    private static async Task Soak(double seconds, byte[] model, string path, Counts counts)
    {
        (int Width, int Height)[] sizes = [(256, 256), (640, 480), (31, 700), (1, 1), (2000, 1500), (257, 255)];
        byte[][] encoded = [.. sizes.Select((size, i) => Png(size.Width, size.Height, i))];
        byte[] damaged = encoded[1][..(encoded[1].Length / 2)];
        float[][] right;
        using (AnomalyDetector alone = AnomalyDetector.Load(model, new DetectorOptions { Threads = 1 }))
            right = [.. encoded.Select(e => alone.Detect(Image.Load(e)).Map.Values.ToArray())];

        await using SwappableDetector detector = new(Load(0, model, path));
        long end = Stopwatch.GetTimestamp() + (long)(seconds * Stopwatch.Frequency);
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(t => new Thread(() =>
        {
            Random random = new(t);
            while (Stopwatch.GetTimestamp() < end) Step(random, t == 0);
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();

        void Step(Random random, bool reloads)
        {
            int which = random.Next(encoded.Length);
            using CancellationTokenSource source = new();
            ImageLoadOptions loading = new() { Pool = ArrayPool<byte>.Shared };
            try
            {
                switch (random.Next(reloads ? 7 : 6))
                {
                    case 0:
                        source.CancelAfter(random.Next(0, 30));
                        using (Image image = Image.Load(encoded[which], loading, source.Token))
                            Check(which, detector.DetectAsync(image, null, source.Token).GetAwaiter().GetResult());
                        break;
                    case 1:
                        Image.Load(damaged, loading).Dispose();
                        Interlocked.Increment(ref counts.Wrong);
                        break;
                    case 2:
                        int[] items = [which, -1, (which + 1) % encoded.Length, 0];
                        foreach (DetectionOutcome<int> outcome in detector.DetectBatch(
                            items, i => Image.Load(i < 0 ? damaged : encoded[i])))
                        {
                            if (outcome.Succeeded) Check(outcome.Item, outcome.Result);
                            else if (outcome.Item < 0 && outcome.Error is ImageFormatException) Interlocked.Increment(ref counts.Bad);
                            else throw outcome.Error;
                        }

                        break;
                    case 3:
                        using (Image image = Image.Load(encoded[which], loading))
                        {
                            AnomalyResult result = detector.Detect(image);
                            Check(which, result);
                            _ = result.Regions(0.5f);
                            if (random.Next(4) == 0) _ = result.RenderOverlay(image.View);
                        }

                        break;
                    case 6:
                        _ = detector.Swap(Load(random.Next(3), model, path));
                        Interlocked.Increment(ref counts.Reloads);
                        break;
                    default:
                        using (Image image = Image.Load(encoded[which], loading))
                            Check(which, detector.DetectAsync(image).GetAwaiter().GetResult());
                        break;
                }
            }
            catch (OperationCanceledException) when (source.IsCancellationRequested)
            {
                Interlocked.Increment(ref counts.Cancelled);
            }
            catch (ImageFormatException)
            {
                Interlocked.Increment(ref counts.Bad);
            }
            catch (DetectorBusyException)
            {
                Interlocked.Increment(ref counts.Refused);
            }
            catch (Exception e)
            {
                counts.Other = $"{e}";
                Interlocked.Increment(ref counts.Untyped);
            }
        }

        void Check(int which, AnomalyResult result)
        {
            Interlocked.Increment(ref counts.Done);
            if (!result.Map.Values.SequenceEqual(right[which])) Interlocked.Increment(ref counts.Wrong);
        }
    }

    private static AnomalyDetector Load(int way, byte[] model, string path) => way switch
    {
        0 => AnomalyDetector.Load(path, new DetectorOptions { InMemory = true, Mode = DetectionMode.Throughput }),
        1 => AnomalyDetector.LoadDefault(new DetectorOptions { MaxQueueLength = 2 }),
        _ => AnomalyDetector.Load(new MemoryStream(model), new DetectorOptions { Threads = 3 }),
    };

    private static byte[] Png(int width, int height, int seed)
    {
        byte[] pixels = new byte[3 * width * height];
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)(128 + 60 * Math.Sin((i / 3 % width) * 0.05 + seed) + (i * 31 >> 3) % 17);
        using MemoryStream png = new();
        Image.Create(width, height, pixels).SavePng(png);
        return png.ToArray();
    }

    private static double Megabytes(string key)
    {
        string line = File.ReadLines("/proc/self/status").Single(l => l.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1000.0;
    }
}
