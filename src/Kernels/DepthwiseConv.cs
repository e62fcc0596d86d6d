using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Depthwise 3 x 3 convolution of a channels-last map with one pixel of zeros around it:
/// y[r, c, ch] = f(bias[ch] + Σ w[v, u, ch] x[r s + v - 1, c s + u - 1, ch]).
/// </summary>
/// <remarks>
/// <para>x is [height, width, channels] and y [ceil(height / s), ceil(width / s), channels] without gaps, s the stride; they do
/// not overlap. w is [3, 3, channels]: PyTorch's [channels, 1, 3, 3] turned, so that lanes are channels.</para>
/// <para>The nine weights of a vector of channels stay in registers along a row. Sums run in the order of w after the bias:
/// |error| ≤ 10 · 2^-24 Σ|w x| before the activation.</para>
/// </remarks>
public static unsafe class DepthwiseConv
{
    /// <summary>Output pixels of a side.</summary>
    public static int OutputSize(int size, int stride) => (size + stride - 1) / stride;

    /// <summary>
    /// Computes output rows from <paramref name="begin"/> to before <paramref name="end"/>; y is the whole result's start.
    /// </summary>
    public static void Execute<TActivation>(float* x, int height, int width, int channels, float* w, float* bias, int stride,
        float* y, int begin, int end, TActivation activation)
        where TActivation : struct, IActivation
    {
        if (Simd.Lanes == 16)
            Execute<Lanes16, TActivation>(x, height, width, channels, w, bias, stride, y, begin, end, activation);
        else if (Simd.Lanes == 8)
            Execute<Lanes8, TActivation>(x, height, width, channels, w, bias, stride, y, begin, end, activation);
        else if (Simd.Lanes == 4)
            Execute<Lanes4, TActivation>(x, height, width, channels, w, bias, stride, y, begin, end, activation);
        else Execute<Lanes1, TActivation>(x, height, width, channels, w, bias, stride, y, begin, end, activation);
    }

    private static void Execute<TVec, TActivation>(float* x, int height, int width, int channels, float* w, float* bias,
        int stride, float* y, int begin, int end, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        int outWidth = OutputSize(width, stride);
        for (int r = begin; r < end; r++)
        {
            float* row = y + (nint)r * outWidth * channels;
            int c = 0;
            for (; c <= channels - TVec.Count; c += TVec.Count)
                Row<TVec, TActivation>(x, height, width, channels, w, bias, stride, row, r, c, activation);
            for (; c < channels; c++)
                Row<Lanes1, TActivation>(x, height, width, channels, w, bias, stride, row, r, c, activation);
        }
    }

    /// <summary>A vector of channels along one output row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row<TVec, TActivation>(float* x, int height, int width, int channels, float* w, float* bias, int stride,
        float* y, int row, int channel, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        w += channel;
        TVec b = TVec.Load(bias + channel);
        TVec w0 = TVec.Load(w), w1 = TVec.Load(w + channels), w2 = TVec.Load(w + 2 * (nint)channels);
        TVec w3 = TVec.Load(w + 3 * (nint)channels), w4 = TVec.Load(w + 4 * (nint)channels),
            w5 = TVec.Load(w + 5 * (nint)channels);
        TVec w6 = TVec.Load(w + 6 * (nint)channels), w7 = TVec.Load(w + 7 * (nint)channels),
            w8 = TVec.Load(w + 8 * (nint)channels);

        // A row outside the map: its weights become zero, and another row is read in its place.
        int middle = row * stride, above = middle - 1, below = middle + 1;
        if (above < 0)
        {
            w0 = w1 = w2 = TVec.Zero;
            above = middle;
        }
        if (below >= height)
        {
            w6 = w7 = w8 = TVec.Zero;
            below = middle;
        }
        float* x0 = x + (nint)above * width * channels + channel;
        float* x1 = x + (nint)middle * width * channels + channel;
        float* x2 = x + (nint)below * width * channels + channel;
        float* to = y + channel;
        nint ch = channels, step = (nint)stride * channels;
        int outWidth = OutputSize(width, stride);

        for (int c = 0; c < outWidth; c++, to += ch)
        {
            int column = c * stride;
            TVec s0 = TVec.MultiplyAdd(w1, TVec.Load(x0), b), s1 = w4 * TVec.Load(x1), s2 = w7 * TVec.Load(x2);
            if (column > 0)
            {
                s0 = TVec.MultiplyAdd(w0, TVec.Load(x0 - ch), s0);
                s1 = TVec.MultiplyAdd(w3, TVec.Load(x1 - ch), s1);
                s2 = TVec.MultiplyAdd(w6, TVec.Load(x2 - ch), s2);
            }
            if (column < width - 1)
            {
                s0 = TVec.MultiplyAdd(w2, TVec.Load(x0 + ch), s0);
                s1 = TVec.MultiplyAdd(w5, TVec.Load(x1 + ch), s1);
                s2 = TVec.MultiplyAdd(w8, TVec.Load(x2 + ch), s2);
            }
            activation.Invoke(s0 + s1 + s2).Store(to);
            x0 += step;
            x1 += step;
            x2 += step;
        }
    }

    /// <summary>The definition, in double precision.</summary>
    public static void Scalar<TActivation>(
        float* x, int height, int width, int channels, float* w, float* bias, int stride, float* y, TActivation activation)
        where TActivation : struct, IActivation
    {
        for (int r = 0; r < OutputSize(height, stride); r++)
            for (int c = 0; c < OutputSize(width, stride); c++)
                for (int ch = 0; ch < channels; ch++)
                {
                    double sum = bias[ch];
                    for (int v = 0; v < 3; v++)
                        for (int u = 0; u < 3; u++)
                        {
                            int row = r * stride + v - 1, column = c * stride + u - 1;
                            if (row >= 0 && row < height && column >= 0 && column < width)
                                sum += (double)w[(v * 3 + u) * channels + ch] * x[((nint)row * width + column) * channels + ch];
                        }
                    *y++ = (float)activation.Scalar(sum);
                }
    }
}
