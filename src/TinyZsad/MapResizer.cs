using TinyZsad.Formats;
using TinyZsad.Kernels;
using TinyZsad.Models;

namespace TinyZsad;

/// <summary>Brings a map to another size: bilinear, pixel centres at halves, edges clamped.</summary>
internal static unsafe class MapResizer
{
    /// <summary>The map of a detection at a picture's size; from its logits where it has some, squashed after the resize.</summary>
    public static float[] Enlarge(Detection detection, int imageSize, int width, int height)
    {
        if (detection.Logits is not { } logits) return Resize(detection.Map, imageSize, imageSize, width, height);
        float[] map = Resize(logits.Values, logits.Side, logits.Side, width, height);
        fixed (float* p = map) Activate.Execute(p, p, map.Length, default(Sigmoid));
        return map;
    }

    /// <summary>Resizes [height, width] to [outHeight, outWidth]; all sizes at least 1.</summary>
    public static float[] Resize(ReadOnlySpan<float> map, int width, int height, int outWidth, int outHeight)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outWidth, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(outHeight, 1);
        float[] resized = new float[checked(outWidth * outHeight)], scratch = new float[Bilinear.ScratchLength(outWidth)],
            weight = new float[outWidth];
        int[] column = new int[outWidth];
        fixed (float* x = map, y = resized, s = scratch, w = weight)
        fixed (int* c = column)
        {
            Bilinear.FillColumns(width, outWidth, BilinearMode.HalfPixel, c, w);
            Bilinear.Execute(
                x, width, height, width, c, w, y, outWidth, outHeight, outWidth, BilinearMode.HalfPixel, 0, outHeight, s);
        }
        return resized;
    }
}
