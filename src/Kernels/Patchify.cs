namespace TinyZsad.Kernels;

/// <summary>
/// Divides an image into patches: y[gy * gridWidth + gx, (c * P + v) * P + u] = x[gy * P + v, gx * P + u, c]. Each patch becomes
/// a row in (channel, row, column) order, so that the convolution of a patch embedding is a matrix product with the weights as
/// stored.
/// </summary>
/// <remarks>
/// x is [height, width, 3], contiguous. y is [gridHeight * gridWidth, 3 P P] with a stride in floats. They do not overlap.
/// gridWidth = width / P, rounded down: pixels to the right of and below the last whole patch are not read. The copy is exact.
/// </remarks>
internal static unsafe class Patchify
{
    /// <summary>
    /// Copies the patch rows from <paramref name="begin"/> up to, but not including, <paramref name="end"/>. y is the start of
    /// all patches.
    /// </summary>
    public static void Execute(float* x, nint width, nint patch, float* y, nint yStride, nint begin, nint end)
    {
        nint gridWidth = width / patch, plane = patch * patch;
        for (nint gy = begin; gy < end; gy++)
        {
            for (nint v = 0; v < patch; v++)
            {
                float* from = x + (gy * patch + v) * width * 3;
                float* to = y + gy * gridWidth * yStride + v * patch;
                for (nint gx = 0; gx < gridWidth; gx++, to += yStride)
                {
                    for (nint u = 0; u < patch; u++, from += 3)
                    {
                        to[u] = from[0];
                        to[plane + u] = from[1];
                        to[2 * plane + u] = from[2];
                    }
                }
            }
        }
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint width, nint patch, float* y, nint yStride, nint begin, nint end)
    {
        nint gridWidth = width / patch;
        for (nint gy = begin; gy < end; gy++)
        {
            for (nint gx = 0; gx < gridWidth; gx++)
            {
                for (nint c = 0; c < 3; c++)
                {
                    for (nint v = 0; v < patch; v++)
                    {
                        for (nint u = 0; u < patch; u++)
                        {
                            y[(gy * gridWidth + gx) * yStride + (c * patch + v) * patch + u] =
                                x[((gy * patch + v) * width + gx * patch + u) * 3 + c];
                        }
                    }
                }
            }
        }
    }
}
