using TinyZsad.Formats;

namespace TinyZsad.Cuda.Kernels;

/// <summary>Creates the launches of <c>image.ptx</c>. Matrices are floats or halves where they are not said to be bytes.</summary>
internal static class ImageKernel
{
    /// <summary>The most elements of which the largest are averaged.</summary>
    public const int MostElements = 1 << 24;

    /// <summary>Creates the launch of y = (x / 255 - mean) / std.</summary>
    /// <param name="x">Bytes, [pixels, 3], contiguous; the distance of pictures is in bytes.</param>
    /// <param name="mean">The means of the channels.</param>
    /// <param name="std">The standard deviations of the channels.</param>
    /// <param name="y">The result, [pixels, 3].</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Normalize(DeviceMatrix x, ReadOnlySpan<float> mean, ReadOnlySpan<float> std, DeviceMatrix y, int batch)
    {
        CheckPixels(x, x.Rows, nameof(x));
        KernelOperands.Check(y, x.Rows, 3, nameof(y));
        long elements = 3L * x.Rows;
        bool wide = y.Stride == 3 && KernelOperands.IsWide(y with { Columns = 4, Stride = 4 }) && elements % 4 == 0
            && x.Address % 4 == 0 && x.BatchStride % 4 == 0;
        int width = wide ? 4 : 1;
        return Create($"normalize_image_{width}", elements / width, batch,
            AddFactors(new KernelArguments().Add(y).Add(x).Add(x.Rows), mean, std).Add(KernelOperands.Flags(y)));
    }

    /// <summary>Creates the launch of patches with values in (channel, row, column) order.</summary>
    /// <param name="x">The picture, [height * width, 3].</param>
    /// <param name="height">The height of the picture.</param>
    /// <param name="width">The width of the picture.</param>
    /// <param name="patch">The height and width of a patch.</param>
    /// <param name="y">The patches, [height / patch * (width / patch), 3 patch²], rounded down.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch Patchify(DeviceMatrix x, int height, int width, int patch, DeviceMatrix y, int batch)
    {
        CheckPatches(height, width, patch, y);
        KernelOperands.Check(x, checked(height * width), 3, nameof(x));
        int unit = KernelOperands.IsWide(y) ? 4 : 1;
        return Create($"patchify_{unit}", (long)y.Rows * y.Columns / unit, batch,
            new KernelArguments().Add(y).Add(x).Add(width).Add(width / patch).Add(patch).Add(y.Rows).Add(y.Columns)
                .Add(KernelOperands.Flags(y, x)));
    }

    /// <summary>Creates the launch of <see cref="Normalize"/> and <see cref="Patchify"/> in one.</summary>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch NormalizePatchify(DeviceMatrix x, int height, int width, int patch, ReadOnlySpan<float> mean,
        ReadOnlySpan<float> std, DeviceMatrix y, int batch)
    {
        CheckPatches(height, width, patch, y);
        CheckPixels(x, checked(height * width), nameof(x));
        int unit = KernelOperands.IsWide(y) ? 4 : 1;
        return Create($"normalize_patchify_{unit}", (long)y.Rows * y.Columns / unit, batch,
            AddFactors(new KernelArguments().Add(y).Add(x).Add(width).Add(width / patch).Add(patch).Add(y.Rows).Add(y.Columns), mean, std)
                .Add(KernelOperands.Flags(y)));
    }

    /// <summary>Creates the launch that resamples one channel.</summary>
    /// <param name="x">The map, [height * width, 1] or any other shape with contiguous elements.</param>
    /// <param name="height">The height of x.</param>
    /// <param name="width">The width of x.</param>
    /// <param name="y">The result.</param>
    /// <param name="outHeight">The height of y.</param>
    /// <param name="outWidth">The width of y.</param>
    /// <param name="mode">The positions.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match, or positions do not fit 31 bits.</exception>
    public static Launch Bilinear(DeviceMatrix x, int height, int width, DeviceMatrix y, int outHeight, int outWidth, BilinearMode mode,
        int batch)
    {
        if (2L * (outHeight + 1L) * height > int.MaxValue || 2L * (outWidth + 1L) * width > int.MaxValue)
        {
            throw new ArgumentException($"A map of {height} x {width} cannot be resampled to {outHeight} x {outWidth}.", nameof(y));
        }

        x = Flat(x, (long)height * width, nameof(x));
        y = Flat(y, (long)outHeight * outWidth, nameof(y));
        return Create("bilinear", (long)outHeight * outWidth, batch,
            new KernelArguments().Add(y).Add(x).Add(height).Add(width).Add(outHeight).Add(outWidth)
                .Add(mode == BilinearMode.HalfPixel ? 1 : 0).Add(KernelOperands.Flags(y, x)));
    }

    /// <summary>Creates the launch that smooths along the columns of a map of one channel, with mirrored borders.</summary>
    /// <param name="x">The map.</param>
    /// <param name="height">Its height.</param>
    /// <param name="width">Its width.</param>
    /// <param name="weights">The address of radius + 1 floats, from the centre outward.</param>
    /// <param name="radius">The number of taps on either side of the centre.</param>
    /// <param name="y">The result, of the same shape. It must not overlap x.</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch GaussianVertical(DeviceMatrix x, int height, int width, ulong weights, int radius, DeviceMatrix y, int batch) =>
        Gaussian("gaussian_columns", x, height, width, weights, radius, y, batch);

    /// <summary>Creates the launch that smooths along the rows.</summary>
    /// <inheritdoc cref="GaussianVertical"/>
    public static Launch GaussianHorizontal(DeviceMatrix x, int height, int width, ulong weights, int radius, DeviceMatrix y, int batch) =>
        Gaussian("gaussian_rows", x, height, width, weights, radius, y, batch);

    /// <summary>Creates the launch that resizes the rows of RGB bytes.</summary>
    /// <param name="x">Bytes, [rows, 3 * the old width]; strides are in bytes.</param>
    /// <param name="taps">The input positions and weights of each output position.</param>
    /// <param name="y">Bytes, [rows, 3 * the new width].</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch ResizeHorizontal(DeviceMatrix x, ResizeTaps taps, DeviceMatrix y, int batch)
    {
        CheckBytes(x, x.Rows, nameof(x));
        CheckBytes(y, x.Rows, nameof(y));
        if (y.Columns != 3L * taps.Positions)
            throw new ArgumentException($"Rows of {y.Columns} bytes are not {taps.Positions} pixels.", nameof(y));
        return Create("resize_horizontal", (long)y.Rows * y.Columns, batch,
            new KernelArguments().Add(y).Add(x).Add(taps.First).Add(taps.Count).Add(taps.Weights).Add(taps.Most).Add(y.Rows)
                .Add(taps.Positions));
    }

    /// <summary>Creates the launch that resizes the columns of RGB bytes.</summary>
    /// <param name="x">Bytes, [old height, 3 * width]; strides are in bytes.</param>
    /// <param name="taps">The input positions and weights of each output position.</param>
    /// <param name="y">Bytes, [new height, 3 * width].</param>
    /// <param name="batch">The number of pictures.</param>
    /// <exception cref="ArgumentException">Shapes do not match.</exception>
    public static Launch ResizeVertical(DeviceMatrix x, ResizeTaps taps, DeviceMatrix y, int batch)
    {
        CheckBytes(x, x.Rows, nameof(x));
        CheckBytes(y, taps.Positions, nameof(y));
        if (x.Columns != y.Columns)
            throw new ArgumentException($"Rows of {x.Columns} bytes do not become rows of {y.Columns}.", nameof(y));
        bool wide = y.Columns % 4 == 0 && Wide(x) && Wide(y);
        int width = wide ? 4 : 1;
        return Create($"resize_vertical_{width}", (long)y.Rows * y.Columns / width, batch,
            new KernelArguments().Add(y).Add(x).Add(taps.First).Add(taps.Count).Add(taps.Weights).Add(taps.Most).Add(y.Rows)
                .Add(y.Columns));

        static bool Wide(DeviceMatrix m) => m.Address % 4 == 0 && m.Stride % 4 == 0 && m.BatchStride % 4 == 0;
    }

    /// <summary>Creates the launch of the mean of the k largest elements, NaN if any element is NaN.</summary>
    /// <exception cref="ArgumentException">Shapes do not match, there are too many elements, or fewer than k.</exception>
    public static Launch TopKMean(DeviceMatrix x, int k, DeviceMatrix y, int batch)
    {
        int count = checked(x.Rows * x.Columns);
        x = Flat(x, count, nameof(x));
        KernelOperands.Check(y, 1, 1, nameof(y));
        if (count > MostElements) throw new ArgumentException($"There are {count} elements, more than {MostElements}.", nameof(x));
        if (k < 1 || k > count) throw new ArgumentException($"The number of elements to average is {k}, not 1 to {count}.", nameof(k));
        return new Launch("image", "topk_mean", KernelOperands.Blocks(1, 1, batch), new Dim3(1024), 0,
            new KernelArguments().Add(y).Add(x).Add(count).Add(k).Add(KernelOperands.Flags(y, x)).ToMemory());
    }

    private static Launch Gaussian(string kernel, DeviceMatrix x, int height, int width, ulong weights, int radius, DeviceMatrix y,
        int batch)
    {
        if (radius < 0 || radius > 1 << 20) throw new ArgumentException($"The radius is {radius}.", nameof(radius));
        KernelOperands.Check(weights, nameof(weights));
        if (x.Address == y.Address) throw new ArgumentException("A map cannot be smoothed in place.", nameof(y));
        x = Flat(x, (long)height * width, nameof(x));
        y = Flat(y, (long)height * width, nameof(y));
        return Create(kernel, (long)height * width, batch,
            new KernelArguments().Add(y).Add(x).Add(weights).Add(radius).Add(height).Add(width).Add(KernelOperands.Flags(y, x)));
    }

    /// <summary>Treats a list of elements as a matrix of one column, so that its stride is their distance.</summary>
    private static DeviceMatrix Flat(DeviceMatrix list, long count, string name) =>
        list with { Stride = KernelOperands.Distance(list, count, name) };

    private static void CheckPatches(int height, int width, int patch, DeviceMatrix y)
    {
        if (patch < 1 || height < patch || width < patch)
            throw new ArgumentException($"{height} x {width} pixels have no patches of {patch} x {patch}.", nameof(patch));
        KernelOperands.Check(y, height / patch * (width / patch), 3 * patch * patch, nameof(y));
    }

    private static void CheckPixels(DeviceMatrix x, int pixels, string name)
    {
        if (x.Rows != pixels || x.Columns != 3 || x.Stride != 3 || pixels < 1 || pixels > int.MaxValue / 3)
            throw new ArgumentException($"'{name}' is [{x.Rows}, {x.Columns}], and {pixels} contiguous RGB pixels are needed.", name);
    }

    private static void CheckBytes(DeviceMatrix x, int rows, string name)
    {
        if (x.Rows != rows || rows < 1 || x.Columns < 3 || x.Columns % 3 != 0 || x.Stride < x.Columns)
            throw new ArgumentException($"'{name}' is [{x.Rows}, {x.Columns}], and {rows} rows of RGB pixels are needed.", name);
    }

    /// <summary>Adds the factor and the shift of each channel: (v / 255 - mean) / std = v factor + shift.</summary>
    private static KernelArguments AddFactors(KernelArguments arguments, ReadOnlySpan<float> mean, ReadOnlySpan<float> std)
    {
        if (mean.Length != 3 || std.Length != 3)
            throw new ArgumentException($"There are {mean.Length} means and {std.Length} standard deviations, not 3.", nameof(mean));
        foreach (float deviation in std) arguments.Add((float)(1 / (255.0 * deviation)));
        for (int c = 0; c < 3; c++) arguments.Add((float)(-(double)mean[c] / std[c]));
        return arguments;
    }

    private static Launch Create(string kernel, long units, int batch, KernelArguments arguments) =>
        new("image", kernel, KernelOperands.Grid(units, batch), new Dim3(KernelOperands.Threads), 0, arguments.ToMemory());
}

/// <summary>
/// Holds the addresses of an axis's taps: for each output position the first input position, the number of input positions (integers
/// of 32 bits), and their weights in fixed point with 22 fractional bits.
/// </summary>
/// <param name="Positions">The number of output positions.</param>
/// <param name="Most">The distance of the weights of output positions.</param>
/// <param name="First">The first input positions.</param>
/// <param name="Count">The numbers of input positions, at least 1 each.</param>
/// <param name="Weights">The weights, [positions, most].</param>
internal readonly record struct ResizeTaps(int Positions, int Most, ulong First, ulong Count, ulong Weights);
