using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Computes a dense 3 x 3 convolution of a channels-last map with zero padding of one pixel: y[r, c, n] = f(bias[n] + Σ w[v, u,
/// ch, n] x[r s + v - 1, c s + u - 1, ch]).
/// </summary>
/// <remarks>
/// <para>x is [height, width, channels] and y is [ceil(height / s), ceil(width / s), n], both contiguous, where s is the stride;
/// they do not overlap. w is [3, 3, channels, n], a transpose of PyTorch's [n, channels, 3, 3].</para>
/// <para>The convolution is a matrix product by <see cref="Tile"/>. The rows of the left operand are gathered one tile at a time
/// (three copies of three adjacent pixels each) and used for all panels while they are in the L1 cache, so the unrolled map
/// (im2col) is never stored as a whole. |error| ≤ (9 channels + 1) 2^-24 Σ|w x| before the activation.</para>
/// </remarks>
internal static unsafe class Conv
{
    /// <summary>Computes the number of scratch floats that a call of <see cref="Execute"/> needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(int channels, int outputs) =>
        Tile.Rows * (9 * (nint)channels + Tile.Columns)
            + (outputs + Tile.Columns - 1) / Tile.Columns * 9 * (nint)channels * Tile.Columns;

    /// <summary>
    /// Computes the output rows from <paramref name="begin"/> up to, but not including, <paramref name="end"/>. y is the start of
    /// the whole result.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Execute<TActivation>(
        float* x, int height, int width, int channels, float* w, float* bias, int outputs, int stride, float* y,
        int begin, int end, TActivation activation, float* scratch) where TActivation : struct, IActivation
    {
        int k = 9 * channels, outWidth = Convolution.OutputSize(width, stride);
        MatMulArgs args = new() { N = outputs, K = k, Bias = bias, Y = y, LdY = outputs };
        float* tile = scratch;
        float* pixels = tile + Tile.Rows * Tile.Columns;
        float* panels = pixels + Tile.Rows * k;
        for (int first = 0; first < outputs; first += Tile.Columns)
            Panel.Expand(w, FloatType.F32, WeightLayout.InOut, outputs, k, first, panels + (nint)first * k);

        int at = begin * outWidth, stop = end * outWidth, row = begin, column = 0;
        for (; at < stop; at += Tile.Rows)
        {
            int rows = Math.Min(stop - at, Tile.Rows);
            for (int i = 0; i < rows; i++)
            {
                Gather(x, height, width, channels, row * stride, column * stride, pixels + i * k);
                if (++column < outWidth) continue;
                column = 0;
                row++;
            }
            if (rows < Tile.Rows) new Span<float>(pixels + rows * k, (Tile.Rows - rows) * k).Clear();
            Ahead ahead = new() { LdResult = outputs };
            for (int first = 0; first < outputs; first += Tile.Columns)
            {
                ahead.Result = y + (nint)at * outputs + first;
                Tile.Execute(pixels, k, panels + (nint)first * k, k, tile, Tile.Columns, &ahead);
                MatMul.Finish(args, activation, tile, at, rows, first, Math.Min(outputs - first, Tile.Columns));
            }
        }
    }

    /// <summary>Copies the 3 x 3 pixels around one pixel, with zeros outside the map.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Gather(float* x, int height, int width, int channels, int row, int column, float* to)
    {
        int three = 3 * channels;
        if (row > 0 && row < height - 1 && column > 0 && column < width - 1)
        {
            float* from = x + ((nint)(row - 1) * width + column - 1) * channels;
            for (int v = 0; v < 3; v++, from += (nint)width * channels, to += three)
            {
                // The first convolution copies only nine floats per row, too few for the library's copy to be efficient.
                int i = 0;
                for (; i <= three - 8; i += 8) Vector256.Load(from + i).Store(to + i);
                for (; i < three; i++) to[i] = from[i];
            }
            return;
        }
        int left = Math.Max(column - 1, 0), right = Math.Min(column + 2, width);
        int skipped = (left - (column - 1)) * channels, copied = (right - left) * channels;
        for (int v = row - 1; v <= row + 1; v++, to += three)
        {
            Span<float> pixels = new(to, three);
            pixels.Clear();
            if (v < 0 || v >= height) continue;
            new ReadOnlySpan<float>(x + ((nint)v * width + left) * channels, copied).CopyTo(pixels[skipped..]);
        }
    }

    /// <summary>Computes the reference result from the definition in double precision.</summary>
    public static void Scalar<TActivation>(float* x, int height, int width, int channels, float* w, float* bias, int outputs,
        int stride, float* y, TActivation activation)
        where TActivation : struct, IActivation
    {
        for (int r = 0; r < Convolution.OutputSize(height, stride); r++)
        {
            for (int c = 0; c < Convolution.OutputSize(width, stride); c++)
            {
                for (int n = 0; n < outputs; n++)
                {
                    double sum = bias[n];
                    for (int v = 0; v < 3; v++)
                    {
                        for (int u = 0; u < 3; u++)
                        {
                            int row = r * stride + v - 1, column = c * stride + u - 1;
                            if (row < 0 || row >= height || column < 0 || column >= width) continue;
                            for (int ch = 0; ch < channels; ch++)
                            {
                                sum += (double)w[((v * 3 + u) * channels + ch) * outputs + n]
                                    * x[((nint)row * width + column) * channels + ch];
                            }
                        }
                    }

                    *y++ = (float)activation.Scalar(sum);
                }
            }
        }
    }
}
