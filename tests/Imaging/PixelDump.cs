using System.Globalization;
using System.Text;
using TinyZsad.Imaging;

namespace TinyZsad.Tests.Imaging;

/// <summary>Writes what becomes of every picture of the tests, so that two processors can be compared.</summary>
internal static class PixelDump
{
    private const int Width = 29, Height = 31;

    private static readonly ImageLoadOptions Options = new ImageLoadOptions { ApplyExifOrientation = true }.WithTiff();

    /// <summary>
    /// Writes a file for each picture: its size, its pixels and the pixels of another size, or the error that decoding it gives.
    /// </summary>
    public static int Write(string folder)
    {
        string root = TestData.Path("imaging");
        HashSet<string> extensions = [.. Options.Formats.SelectMany(f => f.Extensions)];
        string[] pictures = [.. Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories)
            .Where(f => extensions.Contains(Path.GetExtension(f)))];
        foreach (string picture in pictures)
        {
            string name = Path.GetRelativePath(root, picture).Replace(Path.DirectorySeparatorChar, '_');
            File.WriteAllBytes(Path.Combine(folder, name), Of(File.ReadAllBytes(picture)));
        }
        return 0;
    }

    private static byte[] Of(byte[] file)
    {
        try
        {
            Image image = Image.Load(file, Options);
            byte[] resized = new byte[3 * Width * Height];
            Resampler.Resize(image.View, resized, Width, Height, ResampleFilter.Bicubic);
            string size = string.Create(CultureInfo.InvariantCulture, $"{image.Width} x {image.Height}\n");
            return [.. Encoding.ASCII.GetBytes(size), .. image.Pixels, .. resized];
        }
        catch (ImageFormatException e)
        {
            return Encoding.UTF8.GetBytes(e.Message);
        }
    }
}
