namespace TinyZsad.Kernels;

/// <summary>
/// Normalizes image pixels: y[i, c] = (x[i, c] / 255 - mean[c]) / std[c], from bytes to floats, channels last. A table holds the
/// formula for all 256 byte values, evaluated in double precision, so every result is the exact value rounded once.
/// </summary>
internal static unsafe class NormalizeImage
{
    /// <summary>The length of the table in floats: 256 for each of the 3 channels.</summary>
    public const int TableLength = 3 * 256;

    /// <summary>Fills <paramref name="table"/> ([3, 256]) for the given means and standard deviations (3 each).</summary>
    public static void FillTable(ReadOnlySpan<double> mean, ReadOnlySpan<double> std, Span<float> table)
    {
        for (int c = 0; c < 3; c++)
        {
            for (int v = 0; v < 256; v++)
                table[256 * c + v] = (float)((v / 255.0 - mean[c]) / std[c]);
        }
    }

    /// <summary>Normalizes <paramref name="pixels"/> pixels. x and y are [pixels, 3], contiguous, and do not overlap.</summary>
    public static void Execute(byte* x, float* table, float* y, nint pixels)
    {
        for (nint i = 0; i < pixels; i++, x += 3, y += 3)
        {
            y[0] = table[x[0]];
            y[1] = table[256 + x[1]];
            y[2] = table[512 + x[2]];
        }
    }

    /// <summary>Computes the reference result from the definition, without a table.</summary>
    public static void Scalar(byte* x, ReadOnlySpan<double> mean, ReadOnlySpan<double> std, float* y, nint pixels)
    {
        for (nint i = 0; i < pixels; i++)
        {
            for (int c = 0; c < 3; c++)
                y[3 * i + c] = (float)((x[3 * i + c] / 255.0 - mean[c]) / std[c]);
        }
    }
}
