using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>Converts rows of pixels to and from RGB.</summary>
internal static class PixelRows
{
    /// <summary>The samples of <see cref="PixelFormat.Gray16"/> that are converted at once.</summary>
    private const int Portion = 1024;

    /// <summary>Returns the byte shuffle that converts the first four pixels of 16 bytes to R, G, B, 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The format does not have 8-bit samples.</exception>
    public static Vector128<byte> ToRgb0(PixelFormat format) => format switch
    {
        PixelFormat.Rgb24 => Vector128.Create((byte)0, 1, 2, 255, 3, 4, 5, 255, 6, 7, 8, 255, 9, 10, 11, 255),
        PixelFormat.Bgr24 => Vector128.Create((byte)2, 1, 0, 255, 5, 4, 3, 255, 8, 7, 6, 255, 11, 10, 9, 255),
        PixelFormat.Rgba32 => Vector128.Create((byte)0, 1, 2, 255, 4, 5, 6, 255, 8, 9, 10, 255, 12, 13, 14, 255),
        PixelFormat.Bgra32 => Vector128.Create((byte)2, 1, 0, 255, 6, 5, 4, 255, 10, 9, 8, 255, 14, 13, 12, 255),
        PixelFormat.Gray8 => Vector128.Create((byte)0, 0, 0, 255, 1, 1, 1, 255, 2, 2, 2, 255, 3, 3, 3, 255),
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Not a format of 8-bit samples."),
    };

    /// <summary>Converts a picture to RGB.</summary>
    /// <param name="view">The picture.</param>
    /// <param name="rgb">Receives 3 * width * height bytes. It must not overlap the picture.</param>
    public static void ToRgb(ImageView view, Span<byte> rgb)
    {
        int rowBytes = 3 * view.Width;
        for (int y = 0; y < view.Height; y++)
        {
            ToRgb(view.Row(y), rgb.Slice(y * rowBytes, rowBytes), view.Format, view.SignificantBits);
        }
    }

    /// <summary>Converts a row to RGB.</summary>
    /// <param name="row">The pixels in <paramref name="format"/>.</param>
    /// <param name="rgb">Receives three bytes per pixel. It must not overlap the row.</param>
    /// <param name="format">The format of <paramref name="row"/>.</param>
    /// <param name="significantBits">The bits of a sample of <see cref="PixelFormat.Gray16"/>.</param>
    public static void ToRgb(
        ReadOnlySpan<byte> row, Span<byte> rgb, PixelFormat format, int significantBits = DeepSamples.MostBits)
    {
        if (format == PixelFormat.Gray16)
        {
            Gray16ToRgb(row, rgb, significantBits);
            return;
        }

        if (format == PixelFormat.Rgb24)
        {
            row.CopyTo(rgb);
            return;
        }

        int bytes = format.BytesPerPixel(), width = row.Length / bytes, x = 0;
        rgb = rgb[..(3 * width)];
        Vector128<byte> rgb0 = ToRgb0(format);
        Vector128<byte> tight = Vector128.Create((byte)0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255);

        // Four pixels at a time: 16 bytes are read and 16 written. The next iteration overwrites the last 4.
        for (; bytes * x + 16 <= row.Length && 3 * x + 16 <= rgb.Length; x += 4)
        {
            Vector128<byte> pixels = Vector128.Shuffle(Vector128.Create(row.Slice(bytes * x, 16)), rgb0);
            Vector128.Shuffle(pixels, tight).CopyTo(rgb.Slice(3 * x, 16));
        }

        (int r, int g, int b) = format switch
        {
            PixelFormat.Gray8 => (0, 0, 0),
            PixelFormat.Rgba32 => (0, 1, 2),
            _ => (2, 1, 0),
        };
        for (; x < width; x++)
        {
            ReadOnlySpan<byte> pixel = row.Slice(bytes * x, bytes);
            Span<byte> to = rgb.Slice(3 * x, 3);
            (to[0], to[1], to[2]) = (pixel[r], pixel[g], pixel[b]);
        }
    }

    private static void Gray16ToRgb(ReadOnlySpan<byte> row, Span<byte> rgb, int significantBits)
    {
        Span<byte> gray = stackalloc byte[Portion];
        while (row.Length > 0)
        {
            ReadOnlySpan<byte> samples = row[..Math.Min(row.Length, 2 * Portion)];
            Span<byte> levels = gray[..(samples.Length / 2)];
            DeepSamples.Narrow(samples, levels, significantBits);
            ToRgb(levels, rgb[..(3 * levels.Length)], PixelFormat.Gray8);
            row = row[samples.Length..];
            rgb = rgb[(3 * levels.Length)..];
        }
    }

    /// <summary>Converts a row to RGB.</summary>
    /// <param name="row">The 8-bit samples.</param>
    /// <param name="rgb">Receives three bytes per pixel. It must not overlap the row.</param>
    /// <param name="channels">The samples of a pixel: 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha).</param>
    public static void ToRgb(ReadOnlySpan<byte> row, Span<byte> rgb, int channels)
    {
        if (channels != 2)
        {
            ToRgb(row, rgb, channels switch
            {
                1 => PixelFormat.Gray8,
                3 => PixelFormat.Rgb24,
                _ => PixelFormat.Rgba32,
            });
            return;
        }

        for (int from = 0, to = 0; from < row.Length; from += 2, to += 3)
        {
            rgb.Slice(to, 3).Fill(row[from]);
        }
    }

    /// <summary>Converts a row of RGB to another format with colours. Alpha is set to 255.</summary>
    /// <param name="rgb">The pixels.</param>
    /// <param name="row">Receives the pixels in <paramref name="format"/>. It must not overlap the source.</param>
    /// <param name="format">The format of <paramref name="row"/>.</param>
    public static void FromRgb(ReadOnlySpan<byte> rgb, Span<byte> row, PixelFormat format)
    {
        int bytes = format.BytesPerPixel(), red = format is PixelFormat.Bgr24 or PixelFormat.Bgra32 ? 2 : 0;
        for (int from = 0, to = 0; from < rgb.Length; from += 3, to += bytes)
        {
            Span<byte> pixel = row.Slice(to, bytes);
            (pixel[red], pixel[1], pixel[2 - red]) = (rgb[from], rgb[from + 1], rgb[from + 2]);
            if (bytes == 4)
            {
                pixel[3] = byte.MaxValue;
            }
        }
    }
}
