using TinyZsad.Imaging;

namespace TinyZsad.Evaluation;

/// <summary>The masks that say where a picture is anomalous.</summary>
internal static class GroundTruth
{
    /// <summary>
    /// Reads a mask at a map's size, as the published evaluations do: every pixel that is not black counts, then Pillow's
    /// bilinear resize on bytes, then what is above one half.
    /// </summary>
    /// <param name="path">A picture.</param>
    /// <param name="size">Pixels each way.</param>
    /// <returns>size * size, row by row: whether the pixel is anomalous.</returns>
    /// <exception cref="ImageFormatException">It is no picture.</exception>
    public static bool[] Load(string path, int size) => From(Image.Load(path), size);

    /// <summary>The same from a picture in memory.</summary>
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

    /// <summary>Pillow's gray of a colour.</summary>
    private static int Gray(int r, int g, int b) => (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
}
