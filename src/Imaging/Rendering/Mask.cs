namespace TinyZsad.Imaging;

/// <summary>Converts anomaly maps to masks: 255 for values that are at least the threshold; 0 for other values and NaN.</summary>
public static class Mask
{
    /// <summary>Creates a mask.</summary>
    /// <param name="map">The values.</param>
    /// <param name="threshold">The smallest anomalous value; not NaN.</param>
    /// <returns>A byte per value, 0 or 255.</returns>
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

    /// <summary>Saves a mask as an 8-bit gray PNG file of the map's size.</summary>
    /// <inheritdoc cref="SavePng(Stream, ReadOnlySpan{float}, int, int, float)"/>
    /// <param name="path">The file's path. An existing file is replaced.</param>
    /// <param name="map">The values.</param>
    /// <param name="width">The width of the map, in values.</param>
    /// <param name="height">The height of the map, in values.</param>
    /// <param name="threshold">The smallest anomalous value.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void SavePng(string path, ReadOnlySpan<float> map, int width, int height, float threshold)
    {
        MapArguments.Check(map, width, height);
        PngEncoder.Save(path, new ImageView(Render(map, threshold), width, height, PixelFormat.Gray8));
    }

    /// <summary>Writes a mask as an 8-bit gray PNG of the map's size to a stream.</summary>
    /// <param name="stream">A writable stream. It is left open.</param>
    /// <param name="map">The map: width * height values, rows from top to bottom.</param>
    /// <param name="width">The width of the map, in values; at least 1.</param>
    /// <param name="height">The height of the map, in values; at least 1.</param>
    /// <param name="threshold">The smallest anomalous value; not NaN.</param>
    /// <exception cref="ArgumentOutOfRangeException">The width or the height is less than 1.</exception>
    /// <exception cref="ArgumentException">The number of values is wrong, or the threshold is NaN.</exception>
    public static void SavePng(Stream stream, ReadOnlySpan<float> map, int width, int height, float threshold)
    {
        MapArguments.Check(map, width, height);
        PngEncoder.Save(stream, new ImageView(Render(map, threshold), width, height, PixelFormat.Gray8));
    }
}
