namespace TinyZsad.Kernels;

/// <summary>
/// y[gy * gridWidth + gx, (c * P + v) * P + u] = x[gy * P + v, gx * P + u, c]: cuts a picture into patches, each a row in
/// (channel, row, column) order, so that a patch embedding's convolution becomes a matrix product with its weights as stored.
/// </summary>
/// <remarks>
/// x is [height, width, 3] without gaps, y [gridHeight * gridWidth, 3 P P] with a stride in floats; they do not overlap.
/// gridWidth = width / P, rounded down: pixels right of and below the last whole patch are never read. A copy, so exact.
/// </remarks>
internal static unsafe class Patchify
{
    /// <summary>Cuts the patch rows from <paramref name="begin"/> to before <paramref name="end"/>; y is all patches.</summary>
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

    /// <summary>The definition.</summary>
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
