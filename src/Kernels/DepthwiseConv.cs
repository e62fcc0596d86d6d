using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Computes a depthwise 3 x 3 convolution of a channels-last map with zero padding of one pixel: y[r, c, ch] = f(bias[ch] + Σ
/// w[v, u, ch] x[r s + v - 1, c s + u - 1, ch]).
/// </summary>
/// <remarks>
/// <para>x is [height, width, channels] and y is [ceil(height / s), ceil(width / s), channels], both contiguous, where s is the
/// stride; they do not overlap. w is [3, 3, channels], a transpose of PyTorch's [channels, 1, 3, 3], so that the vector lanes are
/// channels.</para>
/// <para>The nine weights of a vector of channels stay in registers along a row. Each of the three rows of the window has its own
/// sum, the bias is part of the first, and the three sums are added at the end: |error| ≤ 10 · 2^-24 Σ|w x| before the
/// activation.</para>
/// </remarks>
internal static unsafe class DepthwiseConv
{
    /// <summary>
    /// Computes the output rows from <paramref name="begin"/> up to, but not including, <paramref name="end"/>. y is the start of
    /// the whole result.
    /// </summary>
    public static void Execute<TActivation>(float* x, int height, int width, int channels, float* w, float* bias, int stride,
        float* y, int begin, int end, TActivation activation)
        where TActivation : struct, IActivation
    {
        int outWidth = Convolution.OutputSize(width, stride);
        nint row = (nint)width * channels;
        for (int r = begin; r < end; r++)
        {
            float* middle = x + r * stride * row;
            float* above = r == 0 ? null : middle - row;
            float* below = r * stride == height - 1 ? null : middle + row;
            Pixels(above, middle, below, width, channels, w, bias, stride, 0, outWidth, y + (nint)r * outWidth * channels,
                activation);
        }
    }

    /// <summary>
    /// Computes the output pixels of one row from <paramref name="begin"/> up to, but not including, <paramref name="end"/>. The
    /// three input rows may be anywhere in memory.
    /// </summary>
    /// <param name="above">
    /// The row above the middle one, [<paramref name="width"/>, <paramref name="channels"/>]; null outside the map.
    /// </param>
    /// <param name="middle">The input row at the center of the window.</param>
    /// <param name="below">The row below the middle one; null outside the map.</param>
    /// <param name="width">The number of pixels in an input row.</param>
    /// <param name="channels">The number of channels.</param>
    /// <param name="w">The weights, [3, 3, channels].</param>
    /// <param name="bias">The bias, [channels].</param>
    /// <param name="stride">The stride: 1 or 2.</param>
    /// <param name="begin">The first output pixel.</param>
    /// <param name="end">The output pixel after the last.</param>
    /// <param name="y">The output, [end - begin, channels].</param>
    /// <param name="activation">The activation f.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Pixels<TActivation>(float* above, float* middle, float* below, int width, int channels, float* w,
        float* bias, int stride, int begin, int end, float* y, TActivation activation)
        where TActivation : struct, IActivation =>
        Simd.Run(new Kernel<TActivation>(above, middle, below, width, channels, w, bias, stride, begin, end, y,
            activation));

    private readonly struct Kernel<TActivation>(float* above, float* middle, float* below, int width, int channels,
        float* w, float* bias, int stride, int begin, int end, float* y, TActivation activation) : IWideKernel
        where TActivation : struct, IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Pixels<TVec, TActivation>(above, middle, below, width, channels, w, bias, stride, begin, end, y, activation);
    }

    private static void Pixels<TVec, TActivation>(float* above, float* middle, float* below, int width, int channels, float* w,
        float* bias, int stride, int begin, int end, float* y, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        int c = 0;
        for (; c <= channels - TVec.Count; c += TVec.Count)
            Channels<TVec, TActivation>(above, middle, below, width, channels, w, bias, stride, begin, end, y, c, activation);
        for (; c < channels; c++)
            Channels<Lanes1, TActivation>(above, middle, below, width, channels, w, bias, stride, begin, end, y, c, activation);
    }

    /// <summary>Computes one vector of channels for some output pixels of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Channels<TVec, TActivation>(float* above, float* middle, float* below, int width, int channels, float* w,
        float* bias, int stride, int begin, int end, float* y, int channel, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        w += channel;
        TVec b = TVec.Load(bias + channel);
        TVec w0 = TVec.Load(w), w1 = TVec.Load(w + channels), w2 = TVec.Load(w + 2 * (nint)channels);
        TVec w3 = TVec.Load(w + 3 * (nint)channels), w4 = TVec.Load(w + 4 * (nint)channels),
            w5 = TVec.Load(w + 5 * (nint)channels);
        TVec w6 = TVec.Load(w + 6 * (nint)channels), w7 = TVec.Load(w + 7 * (nint)channels),
            w8 = TVec.Load(w + 8 * (nint)channels);

        // For a row outside the map, the weights are zero and the middle row is read instead.
        if (above == null)
        {
            w0 = w1 = w2 = TVec.Zero;
            above = middle;
        }
        if (below == null)
        {
            w6 = w7 = w8 = TVec.Zero;
            below = middle;
        }
        nint ch = channels, step = (nint)stride * channels, from = begin * step + channel;
        float* x0 = above + from;
        float* x1 = middle + from;
        float* x2 = below + from;
        y += channel;

        for (int c = begin; c < end; c++, y += ch)
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
            activation.Invoke(s0 + s1 + s2).Store(y);
            x0 += step;
            x1 += step;
            x2 += step;
        }
    }

    /// <summary>Computes the reference result from the definition in double precision.</summary>
    public static void Scalar<TActivation>(
        float* x, int height, int width, int channels, float* w, float* bias, int stride, float* y, TActivation activation)
        where TActivation : struct, IActivation
    {
        for (int r = 0; r < Convolution.OutputSize(height, stride); r++)
        {
            for (int c = 0; c < Convolution.OutputSize(width, stride); c++)
            {
                for (int ch = 0; ch < channels; ch++)
                {
                    double sum = bias[ch];
                    for (int v = 0; v < 3; v++)
                    {
                        for (int u = 0; u < 3; u++)
                        {
                            int row = r * stride + v - 1, column = c * stride + u - 1;
                            if (row >= 0 && row < height && column >= 0 && column < width)
                                sum += (double)w[(v * 3 + u) * channels + ch] * x[((nint)row * width + column) * channels + ch];
                        }
                    }

                    *y++ = (float)activation.Scalar(sum);
                }
            }
        }
    }
}
