using System.Drawing;

namespace TinyZsad.Imaging;

/// <summary>
/// Draws pictures with an anomaly map over them. The opacity rises with the value, so the normal parts of the picture stay visible.
/// </summary>
public static unsafe class Overlay
{
    /// <summary>The pixels from which on the rows are drawn on several threads.</summary>
    private const long LargePixels = 1 << 20;

    /// <summary>The pixels of the picture's shorter side per pixel of an outline.</summary>
    private const int PixelsPerLine = 250;

    /// <summary>The colour of the outlines: cyan, which neither the heatmap nor most surfaces have.</summary>
    private static readonly (byte R, byte G, byte B) BoxColour = (0, 229, 255);

    /// <summary>Draws an overlay.</summary>
    /// <param name="picture">The picture, in any pixel format.</param>
    /// <param name="map">
    /// The anomaly map: mapWidth * mapHeight values, rows from top to bottom. It covers the whole picture and is resized bilinearly.
    /// NaN counts as low.
    /// </param>
    /// <param name="mapWidth">The width of the map, in values; at least 1.</param>
    /// <param name="mapHeight">The height of the map, in values; at least 1.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <returns>
    /// The overlay. With a legend it is wider than the picture, and higher if the picture is too low for the legend.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">A size, the opacity or the range of values is out of range.</exception>
    /// <exception cref="ArgumentException">
    /// The picture is empty, the number of values is wrong, or one array cannot hold the result.
    /// </exception>
    public static Image Render(
        ImageView picture, ReadOnlySpan<float> map, int mapWidth, int mapHeight, OverlayOptions? options = null)
    {
        options ??= OverlayOptions.Default;
        Check(picture, map, mapWidth, mapHeight, options);
        Legend? legend = options.Legend
            ? new Legend(picture.Width, picture.Height, options.Low, options.High, options.Score) : null;
        int width = checked(picture.Width + (legend?.Width ?? 0)), height = Math.Max(picture.Height, legend?.LeastHeight ?? 0);
        byte[] pixels = GC.AllocateUninitializedArray<byte>(PixelBuffer.RgbBytes(width, height));
        if (legend is { } strip)
        {
            Canvas canvas = new Canvas(pixels, width, height);
            canvas.Fill(0, picture.Height, width, height - picture.Height, (0, 0, 0));
            strip.Draw(canvas);
        }

        Draw(picture, map, mapWidth, mapHeight, pixels, PixelFormat.Rgb24, 3 * width, options);
        return new Image(width, height, new PixelBuffer(pixels));
    }

    /// <summary>Draws an overlay of the picture's size, without a legend, into a buffer.</summary>
    /// <param name="picture">The picture, in any pixel format.</param>
    /// <param name="map">The anomaly map: mapWidth * mapHeight values, rows from top to bottom. NaN counts as low.</param>
    /// <param name="mapWidth">The width of the map, in values; at least 1.</param>
    /// <param name="mapHeight">The height of the map, in values; at least 1.</param>
    /// <param name="destination">
    /// Receives the pixels; the top row first or, if <paramref name="stride"/> is negative, the bottom row first. It must not overlap
    /// the picture. Gaps between the rows are not written to.
    /// </param>
    /// <param name="format">The format of the destination, which must have colours. Alpha is set to 255.</param>
    /// <param name="stride">The bytes from a row of the destination to the row below it.</param>
    /// <param name="options">The options; null for the defaults. The legend and the score are ignored.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A size, the stride, the format, the opacity or the range of values is out of range.
    /// </exception>
    /// <exception cref="ArgumentException">
    /// The picture is empty, the number of values is wrong, or the destination is too small or overlaps the picture.
    /// </exception>
    public static void Render(ImageView picture, ReadOnlySpan<float> map, int mapWidth, int mapHeight, Span<byte> destination,
        PixelFormat format, int stride, OverlayOptions? options = null)
    {
        options ??= OverlayOptions.Default;
        Check(picture, map, mapWidth, mapHeight, options);
        PixelLayout layout = new PixelLayout(picture.Width, picture.Height, stride, format);
        if (format.IsGray())
        {
            throw new ArgumentOutOfRangeException(nameof(format), format, "An overlay has colours.");
        }

        layout.CheckBuffer(destination.Length, nameof(destination));
        if (picture.Overlaps(destination))
        {
            throw new ArgumentException("The destination must not overlap the picture.", nameof(destination));
        }

        Draw(picture, map, mapWidth, mapHeight, destination[(int)layout.Offset(0)..], format, stride, options);
    }

    private static void Check(ImageView picture, ReadOnlySpan<float> map, int mapWidth, int mapHeight, OverlayOptions options)
    {
        MapArguments.Check(map, mapWidth, mapHeight);
        picture.ThrowIfEmpty(nameof(picture));
        if (!(options.High > options.Low) || !float.IsFinite(options.High - options.Low))
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.High,
                $"{nameof(options.High)} must be finite and greater than {nameof(options.Low)}, {options.Low}.");
        }

        if (!(options.Opacity >= 0 && options.Opacity <= 1))
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), options.Opacity, $"{nameof(options.Opacity)} must be 0 to 1.");
        }
    }

    /// <summary>Draws the rows of the picture, on several threads if it is large.</summary>
    private static void Draw(ImageView picture, ReadOnlySpan<float> map, int mapWidth, int mapHeight, Span<byte> topRow,
        PixelFormat format, int stride, OverlayOptions options)
    {
        fixed (byte* pixels = &picture.Top, output = topRow)
        fixed (float* values = map)
        {
            Work work = new Work(picture, pixels, values, mapWidth, mapHeight, output, format, stride, options);
            int bands = (long)picture.Width * picture.Height < LargePixels
                ? 1 : Math.Min(4 * Environment.ProcessorCount, picture.Height), height = picture.Height;
            if (bands == 1)
            {
                work.Run(0, height);
            }
            else
            {
                Parallel.For(0, bands, i => work.Run((int)((long)height * i / bands), (int)((long)height * (i + 1) / bands)));
            }
        }
    }

    /// <summary>What all rows share, with pinned memory.</summary>
    private sealed class Work
    {
        private readonly byte* pixels, output;
        private readonly float* map;
        private readonly int width, height, pictureStride, significantBits, mapWidth, stride, line;
        private readonly PixelFormat pictureFormat, format;
        private readonly OverlayOptions options;
        private readonly int[] opacities;
        private readonly LinearTap[] across, down;
        private readonly Rectangle[] boxes;

        public Work(ImageView picture, byte* pixels, float* map, int mapWidth, int mapHeight, byte* output, PixelFormat format,
            int stride, OverlayOptions options)
        {
            this.pixels = pixels;
            this.output = output;
            this.map = map;
            (this.width, this.height, pictureStride, pictureFormat) = (picture.Width, picture.Height, picture.Stride, picture.Format);
            significantBits = picture.SignificantBits;
            (this.mapWidth, this.format, this.stride, this.options) = (mapWidth, format, stride, options);
            opacities = Opacities(options.Opacity);
            (across, down) = (LinearTap.ForAxis(mapWidth, this.width), LinearTap.ForAxis(mapHeight, this.height));
            boxes = [.. options.Boxes];
            line = Math.Max((Math.Min(this.width, this.height) + PixelsPerLine / 2) / PixelsPerLine, 1);
        }

        public void Run(int from, int to)
        {
            float[] mixed = new float[this.mapWidth];
            byte[] spare = this.format == PixelFormat.Rgb24 ? [] : new byte[3 * this.width];
            int sourceBytes = this.width * pictureFormat.BytesPerPixel(), targetBytes = this.width * this.format.BytesPerPixel();
            for (int y = from; y < to; y++)
            {
                ReadOnlySpan<byte> source = new ReadOnlySpan<byte>(this.pixels + (long)y * pictureStride, sourceBytes);
                Span<byte> target = new Span<byte>(this.output + (long)y * this.stride, targetBytes);
                Span<byte> rgb = this.format == PixelFormat.Rgb24 ? target : spare;
                PixelRows.ToRgb(source, rgb, pictureFormat, significantBits);
                Blend(y, mixed, rgb);
                DrawBoxes(y, rgb);
                if (this.format != PixelFormat.Rgb24)
                {
                    PixelRows.FromRgb(rgb, target, this.format);
                }
            }
        }

        private void Blend(int y, Span<float> mixed, Span<byte> row)
        {
            float* above = this.map + (long)down[y].First * this.mapWidth, below = this.map + (long)down[y].Second * this.mapWidth;
            for (int x = 0; x < mixed.Length; x++)
            {
                mixed[x] = LinearTap.Mix(above[x], below[x], down[y].Weight);
            }

            ReadOnlySpan<byte> colours = Heatmap.Colours;
            float low = options.Low, high = options.High;
            for (int x = 0; x < this.width; x++)
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

        /// <summary>Draws the parts of the outlines that lie in a row. An outline lies inside its box.</summary>
        private void DrawBoxes(int y, Span<byte> row)
        {
            foreach (Rectangle box in boxes)
            {
                long left = box.X, right = left + box.Width, top = box.Y, bottom = top + box.Height;
                if (y < top || y >= bottom)
                {
                    continue;
                }

                if (y < top + line || y >= bottom - line)
                {
                    Fill(row, left, right);
                }
                else
                {
                    Fill(row, left, Math.Min(left + line, right));
                    Fill(row, Math.Max(right - line, left), right);
                }
            }
        }

        private void Fill(Span<byte> row, long from, long to)
        {
            int end = (int)Math.Min(to, this.width);
            for (int x = (int)Math.Clamp(from, 0, this.width); x < end; x++)
            {
                (row[3 * x], row[3 * x + 1], row[3 * x + 2]) = BoxColour;
            }
        }
    }

    /// <summary>Returns the opacity of each of the 256 levels, in 256ths: a smooth step.</summary>
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

    /// <summary>The two neighbours of a position on an axis of the map, and the weight of the second one.</summary>
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
