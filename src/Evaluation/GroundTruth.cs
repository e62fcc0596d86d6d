using TinyZsad.Imaging;

namespace TinyZsad.Evaluation;

/// <summary>Reads the masks of anomalous pixels.</summary>
internal static class GroundTruth
{
    /// <summary>
    /// Reads a mask at the size of a map, as published evaluations do: pixels that are not black become 255, the mask is resized as by
    /// Pillow's bilinear filter, and pixels above 127 are anomalous.
    /// </summary>
    /// <param name="path">The path of the mask.</param>
    /// <param name="size">The width and height of the map in pixels.</param>
    /// <returns>Whether each pixel is anomalous, [size * size], row-major.</returns>
    /// <exception cref="ImageFormatException">The mask cannot be decoded.</exception>
    public static bool[] Load(string path, int size) => From(Image.Load(path), size);

    /// <summary>Converts a mask in memory, as <see cref="Load"/> does.</summary>
    public static bool[] From(Image mask, int size)
    {
        ArgumentNullException.ThrowIfNull(mask);
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ReadOnlySpan<byte> rgb = mask.Pixels;
        byte[] marked = new byte[mask.Width * mask.Height], resized = new byte[checked(3 * size * size)];
        for (int i = 0; i < marked.Length; i++)
            marked[i] = Gray(rgb[3 * i], rgb[3 * i + 1], rgb[3 * i + 2]) > 0 ? (byte)255 : (byte)0;
        Resampler.Resize(
            new ImageView(marked, mask.Width, mask.Height, PixelFormat.Gray8), resized, size, size, ResampleFilter.Bilinear);
        bool[] anomalous = new bool[size * size];
        for (int i = 0; i < anomalous.Length; i++) anomalous[i] = resized[3 * i] > 127;
        return anomalous;
    }

    /// <summary>Computes the gray value of a color as Pillow does.</summary>
    private static int Gray(int r, int g, int b) => (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
}
