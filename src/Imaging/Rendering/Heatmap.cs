namespace TinyZsad.Imaging;

/// <summary>Provides the colours of anomaly maps: from dark violet over red and orange to light yellow.</summary>
/// <remarks>
/// The lightness in OKLab rises evenly, so that equal steps look equal, also in gray print and with red-green colour blindness.
/// </remarks>
public static class Heatmap
{
    private static readonly byte[] Table = MakeTable();

    /// <summary>Gets the 256 colours, from low to high: red, green, blue.</summary>
    public static ReadOnlySpan<byte> Colours => Table;

    /// <summary>Returns the index of a value's colour in <see cref="Colours"/>: 0 to 255.</summary>
    /// <param name="value">The value. NaN counts as low.</param>
    /// <param name="low">The value with index 0, like all values below it.</param>
    /// <param name="high">The value with index 255, like all values above it; greater than <paramref name="low"/>.</param>
    public static int Level(float value, float low, float high)
    {
        float t = (value - low) / (high - low);
        return t > 0 ? (int)(Math.Min(t, 1) * 255 + 0.5f) : 0;
    }

    /// <summary>Draws a map with a pixel per value.</summary>
    /// <param name="map">The map: width * height values, rows from top to bottom.</param>
    /// <param name="width">The width of the map, in values; at least 1.</param>
    /// <param name="height">The height of the map, in values; at least 1.</param>
    /// <param name="low">The value with the darkest colour, like all values below it and NaN.</param>
    /// <param name="high">The value with the lightest colour, like all values above it; greater than <paramref name="low"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is less than 1, or high is not greater than low.</exception>
    /// <exception cref="ArgumentException">The number of values is wrong.</exception>
    public static Image Render(ReadOnlySpan<float> map, int width, int height, float low, float high)
    {
        MapArguments.Check(map, width, height);
        if (!(high > low))
        {
            throw new ArgumentOutOfRangeException(nameof(high), high, $"It must be greater than low, {low}.");
        }

        byte[] pixels = GC.AllocateUninitializedArray<byte>(PixelBuffer.RgbBytes(width, height));
        for (int i = 0; i < map.Length; i++)
        {
            Colours.Slice(3 * Level(map[i], low, high), 3).CopyTo(pixels.AsSpan(3 * i));
        }

        return new Image(width, height, new PixelBuffer(pixels));
    }

    private static byte[] MakeTable()
    {
        byte[] table = new byte[3 * 256];
        for (int i = 0; i < 256; i++)
        {
            double t = i / 255.0, lightness = 0.22 + 0.74 * t, hue = (285 + 180 * t) * Math.PI / 180;
            double chroma = 0.19;
            (double R, double G, double B) rgb;

            // The highest chroma inside sRGB, up to the one above.
            do
            {
                rgb = FromOkLab(lightness, chroma * Math.Cos(hue), chroma * Math.Sin(hue));
                chroma -= 0.001;
            }
            while (Math.Min(rgb.R, Math.Min(rgb.G, rgb.B)) < 0 || Math.Max(rgb.R, Math.Max(rgb.G, rgb.B)) > 1);

            (table[3 * i], table[3 * i + 1], table[3 * i + 2]) = (ToByte(rgb.R), ToByte(rgb.G), ToByte(rgb.B));
        }

        return table;
    }

    /// <summary>Converts OKLab to linear sRGB.</summary>
    private static (double R, double G, double B) FromOkLab(double lightness, double a, double b)
    {
        double l = Cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
        double m = Cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
        double s = Cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
        return (4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s);

        static double Cube(double x) => x * x * x;
    }

    /// <summary>Converts linear light, 0 to 1, to an sRGB byte.</summary>
    private static byte ToByte(double linear) =>
        (byte)(255 * (linear <= 0.0031308 ? 12.92 * linear : 1.055 * Math.Pow(linear, 1 / 2.4) - 0.055) + 0.5);
}
