using TinyZsad.Formats;
using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>Lists the cases of convolutions and pooling of channels-last maps.</summary>
internal static unsafe class MapCases
{
    public static IEnumerable<KernelCase> All =>
    [
        .. from channels in KernelCases.Lengths where channels > 0 from stride in (int[])[1, 2]
            select Depthwise<Identity>(5, 4, channels, stride, default),
        .. from height in Enumerable.Range(1, 5) from width in Enumerable.Range(1, 9) from stride in (int[])[1, 2]
            select Depthwise<Gelu>(height, width, 17, stride, default),
        Depthwise<Gelu>(128, 128, 384, 1, default), Depthwise<Gelu>(128, 128, 192, 2, default),
        Depthwise<Identity>(64, 64, 192, 1, default) with { Typical = true },
        .. from outputs in KernelCases.Lengths where outputs > 0 select Dense<Identity>(5, 6, 3, outputs, 2, default),
        .. from channels in Enumerable.Range(1, 20) from stride in (int[])[1, 2]
            select Dense<Gelu>(4, 7, channels, 20, stride, default),
        .. from height in Enumerable.Range(1, 5) from width in Enumerable.Range(1, 9) from stride in (int[])[1, 2]
            select Dense<Identity>(height, width, 3, 18, stride, default),
        Dense<Identity>(256, 256, 48, 96, 2, default), Dense<Gelu>(512, 512, 3, 48, 2, default),
        .. from height in Enumerable.Range(1, 5) from width in (int[])[12, 13, 25] from stride in (int[])[1,
            2] from residual in (bool[])[false, true]
            where !residual || stride == 1
            select Inverted<Gelu>(height, width, 7, 21, residual ? 7 : 33, stride, residual),
        .. from channels in (int[])[1, 15, 16, 17, 48] select Inverted<LeakyRelu>(20, 9, channels, 4 * channels, channels + 1, 2,
            false),
        .. from stride in (int[])[1, 2] from threads in (int[])[1, 2, 5]
            select Inverted<Gelu>(47, 13, 7, 21, 7, stride, false, threads),
        .. from stride in (int[])[1, 2] from threads in (int[])[2, 5] select AnyThreads(47, 13, 7, 21, 40, stride, threads),
        // Several panels of both layers, whose results are prefetched.
        .. from bits in (int[])[24, 11, 8] select Inverted<Gelu>(9, 30, 7, 70, 70, 1, false, bits: bits),
        Inverted<Gelu>(128, 128, 96, 384, 96, 1, true), Inverted<Gelu>(128, 128, 96, 192, 192, 2, false),
        .. from cols in KernelCases.Lengths select Pool(19, cols),
        .. from rows in Enumerable.Range(1, 40) select Pool(rows, 18),
        Pool(256, 576),
        .. from count in Enumerable.Range(1, 5) from n in KernelCases.Lengths select Average(count, n), Average(4, 518 * 518),
        .. from cols in KernelCases.Lengths from inPlace in (bool[])[false, true] select Factors(3, cols, inPlace),
        Factors(1029, 384, false),
    ];

    private static KernelCase Depthwise<TActivation>(int height, int width, int channels, int stride, TActivation f)
        where TActivation : struct, IActivation =>
        new($"DepthwiseConv {typeof(TActivation).Name}", $"{height} x {width} x {channels} stride {stride}", workspace =>
        {
            int rows = Convolution.OutputSize(height, stride), n = rows * Convolution.OutputSize(width, stride) * channels;
            float* x = workspace.Normal(height * width * channels), w = workspace.Normal(9 * channels),
                bias = workspace.Normal(channels);
            float* mine = workspace.Output(n), definition = workspace.Output(n);
            return new(
                () =>
                {
                    // In two parts, as two threads would do it.
                    DepthwiseConv.Execute(x, height, width, channels, w, bias, stride, mine, 0, rows / 2, f);
                    DepthwiseConv.Execute(x, height, width, channels, w, bias, stride, mine, rows / 2, rows, f);
                },
                () => DepthwiseConv.Scalar(x, height, width, channels, w, bias, stride, definition, f),
                () => Difference.Between(mine, definition, n, _ => 20));
        })
        {
            Tolerance = 1.2 * 16 * E,
            RmsTolerance = E,
            Because =
                "10 roundings and the activation's, in units of the largest sum of nine products (20); an activation's slope " +
                "is below 1.2",
            Flops = 18.0 * Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride) * channels,
            Bytes = 4.0 * channels
                * (height * width + Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride)),
            Typical = height > 100,
        };

    private static KernelCase Dense<TActivation>(int height, int width, int channels, int outputs, int stride, TActivation f)
        where TActivation : struct, IActivation =>
        new($"Conv {typeof(TActivation).Name}", $"{height} x {width} x {channels} to {outputs} stride {stride}", workspace =>
        {
            int rows = Convolution.OutputSize(height, stride), n = rows * Convolution.OutputSize(width, stride) * outputs;
            float* x = workspace.Normal(height * width * channels), w = workspace.Normal(9 * channels * outputs),
                bias = workspace.Normal(outputs);
            float* mine = workspace.Output(n), definition = workspace.Output(n),
                scratch = workspace.Block<float>(Conv.ScratchFloats(channels, outputs));
            return new(
                () =>
                {
                    Conv.Execute(x, height, width, channels, w, bias, outputs, stride, mine, 0, rows / 2, f, scratch);
                    Conv.Execute(x, height, width, channels, w, bias, outputs, stride, mine, rows / 2, rows, f, scratch);
                },
                () => Conv.Scalar(x, height, width, channels, w, bias, outputs, stride, definition, f),
                () => Difference.Between(mine, definition, n, _ => 9.0 * channels * 2 / Math.PI + 8));
        })
        {
            Tolerance = 1.2 * (9 * channels + 8) * E,
            RmsTolerance = MatMulCases.RmsOfSum,
            Because = "9 channels + 8 roundings, in units of the expected sum of magnitudes; an activation's slope is below 1.2; "
                + MatMulCases.RmsBecause,
            Flops = 18.0 * Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride)
                * channels * outputs,
            Bytes = 4.0 * (height * width * channels
                + Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride) * outputs),
            Typical = height > 100,
        };

    private static KernelCase Inverted<TActivation>(int height, int width, int inputs, int expanded, int outputs, int stride,
        bool residual, int threads = 1, int bits = 24)
        where TActivation : struct, IActivation =>
        new($"Bottleneck {typeof(TActivation).Name}",
            $"{height} x {width} x {inputs} to {expanded} to {outputs} stride {stride}{(residual ? " residual" : "")}"
                + $"{(threads > 1 ? $" for {threads} threads" : "")}{(bits < 24 ? $" {bits} bits" : "")}", workspace =>
        {
            int n = Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride);
            int pixels = height * width, ldy = workspace.Stride(outputs, 1), length = Extent(n, outputs, ldy);
            BottleneckArgs a = Operands(workspace, height, width, inputs, expanded, outputs, stride);
            a.Threads = threads;
            a.Project.ActivateLast = residual;
            if (residual) a.Project.Residual = workspace.Normal(length);
            BottleneckArgs mine = a, definition = a;
            mine.Project.Y = workspace.Output(length);
            if (bits < 24) mine.Expand.X = workspace.Rounded(a.Expand.X, Extent(pixels, inputs, (int)a.Expand.LdX), bits);
            definition.Project.Y = workspace.Output(length);
            float* expandedMap = workspace.Output(pixels * expanded), convolved = workspace.Output(n * expanded);
            float* scratch = workspace.Block<float>(Bottleneck.ScratchFloats(a));
            return new(
                () => EachItem(Bottleneck.Items(mine), workspace.Timed, (item, previous) =>
                    Bottleneck.Execute(mine, default(TActivation), default(TActivation), item, previous, scratch)),
                () => Bottleneck.Scalar(definition, default(TActivation), default(TActivation), expandedMap, convolved),
                () => Difference.Between(mine.Project.Y, definition.Project.Y, n, outputs, ldy, (_, _, _) => 8));
        })
        {
            Tolerance = 4 * (Math.Sqrt(inputs + expanded) + 16) * E,
            RmsTolerance = E,
            Coarse = bits < 24,
            Because = "the layers' roundings add up as a random walk, in units of the largest value (8)",
            Flops = 2.0 * height * width * inputs * expanded
                + Convolution.OutputSize(height, stride) * Convolution.OutputSize(width,
                    stride) * (18.0 * expanded + 2.0 * expanded * outputs),
            Bytes = 4.0 * height * width * (inputs + outputs / stride / stride),
            Typical = height > 100,
        };

    /// <summary>Creates a case that divides the work for many threads and for one.</summary>
    private static KernelCase AnyThreads(int height, int width, int inputs, int expanded, int outputs, int stride, int threads) =>
        new("Bottleneck cut", $"{height} x {width} x {inputs} to {expanded} to {outputs} stride {stride} for {threads} threads",
            workspace =>
        {
            int length = Extent(Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride), outputs,
                outputs + 1);
            BottleneckArgs a = Operands(workspace, height, width, inputs, expanded, outputs, stride);
            float* mine = workspace.Output(length), definition = workspace.Output(length);
            float* scratch = workspace.Block<float>(Bottleneck.ScratchFloats(a));
            void Run(int count, float* y)
            {
                BottleneckArgs args = a;
                args.Threads = count;
                args.Project.Y = y;
                EachItem(Bottleneck.Items(args), false, (item, previous) =>
                    Bottleneck.Execute(args, default(Gelu), default(Gelu), item, previous, scratch));
            }
            return new(() => Run(threads, mine), () => Run(1, definition), () => Difference.Exact(mine, definition, length));
        })
        { Because = "a value is computed by the same operations however the work is cut" };

    /// <summary>
    /// Creates the operands of a bottleneck, except its result. The weights are small, so that sums stay near one.
    /// </summary>
    private static BottleneckArgs Operands(Workspace workspace, int height, int width, int inputs, int expanded, int outputs,
        int stride)
    {
        int pixels = height * width, n = Convolution.OutputSize(height, stride) * Convolution.OutputSize(width, stride);
        BottleneckArgs a = new()
        {
            Expand = Layer(workspace, pixels, expanded, inputs),
            Height = height, Width = width, Stride = stride,
            Depthwise = workspace.Floats(9 * expanded, i => Math.Sin(i) / 3), DepthwiseBias = workspace.Normal(expanded),
            Project = Layer(workspace, n, outputs, expanded),
        };
        int ldx = workspace.Stride(inputs, 3);
        a.Expand.LdX = ldx;
        a.Expand.X = workspace.Normal(Extent(pixels, inputs, ldx));
        a.Project.LdY = a.Project.LdResidual = workspace.Stride(outputs, 1);
        return a;
    }

    /// <summary>Creates a layer whose outputs are about as large as its inputs.</summary>
    private static MatMulArgs Layer(Workspace workspace, int rows, int outputs, int inputs) => new()
    {
        M = rows, N = outputs, K = inputs, Type = FloatType.F32,
        W = workspace.Floats(outputs * inputs, i => Math.Sin(1 + i * 1.7) / Math.Sqrt(inputs)),
        Bias = workspace.Normal(outputs),
    };

    private static KernelCase Pool(int rows, int cols) =>
        new("MeanRows", $"{rows} x {cols}", workspace =>
        {
            int stride = workspace.Stride(cols, 1);
            float* x = workspace.Normal(Extent(rows, cols, stride)), mine = workspace.Output(cols),
                definition = workspace.Output(cols);
            return new(() => MeanRows.Execute(x, stride, mine, rows, cols),
                () => MeanRows.Scalar(x, stride, definition, rows, cols),
                () => Difference.Between(mine, definition, cols, _ => 4));
        })
        {
            Tolerance = (16 + rows / 16 + 3) * E,
            Because = "16 + rows / 16 + 3 roundings, in units of the largest element (4)",
            Bytes = 4.0 * rows * cols,
            Typical = rows > 200,
        };

    private static KernelCase Average(int count, int n) =>
        new("Mean", $"{count} of {n}", workspace =>
        {
            float** x = workspace.Pointers(count);
            for (int i = 0; i < count; i++) x[i] = workspace.Normal(n);
            float* mine = workspace.Output(n), definition = workspace.Output(n);
            return new(() => Mean.Execute(x, count, mine, n), () => Mean.Scalar(x, count, definition, n),
                () => Difference.Between(mine, definition, n, _ => 4));
        })
        {
            Tolerance = (count + 2) * E,
            Because = "count + 2 roundings, in units of the largest element (4)",
            Bytes = 4.0 * n * (count + 1),
            Typical = n > 1000,
        };

    private static KernelCase Factors(int rows, int cols, bool inPlace) =>
        new("Scale", $"{rows} x {cols}{(inPlace ? " in place" : "")}", workspace =>
        {
            int xStride = workspace.Stride(cols, 2), yStride = inPlace ? xStride : workspace.Stride(cols, 1);
            int n = Extent(rows, cols, yStride);
            float* x = workspace.Normal(Extent(rows, cols, xStride)), scale = workspace.Normal(cols);
            float* mine = workspace.Result(x, n, inPlace), definition = workspace.Result(x, n, inPlace),
                source = inPlace ? mine : x;
            return new(() => Scale.Execute(source, xStride, scale, mine, yStride, rows, cols),
                () => Scale.Scalar(x, xStride, scale, definition, yStride, rows, cols),
                () => Difference.Exact(mine, definition, n));
        })
        {
            Tolerance = 0,
            Because = "one product, rounded once",
            Bytes = 8.0 * rows * cols,
            Typical = rows > 1000,
        };
}
