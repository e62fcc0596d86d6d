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
/// <para>Pixels are computed in pairs, and both use a weight while it is in a register. The channels of a pair are computed in order,
/// so that x, w and y are read and written consecutively. Each of the three rows of the window has its own sum, the bias is part of the
/// first, and the three sums are added at the end: |error| ≤ 10 · 2^-24 Σ|w x| before the activation.</para>
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pixels<TVec, TActivation>(float* above, float* middle, float* below, int width, int channels, float* w,
        float* bias, int stride, int begin, int end, float* y, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        nint step = (nint)stride * channels;
        for (int c = begin; c < end; c++, y += channels)
        {
            int column = c * stride;
            nint at = c * step;
            Window window = new(Moved(above, at), middle + at, Moved(below, at), w, bias, channels);
            if (c + 1 < end && column > 0 && column + stride < width - 1)
            {
                Pair<TVec, TActivation>(window, step, y, activation);
                c++;
                y += channels;
            }
            else
            {
                Single<TVec, TActivation>(window, column > 0, column < width - 1, y, activation);
            }
        }
    }

    private static float* Moved(float* row, nint by) => row == null ? null : row + by;

    /// <summary>The operands of one output pixel.</summary>
    /// <param name="above">The pixel above the middle one; null outside the map.</param>
    /// <param name="middle">The pixel at the center of the window.</param>
    /// <param name="below">The pixel below the middle one; null outside the map.</param>
    /// <param name="w">The weights, [3, 3, channels].</param>
    /// <param name="bias">The bias, [channels].</param>
    /// <param name="channels">The number of channels.</param>
    private readonly struct Window(float* above, float* middle, float* below, float* w, float* bias, int channels)
    {
        public readonly float* Above = above, Middle = middle, Below = below, W = w, Bias = bias;
        public readonly nint Channels = channels;
    }

    /// <summary>Computes one pixel, with or without the columns to its left and right.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Single<TVec, TActivation>(in Window window, bool left, bool right, float* y, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        nint channels = window.Channels, c = 0;
        for (; c <= channels - TVec.Count; c += TVec.Count) Single<TVec, TActivation>(window, c, left, right, y, activation);
        for (; c < channels; c++) Single<Lanes1, TActivation>(window, c, left, right, y, activation);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Single<TVec, TActivation>(in Window a, nint c, bool left, bool right, float* y, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        nint ch = a.Channels;
        TVec s0 = TVec.Load(a.Bias + c), s1 = TVec.Zero, s2 = TVec.Zero;
        if (a.Above != null) AddRow(a.Above + c, a.W + c, ch, left, right, ref s0);
        AddRow(a.Middle + c, a.W + 3 * ch + c, ch, left, right, ref s1);
        if (a.Below != null) AddRow(a.Below + c, a.W + 6 * ch + c, ch, left, right, ref s2);
        activation.Invoke(s0 + s1 + s2).Store(y + c);
    }

    /// <summary>Computes two adjacent pixels that have a column to their left and right.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pair<TVec, TActivation>(in Window window, nint step, float* y, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        nint channels = window.Channels, c = 0;
        for (; c <= channels - TVec.Count; c += TVec.Count) Pair<TVec, TActivation>(window, c, step, y, activation);
        for (; c < channels; c++) Pair<Lanes1, TActivation>(window, c, step, y, activation);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Pair<TVec, TActivation>(in Window a, nint c, nint step, float* y, TActivation activation)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        nint ch = a.Channels;
        TVec s0 = TVec.Load(a.Bias + c), s1 = TVec.Zero, s2 = TVec.Zero;
        TVec t0 = s0, t1 = TVec.Zero, t2 = TVec.Zero;
        if (a.Above != null) AddRows(a.Above + c, step, a.W + c, ch, ref s0, ref t0);
        AddRows(a.Middle + c, step, a.W + 3 * ch + c, ch, ref s1, ref t1);
        if (a.Below != null) AddRows(a.Below + c, step, a.W + 6 * ch + c, ch, ref s2, ref t2);
        activation.Invoke(s0 + s1 + s2).Store(y + c);
        activation.Invoke(t0 + t1 + t2).Store(y + ch + c);
    }

    /// <summary>Adds one row of a window.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRow<TVec>(float* x, float* w, nint ch, bool left, bool right, ref TVec sum)
        where TVec : unmanaged, IVector<TVec>
    {
        sum.AddProduct(TVec.Load(w + ch), TVec.Load(x));
        if (left) sum.AddProduct(TVec.Load(w), TVec.Load(x - ch));
        if (right) sum.AddProduct(TVec.Load(w + 2 * ch), TVec.Load(x + ch));
    }

    /// <summary>Adds one row of two windows. The second one is <paramref name="step"/> floats to the right.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRows<TVec>(float* x, nint step, float* w, nint ch, ref TVec s, ref TVec t)
        where TVec : unmanaged, IVector<TVec>
    {
        TVec weight = TVec.Load(w + ch);
        s.AddProduct(weight, TVec.Load(x));
        t.AddProduct(weight, TVec.Load(x + step));
        weight = TVec.Load(w);
        s.AddProduct(weight, TVec.Load(x - ch));
        t.AddProduct(weight, TVec.Load(x + step - ch));
        weight = TVec.Load(w + 2 * ch);
        s.AddProduct(weight, TVec.Load(x + ch));
        t.AddProduct(weight, TVec.Load(x + step + ch));
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
