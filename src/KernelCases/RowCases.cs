using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>Lists the cases of kernels that process each row of a matrix independently.</summary>
internal static unsafe class RowCases
{
    public static IEnumerable<KernelCase> All =>
    [
        .. from n in KernelCases.Lengths where n > 0 from inPlace in (bool[])[false, true] select Norm(3, n, 0, 1, inPlace),
        Norm(5, 384, 1e4, 1, false), Norm(5, 384, 1e6, 1, false), Norm(5, 384, -3e5, 20, true),
        Norm(5, 384, 1000, 0, false), Norm(5, 384, 0, 1e-4, false),
        Norm(1029, 384, 0.3, 1, false), Norm(1372, 1024, 0.3, 1, false),
        .. from n in KernelCases.Lengths where n > 0 from inPlace in (bool[])[false, true]
            select Soft("", 3, n, inPlace, (_, _, random) => 8 * random.NextDouble() - 4),
        Soft("-1e30", 3, 77, false, (_, _, _) => -1e30),
        Soft("-1e30 but for one", 3, 77, false, (r, c, _) => c == 5 * r ? 2 : -1e30),
        Soft("constant", 3, 77, true, (r, _, _) => 100 * r),
        Soft("far apart", 3, 77, false, (_, c, _) => -3.0 * c),
        Soft("masked", 3, 77, false, (r, c, _) => c > 3 + r ? double.NegativeInfinity : c),
        Soft("all masked", 3, 77, false, (_, _, _) => double.NegativeInfinity),
        Soft("NaN", 40, 40, false, (r, c, _) => r == c ? double.NaN : c),
        Soft("attention", 64, 1029, true, (_, _, random) => 20 * random.NextDouble() - 10),
        .. from n in KernelCases.Lengths from inPlace in (bool[])[false, true] select Unit(3, n, inPlace),
        Unit(1024, 256, true),
        .. from half in KernelCases.Lengths where half <= 40 from inPlace in (bool[])[false, true]
            select Rotation(3, 2, 2 * half, inPlace),
        Rotation(1024, 6, 64, true),
        .. from n in KernelCases.Lengths select Logits(2, n, n % 8 + 1),
        Logits(1024, 256, 2),
    ];

    private static string Shape(int rows, int cols, bool inPlace) => $"{rows} x {cols}{(inPlace ? " in place" : "")}";

    private static KernelCase Norm(int rows, int cols, double mean, double deviation, bool inPlace) =>
        new("LayerNorm", $"{Shape(rows, cols, inPlace)}, {mean} +- {deviation}", workspace =>
        {
            const float Eps = 1e-5f;
            int xStride = workspace.Stride(cols, 2), yStride = inPlace ? xStride : workspace.Stride(cols, 1);
            int n = Extent(rows, cols, yStride);
            float* x = workspace.Normal(Extent(rows, cols, xStride), deviation, mean);
            float* gamma = workspace.Normal(cols), beta = workspace.Normal(cols);
            float* mine = workspace.Result(x, n, inPlace), definition = workspace.Result(x, n, inPlace);
            float* source = inPlace ? mine : x;
            return new(
                () => LayerNorm.Execute(source, xStride, gamma, beta, Eps, mine, yStride, rows, cols),
                () => LayerNorm.Scalar(x, xStride, gamma, beta, Eps, definition, yStride, rows, cols),
                () => Difference.Between(mine, definition, rows, cols, yStride, (y, _, c) =>
                    Math.Abs(gamma[c]) + Math.Abs(y - beta[c]) + Math.Abs(beta[c])));
        })
        {
            Tolerance = (Chain(cols, 4) + 10) * E,
            Because = "chain + 10 roundings, see LayerNorm, in units of (1 + |z|) |gamma| + |beta|",
            Bytes = 8.0 * rows * cols,
            Typical = rows > 1000,
        };

    private static KernelCase Soft(string what, int rows, int cols, bool inPlace, Func<int, int, Random, double> value) =>
        new("Softmax", $"{Shape(rows, cols, inPlace)} {what}", workspace =>
        {
            int xStride = workspace.Stride(cols, 2), yStride = inPlace ? xStride : workspace.Stride(cols, 1);
            int n = Extent(rows, cols, yStride);
            float* x = workspace.Floats(Extent(rows, cols, xStride), i =>
                value((int)i / xStride, (int)i % xStride, workspace.Random));
            float* mine = workspace.Result(x, n, inPlace), definition = workspace.Result(x, n, inPlace);
            float* source = inPlace ? mine : x;
            return new(
                () => Softmax.Execute(source, xStride, mine, yStride, rows, cols),
                () => Softmax.Scalar(x, xStride, definition, yStride, rows, cols),
                // y (1 + |x - max|), where |x - max| <= -ln y; plus the values that exp flushes to 0.
                () => Difference.Between(mine, definition, rows, cols, yStride, (y, _, _) => y * (1 - Math.Log(y)) + 1e-30));
        })
        {
            Tolerance = (Chain(cols, 1) + Math.Log(cols) + 10) * E,
            Because = "chain + ln n + 10 roundings, see Softmax, in units of y (1 + |x - max|)",
            Bytes = 8.0 * rows * cols,
            Typical = cols > 1000,
        };

    private static KernelCase Unit(int rows, int cols, bool inPlace) =>
        new("L2Normalize", Shape(rows, cols, inPlace), workspace =>
        {
            int xStride = workspace.Stride(cols, 2), yStride = inPlace ? xStride : workspace.Stride(cols, 1);
            int n = Extent(rows, cols, yStride);
            float* x = workspace.Normal(Extent(rows, cols, xStride));
            new Span<float>(x + xStride, cols).Clear();    // the second row is zero
            float* mine = workspace.Result(x, n, inPlace), definition = workspace.Result(x, n, inPlace);
            float* source = inPlace ? mine : x;
            return new(
                () => L2Normalize.Execute(source, xStride, mine, yStride, rows, cols),
                () => L2Normalize.Scalar(x, xStride, definition, yStride, rows, cols),
                () => Difference.Between(mine, definition, rows, cols, yStride, (y, _, _) => Math.Abs(y)));
        })
        {
            Tolerance = (Chain(cols, 4) / 2 + 5) * E,
            Because = "half the sum's chain, root, reciprocal, product and definition, relative",
            Bytes = 8.0 * rows * cols,
            Typical = rows > 1000,
        };

    private static KernelCase Rotation(int rows, int heads, int headDim, bool inPlace) =>
        new("Rotary", $"{rows} x {heads} x {headDim}{(inPlace ? " in place" : "")}", workspace =>
        {
            const float Scale = 0.35f;
            int cols = heads * headDim, stride = workspace.Stride(cols, 3), half = headDim / 2, n = Extent(rows, cols, stride);
            float* x = workspace.Normal(n), cos = workspace.Normal(rows * half), sin = workspace.Normal(rows * half);
            float* mine = workspace.Result(x, n, inPlace), source = inPlace ? mine : x;
            float* definition = workspace.Result(x, n, inPlace);
            return new(
                () => Rotary.Execute(source, stride, cos, sin, Scale, mine, stride, rows, heads, headDim),
                () => Rotary.Scalar(x, stride, cos, sin, Scale, definition, stride, rows, heads, headDim),
                () => Difference.Between(mine, definition, rows, cols, stride, (_, r, c) =>
                {
                    int partner = c % headDim < half ? c + half : c - half, t = r * half + c % headDim % half;
                    return Scale * (Math.Abs(x[r * stride + c] * cos[t]) + Math.Abs(x[r * stride + partner] * sin[t]));
                }));
        })
        {
            Tolerance = 4.01 * E,
            Because = "scaled table, product, sum and definition, in units of scale (|p cos| + |rot(p) sin|)",
            Bytes = 8.0 * rows * heads * headDim,
            Typical = rows > 1000,
        };

    private static KernelCase Logits(int rows, int cols, int count) => new("DotSmall", $"{rows} x {cols} by {count}", workspace =>
    {
        const float Scale = 100;
        int xStride = workspace.Stride(cols, 1), yStride = workspace.Stride(count, 1);
        float* x = workspace.Normal(Extent(rows, cols, xStride)), t = workspace.Normal(count * cols);
        float* mine = workspace.Output(Extent(rows, count, yStride)), definition = workspace.Output(Extent(rows, count, yStride));
        return new(
            () => DotSmall.Execute(x, xStride, t, count, Scale, mine, yStride, rows, cols),
            () => DotSmall.Scalar(x, xStride, t, count, Scale, definition, yStride, rows, cols),
            () => Difference.Between(mine, definition, rows, count, yStride, (_, r, j) =>
            {
                double sum = 0;
                for (int c = 0; c < cols; c++)
                    sum += Math.Abs((double)x[r * xStride + c] * t[j * cols + c]);
                return Scale * sum;
            }));
    })
    {
        Tolerance = (Chain(cols, 4) + 3) * E,
        RmsTolerance = 2 * MatMulCases.RmsOfSum,
        Because = "product, the sum's chain, scale and definition, in units of scale times the sum of magnitudes; twice the "
            + "usual root mean square, as there may be only two results; " + MatMulCases.RmsBecause,
        Flops = 2.0 * rows * cols * count,
        Bytes = 4.0 * rows * cols,
        Typical = rows > 1000,
    };
}
