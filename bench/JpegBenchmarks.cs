using System.Diagnostics;
using BenchmarkDotNet.Attributes;
using TinyZsad.Imaging;
using TinyZsad.Tests;

namespace TinyZsad.Benchmarks;

/// <summary>
/// Benchmarks decoding a 12-megapixel photograph against libjpeg-turbo's djpeg, which writes the pixels to /dev/null. The
/// photograph consists of the surfaces in the samples side by side, with sensor noise, compressed by cjpeg. Both programs are in
/// Debian's libjpeg-turbo-progs.
/// </summary>
[MemoryDiagnoser]
public class JpegBenchmarks
{
    private const int Width = 4000, Height = 3000;

    private string path = "";
    private byte[] file = [];

    /// <summary>Gets the ways to compress, as options of cjpeg. A smoke run uses one of them.</summary>
    public static IEnumerable<string> Kinds
    {
        get
        {
            string[] kinds = ["-sample 2x2", "-sample 1x1", "-sample 2x2 -progressive", "-sample 1x1 -progressive"];
            return Smoke.Runs ? kinds[^1..] : kinds;
        }
    }

    /// <summary>Gets or sets the options of cjpeg.</summary>
    [ParamsSource(nameof(Kinds))]
    public string Kind { get; set; } = "";

    /// <summary>Creates the photograph.</summary>
    [GlobalSetup]
    public void Make()
    {
        string folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName, pixels = Path.Combine(folder, "photograph.ppm");
        path = Path.Combine(folder, "photograph.jpg");
        using (FileStream ppm = File.Create(pixels))
        {
            ppm.Write("P6 4000 3000 255\n"u8);
            ppm.Write(Photograph());
        }

        Run("cjpeg", $"-quality 90 -outfile {path} {Kind} {pixels}");
        file = File.ReadAllBytes(path);
    }

    /// <summary>Deletes the photograph.</summary>
    [GlobalCleanup]
    public void Delete() => Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);

    /// <summary>TinyZsad, from memory.</summary>
    [Benchmark]
    public Image Decode() => Image.Load(file);

    /// <summary>djpeg, from a file, as a separate process.</summary>
    [Benchmark(Baseline = true)]
    public void Djpeg() => Run("djpeg", $"-outfile /dev/null {path}");

    private static byte[] Photograph()
    {
        string[] names = ["brick", "brick-stain", "grass-hole", "gravel-wire"];
        Image[] surfaces = [.. names.Select(n => Image.Load(TestData.Path("..", "..", "samples", n + ".png")))];
        byte[] pixels = new byte[3 * Width * Height];
        Random random = new Random(1);
        for (int i = 0; i < pixels.Length; i++)
        {
            // Each surface is enlarged 4 times by bilinear interpolation, to imitate the blur of a lens.
            int x = i / 3 % Width, y = i / 3 / Width, channel = i % 3;
            Image surface = surfaces[x / (Width / 2) + y / (Height / 2) * 2];
            int u = x % (Width / 2) % (4 * surface.Width - 4), v = y % (Height / 2) % (4 * surface.Height - 4);
            double value = 0;
            foreach ((int right, int down) in ((int, int)[])[(0, 0), (1, 0), (0, 1), (1, 1)])
            {
                double share = (right == 0 ? 4 - u % 4 : u % 4) * (down == 0 ? 4 - v % 4 : v % 4) / 16.0;
                value += share * surface.Pixels[3 * ((v / 4 + down) * surface.Width + u / 4 + right) + channel];
            }

            double noise = random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5;
            pixels[i] = (byte)Math.Clamp(value + 4 * noise, 0, 255);
        }

        return pixels;
    }

    private static void Run(string program, string arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments))!;
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {arguments} ended with {process.ExitCode}.");
    }
}
