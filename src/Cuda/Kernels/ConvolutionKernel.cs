using TinyZsad.Formats;

namespace TinyZsad.Cuda.Kernels;

/// <summary>Creates the launches of <c>convolution.ptx</c>: 3 x 3 convolutions of maps with one pixel a row.</summary>
internal static class ConvolutionKernel
{
    /// <summary>Creates the launch that lays the nine pixels around each pixel side by side, in (row, column, channel) order.</summary>
    /// <param name="x">The map, [height * width, channels], floats or halves.</param>
    /// <param name="height">The height of x.</param>
    /// <param name="width">The width of x.</param>
    /// <param name="stride">The stride: 1 or 2.</param>
    /// <param name="y">
    /// The result, with a row for each output pixel and at least 9 channels columns. Further columns become zero.
    /// </param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Im2Col(DeviceMatrix x, int height, int width, int stride, DeviceMatrix y, int batch)
    {
        (int outHeight, int outWidth) = CheckMap(x, height, width, stride);
        int channels = x.Columns;
        KernelOperands.Check(y, outHeight * outWidth, Math.Max(y.Columns, 9 * channels), nameof(y));
        int unit = KernelOperands.IsWide(y, x) ? 4 : 1;
        return Create($"im2col_{unit}", (long)y.Rows * y.Columns / unit, batch,
            new KernelArguments().Add(y).Add(x).Add(height).Add(width).Add(outWidth).Add(stride).Add(channels).Add(y.Rows).Add(y.Columns)
                .Add(KernelOperands.Flags(y, x)));
    }

    /// <summary>Creates the launch of a depthwise convolution and its activation.</summary>
    /// <param name="x">The map, [height * width, channels], floats or halves.</param>
    /// <param name="height">The height of x.</param>
    /// <param name="width">The width of x.</param>
    /// <param name="stride">The stride: 1 or 2.</param>
    /// <param name="weights">The address of floats, [3, 3, channels].</param>
    /// <param name="bias">The address of floats, [channels].</param>
    /// <param name="activation">The activation.</param>
    /// <param name="y">The result, with a row for each output pixel, floats or halves.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Depthwise(DeviceMatrix x, int height, int width, int stride, ulong weights, ulong bias,
        ActivationFunction activation, DeviceMatrix y, int batch)
    {
        (int outHeight, int outWidth) = CheckMap(x, height, width, stride);
        int channels = x.Columns;
        KernelOperands.Check(y, outHeight * outWidth, channels, nameof(y));
        KernelOperands.Check(weights, nameof(weights));
        KernelOperands.Check(bias, nameof(bias));
        int unit = KernelOperands.IsWide(y, x) && KernelOperands.IsWide(weights) && KernelOperands.IsWide(bias) ? 4 : 1;
        string kernel = $"depthwise_{stride}_{unit}_{(x.Half ? "h" : "f")}";
        return Create(kernel, (long)outHeight * ((outWidth + 1) / 2) * (channels / unit), batch,
            new KernelArguments().Add(y).Add(x).Add(weights).Add(bias).Add(height).Add(width).Add(outHeight).Add(outWidth).Add(channels)
                .Add((int)activation.Kind).Add(activation.Slope).Add(KernelOperands.Flags(y, x)));
    }

    private static (int Height, int Width) CheckMap(DeviceMatrix x, int height, int width, int stride)
    {
        if (height < 1 || width < 1) throw new ArgumentException($"A map of {height} x {width} is empty.", nameof(height));
        if (stride is not (1 or 2)) throw new ArgumentException($"The stride is {stride}, not 1 or 2.", nameof(stride));
        KernelOperands.Check(x, checked(height * width), x.Columns, nameof(x));
        return ((height - 1) / stride + 1, (width - 1) / stride + 1);
    }

    private static Launch Create(string kernel, long units, int batch, KernelArguments arguments) =>
        new("convolution", kernel, KernelOperands.Grid(units, batch), new Dim3(KernelOperands.Threads), 0, arguments.ToMemory());
}
