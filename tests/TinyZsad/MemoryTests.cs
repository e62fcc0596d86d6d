using System.Diagnostics;
using System.Globalization;
using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Tests.Models;
using TinyZsad.Tests.Weights;
using TinyZsad.Verification;

namespace TinyZsad.Tests;

/// <summary>What a detection allocates, and what a process that detects all day holds.</summary>
[TestFixture, NonParallelizable]
public sealed class MemoryTests
{
    /// <summary>A result, its map of 70 x 70 floats, and a handful of small objects around them.</summary>
    private const long BytesOfADetection = 70 * 70 * sizeof(float) + 2048;

    private static IEnumerable<TestCaseData> Models() =>
    [
        new TestCaseData(TinyModel.OfStoredClass(), 70 * 70).SetArgDisplayNames("LiZAD"),
        new TestCaseData(EdgeModel.Whole(), 64 * 64 + 4 * 4).SetArgDisplayNames("EdgeZSAD"),
    ];

    [TestCaseSource(nameof(Models))]
    public void ADetectionAllocatesItsResultAndLittleElse(object model, int floats)
    {
        using AnomalyDetector detector = AnomalyDetector.Load(((CaseModel)model).Open(), new DetectorOptions { Threads = 1 });
        for (int i = 0; i < 50; i++) detector.Detect(TinyModel.Picture, TinyModel.ClassName);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) detector.Detect(TinyModel.Picture, TinyModel.ClassName);
        long each = (GC.GetAllocatedBytesForCurrentThread() - before) / 100;
        TestContext.Out.WriteLine($"{each} bytes a detection, {floats * sizeof(float)} of them its floats");
        Assert.That(each, Is.LessThanOrEqualTo(floats * sizeof(float) + 2048));
    }

    [Test]
    public void TwoHundredPicturesLeaveNothingBehind()
    {
        using AnomalyDetector detector = AnomalyDetector.Load(
            TinyModel.OfStoredClass().Open(), new DetectorOptions { Threads = 2 });
        long Heap()
        {
            for (int i = 0; i < 200; i++) detector.Detect(TinyModel.Picture, TinyModel.ClassName);
            return GC.GetTotalMemory(forceFullCollection: true);
        }
        Heap();
        // Of three rounds, one without growth is proof: others of the process may keep something meanwhile.
        long least = long.MaxValue;
        for (int round = 0; round < 3; round++)
        {
            long before = Heap();
            least = Math.Min(least, Heap() - before);
        }
        Assert.That(least, Is.LessThan(BytesOfADetection), "less than one result");
    }

    [Test, Category("Full"), Platform("Linux")]
    public void LiZadDetectsIn150Megabytes() =>
        TheFullModelDetects(ReferenceCase.Open(TestData.Path("lizad", "vision-full")), megabytes: 150, seconds: 1.2);

    [Test, Category("Full"), Platform("Linux")]
    public void EdgeZsadDetectsIn170Megabytes() =>
        TheFullModelDetects(ReferenceCase.Open(TestData.Path("edgezsad", "full")), megabytes: 170, seconds: 1);

    /// <summary>
    /// A full model in a process of its own, which reports what the system says of it. Its time is the processors', some two times
    /// what it takes, so that other work does not count, and a kernel that fell back to something slow does.
    /// </summary>
    private static void TheFullModelDetects(ReferenceCase full, double megabytes, double seconds)
    {
        string path = TestFiles.NewPath();
        try
        {
            ReferenceCase.WriteModel(path, full);
            string[] arguments = [typeof(MemoryTests).Assembly.Location, "memory", path, full.Image!,
                full.ClassName ?? AnomalyDetector.DefaultClassName];
            ProcessStartInfo start = new("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
            using Process child = Process.Start(start)!;
            Task<string> errors = child.StandardError.ReadToEndAsync();
            string output = child.StandardOutput.ReadToEnd();
            child.WaitForExit();
            Assert.That(child.ExitCode, Is.Zero, errors.Result);
            TestContext.Out.WriteLine(output);
            double[] figures = [.. output.Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(4)
                .Select(f => double.Parse(f, CultureInfo.InvariantCulture))];
            Assert.That(figures[0], Is.LessThan(megabytes), "MB at most");
            Assert.That(figures[2] - figures[1], Is.LessThan(8),
                "MB of growth from the 5th detection to the 20th; maps of 1 MB each wait for collection");
            Assert.That(figures[3], Is.LessThan(seconds), "processor seconds, the fastest");
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>
    /// The child: prints the peak, the resident memory after 5 and after 20 detections, in MB, and the fastest detection in
    /// processor seconds.
    /// </summary>
    public static int Run(string model, string picture, string className, TextWriter output)
    {
        using AnomalyDetector detector = AnomalyDetector.Load(model);
        Image image = Image.Load(picture);
        double fastest = double.MaxValue, early = 0;
        for (int i = 1; i <= 20; i++)
        {
            TimeSpan before = Environment.CpuUsage.TotalTime;
            detector.Detect(image, className);
            fastest = Math.Min(fastest, (Environment.CpuUsage.TotalTime - before).TotalSeconds);
            if (i == 5) early = Megabytes("VmRSS:");
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{Megabytes("VmHWM:")} {early} {Megabytes("VmRSS:")} {fastest:F3} (peak MB, MB after 5, MB after 20, fastest processor s)"));
        return 0;
    }

    private static double Megabytes(string key)
    {
        GC.Collect();
        string line = File.ReadLines("/proc/self/status").Single(l => l.StartsWith(key, StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) / 1000;
    }
}
