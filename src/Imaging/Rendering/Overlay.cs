namespace TinyZsad.Imaging;

/// <summary>
/// Pictures with an anomaly map laid over them. The more anomalous, the more opaque, so the normal part of the picture stays
/// as it is. A legend stands on a strip at the right and hides nothing.
/// </summary>
public static class Overlay
{
    /// <summary>Draws an overlay.</summary>
    /// <param name="picture">The picture, in any pixel format.</param>
    /// <param name="map">
    /// The anomaly map, mapWidth * mapHeight values, rows from the top. It covers the whole picture, whatever its own size, and
    /// is resized bilinearly (centres of pixels at halves, borders repeated). NaN counts as low.
    /// </param>
    /// <param name="mapWidth">Values a row, at least 1.</param>
    /// <param name="mapHeight">Rows, at least 1.</param>
    /// <param name="low">The value that counts as wholly normal: transparent.</param>
    /// <param name="high">The value that counts as wholly anomalous; finite, greater than <paramref name="low"/>.</param>
    /// <param name="score">The picture's score, printed above the legend.</param>
    /// <param name="opacity">How opaque the highest values are, 0 to 1.</param>
    /// <returns>The picture with the strip: wider than it, and higher where the picture is too low for the legend.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A side, the opacity or the range of values is out of its range.</exception>
    /// <exception cref="ArgumentException">
    /// The number of values is wrong, or the result is larger than one array holds.
    /// </exception>
    public static Image Render(ImageView picture, ReadOnlySpan<float> map, int mapWidth, int mapHeight,
        float low, float high, float score, float opacity = 0.8f)
    {
        MapArguments.Check(map, mapWidth, mapHeight);
        if (picture.Width == 0)
        {
            throw new ArgumentException("The view is empty (a default value).", nameof(picture));
        }

        if (!(high > low) || !float.IsFinite(high - low))
        {
            throw new ArgumentOutOfRangeException(nameof(high), high, $"It must be finite and greater than low, {low}.");
        }

        if (!(opacity >= 0 && opacity <= 1))
        {
            throw new ArgumentOutOfRangeException(nameof(opacity), opacity, "It must be 0 to 1.");
        }

        Legend legend = new Legend(picture.Width, picture.Height, low, high, score);
        int width = checked(picture.Width + legend.Width), height = Math.Max(picture.Height, legend.LeastHeight);
        byte[] pixels = GC.AllocateUninitializedArray<byte>(PixelBuffer.RgbBytes(width, height));
        Canvas canvas = new Canvas(pixels, width, height);
        canvas.Fill(0, picture.Height, width, height - picture.Height, (0, 0, 0));
        legend.Draw(canvas);
        Blend(picture, map, mapWidth, mapHeight, low, high, opacity, canvas);
        return new Image(width, height, new PixelBuffer(pixels));
    }

    private static void Blend(ImageView picture, ReadOnlySpan<float> map, int mapWidth, int mapHeight,
        float low, float high, float opacity, Canvas canvas)
    {
        int[] opacities = Opacities(opacity);
        ReadOnlySpan<byte> colours = Heatmap.Colours;
        LinearTap[] across = LinearTap.ForAxis(mapWidth, picture.Width), down = LinearTap.ForAxis(mapHeight, picture.Height);
        float[] mixed = new float[mapWidth];
        for (int y = 0; y < picture.Height; y++)
        {
            ReadOnlySpan<float> above = map.Slice(down[y].First * mapWidth, mapWidth);
            ReadOnlySpan<float> below = map.Slice(down[y].Second * mapWidth, mapWidth);
            for (int x = 0; x < mapWidth; x++)
            {
                mixed[x] = LinearTap.Mix(above[x], below[x], down[y].Weight);
            }

            Span<byte> row = canvas.Row(y, 0, picture.Width);
            PixelRows.ToRgb(picture.Row(y), row, picture.Format);
            for (int x = 0; x < picture.Width; x++)
            {
                LinearTap tap = across[x];
                int level = Heatmap.Level(LinearTap.Mix(mixed[tap.First], mixed[tap.Second], tap.Weight), low, high);
                int alpha = opacities[level];
                ReadOnlySpan<byte> colour = colours.Slice(3 * level, 3);
                Span<byte> pixel = row.Slice(3 * x, 3);
                pixel[0] += (byte)((colour[0] - pixel[0]) * alpha + 128 >> 8);
                pixel[1] += (byte)((colour[1] - pixel[1]) * alpha + 128 >> 8);
                pixel[2] += (byte)((colour[2] - pixel[2]) * alpha + 128 >> 8);
            }
        }
    }

    /// <summary>For each of the 256 levels how opaque it is, in 256ths: a smooth step, flat at both ends.</summary>
    private static int[] Opacities(float most)
    {
        int[] opacities = new int[256];
        for (int i = 0; i < opacities.Length; i++)
        {
            float t = i / 255f;
            opacities[i] = (int)(256 * most * t * t * (3 - 2 * t) + 0.5f);
        }

        return opacities;
    }

    /// <summary>The two neighbours of a position on the map's axis, and the weight of the second.</summary>
    private readonly record struct LinearTap(int First, int Second, float Weight)
    {
        public static LinearTap[] ForAxis(int from, int to)
        {
            LinearTap[] taps = new LinearTap[to];
            double scale = (double)from / to;
            for (int i = 0; i < to; i++)
            {
                double position = Math.Clamp((i + 0.5) * scale - 0.5, 0, from - 1);
                int first = (int)position;
                taps[i] = new LinearTap(first, Math.Min(first + 1, from - 1), (float)(position - first));
            }

            return taps;
        }

        public static float Mix(float a, float b, float weight) => a + (b - a) * weight;
    }
}
