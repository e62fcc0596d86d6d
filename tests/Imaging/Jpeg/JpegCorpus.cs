using System.ComponentModel;
using System.Diagnostics;
using NUnit.Framework;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>JPEG files of every kind and what libjpeg and Pillow make of them, made anew by jpeg_corpus.py.</summary>
internal sealed class JpegCorpus : IDisposable
{
    private JpegCorpus(string folder) => Folder = folder;

    public string Folder { get; }

    /// <summary>Makes the files; ignores the test where there are no programs to do it.</summary>
    public static JpegCorpus Make()
    {
        string script = Path.GetFullPath(TestData.Path("..", "Imaging", "Jpeg", "jpeg_corpus.py"));
        string? python = new[] { "python3", "/usr/bin/python3" }.FirstOrDefault(p => Run(p, "-c", "import numpy, PIL").Code == 0);
        if (python is null || new[] { "cjpeg", "djpeg" }.Any(p => Run(p, "-version").Code < 0))
        {
            Assert.Ignore("This needs Python with NumPy and Pillow, cjpeg and djpeg, which are not installed; on Debian: apt " +
                "install python3-numpy python3-pil libjpeg-turbo-progs.");
        }

        JpegCorpus corpus = new JpegCorpus(Directory.CreateTempSubdirectory("tinyzsad-jpeg-").FullName);
        (int code, string output) = Run(python!, script, corpus.Folder);
        Assert.That(code, Is.Zero, output);
        return corpus;
    }

    public byte[] Read(string name) => File.ReadAllBytes(Path.Combine(Folder, name));

    /// <summary>Decodes what a list names, and writes what differs from its pixels, and the count.</summary>
    /// <returns>Pictures and differences.</returns>
    public static (int Pictures, int Different) Check(string folder, bool turned, TextWriter output)
    {
        (int pictures, int different) = (0, 0);
        foreach (string line in File.ReadLines(Path.Combine(folder, turned ? "turned.txt" : "index.txt")))
        {
            string[] words = line.Split(' ');
            string path = Path.Combine(folder, words[0]);
            byte[] expected = File.ReadAllBytes(path + (turned ? ".turned.rgb" : ".rgb"));
            string? difference = Difference(path + ".jpg", turned, int.Parse(words[1]), int.Parse(words[2]), expected);
            pictures++;
            different += difference is null ? 0 : 1;
            if (difference is not null)
                output.WriteLine($"{words[0]}: {difference}");
        }

        output.WriteLine($"{pictures} pictures, {different} different");
        return (pictures, different);
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static string? Difference(string path, bool turned, int width, int height, byte[] expected)
    {
        Image image;
        try
        {
            image = Image.Load(path, new ImageLoadOptions { ApplyExifOrientation = turned });
        }
        catch (ImageFormatException e)
        {
            return e.Message;
        }

        int at = image.Pixels.CommonPrefixLength(expected);
        return (image.Width, image.Height) != (width, height) ? $"{image.Width} x {image.Height} for {width} x {height}"
            : at == expected.Length ? null
            : $"{width} x {height}, first at {at / 3 % width}, {at / 3 / width}: {image.Pixels[at]} for {expected[at]}";
    }

    private static (int Code, string Output) Run(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + errors.Result);
        }
        catch (Win32Exception e)
        {
            return (-1, e.Message);
        }
    }
}
