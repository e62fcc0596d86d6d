using TinyZsad.Formats;
using TinyZsad.Kernels;

namespace TinyZsad.Models;

/// <summary>Brings a map to another size: bilinear, pixel centres at halves, edges clamped.</summary>
public static class MapResizer
{
    /// <summary>Resizes [height, width] to [outHeight, outWidth]; all sizes at least 1.</summary>
    public static unsafe float[] Resize(ReadOnlySpan<float> map, int width, int height, int outWidth, int outHeight)
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
