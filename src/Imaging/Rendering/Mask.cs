namespace TinyZsad.Imaging;

/// <summary>
/// Anomaly maps cut at a threshold: 255 where a value is at least the threshold, 0 elsewhere and where it is NaN.
/// </summary>
public static class Mask
{
    /// <summary>Makes a mask.</summary>
    /// <param name="map">The values.</param>
    /// <param name="threshold">The least value that counts as anomalous; in the map's own units; not NaN.</param>
    /// <returns>One byte for each value, 0 or 255.</returns>
    /// <exception cref="ArgumentException">The threshold is NaN.</exception>
    public static byte[] Render(ReadOnlySpan<float> map, float threshold)
    {
        if (float.IsNaN(threshold))
        {
            throw new ArgumentException("The threshold must be a number.", nameof(threshold));
        }

        byte[] mask = new byte[map.Length];
        for (int i = 0; i < map.Length; i++)
        {
            mask[i] = map[i] >= threshold ? (byte)255 : (byte)0;
        }

        return mask;
    }

    /// <summary>Writes a mask as an 8-bit gray PNG of the map's size.</summary>
    /// <inheritdoc cref="SavePng(Stream, ReadOnlySpan{float}, int, int, float)"/>
    /// <param name="path">The file, replaced where it exists.</param>
    /// <param name="map">The values.</param>
    /// <param name="width">Values a row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="threshold">The least value that counts as anomalous.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void SavePng(string path, ReadOnlySpan<float> map, int width, int height, float threshold)
    {
        MapArguments.Check(map, width, height);
        PngEncoder.Save(path, new ImageView(Render(map, threshold), width, height, PixelFormat.Gray8));
    }

    /// <summary>Writes a mask as an 8-bit gray PNG of the map's size.</summary>
    /// <param name="stream">A writable stream, left open.</param>
    /// <param name="map">The values, width * height of them, rows from the top.</param>
    /// <param name="width">Values a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="threshold">The least value that counts as anomalous; not NaN.</param>
    /// <exception cref="ArgumentOutOfRangeException">A side is below 1.</exception>
    /// <exception cref="ArgumentException">The number of values is wrong, or the threshold is NaN.</exception>
    public static void SavePng(Stream stream, ReadOnlySpan<float> map, int width, int height, float threshold)
    {
        MapArguments.Check(map, width, height);
        PngEncoder.Save(stream, new ImageView(Render(map, threshold), width, height, PixelFormat.Gray8));
    }
}
