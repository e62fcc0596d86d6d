using TinyZsad.Kernels;
using static TinyZsad.Tests.Kernels.KernelCase;

namespace TinyZsad.Tests.Kernels;

/// <summary>Sums, with and without a scale or a table.</summary>
internal static unsafe class ElementwiseCases
{
    public static IEnumerable<KernelCase> All =>
    [
        .. KernelCases.Lengths.SelectMany(n => new[] { Add(n, false), Add(n, true) }), Add(1029 * 384, false),
        .. KernelCases.Lengths.SelectMany(n => new[] { ScaleAdd(3, n, false), ScaleAdd(2, n, true) }), ScaleAdd(1029, 384, true),
        .. KernelCases.Lengths.SelectMany(n => Enum.GetValues<FloatType>().Select(type => AddRows(5, n, 2, type, n % 2 == 0))),
        AddRows(154, 512, 77, FloatType.F16, true),
    ];

    private static KernelCase Add(int n, bool inPlace) => new("Add", inPlace ? $"{n} in place" : $"{n}", workspace =>
    {
        float* a = workspace.Normal(n), b = workspace.Normal(n), definition = workspace.Output(n);
        float* mine = inPlace ? workspace.Copy(b, n) : workspace.Output(n), source = inPlace ? mine : b;
        return new(
            () => Elementwise.Add(a, source, mine, n),
            () => Elementwise.AddScalar(a, b, definition, n),
            () => Difference.Exact(mine, definition, n));
    })
    { Because = "one rounding on both sides", Flops = n, Bytes = 12.0 * n, Typical = n > 1000 };

    private static KernelCase ScaleAdd(int rows, int cols, bool inPlace) =>
        new("ScaleAdd", $"{rows} x {cols}{(inPlace ? " in place" : "")}", workspace =>
        {
            int xStride = cols + 1, stride = cols + 3, n = rows * stride;
            float* residual = workspace.Normal(n), scale = workspace.Normal(cols), x = workspace.Normal(rows * xStride);
            float* definition = inPlace ? workspace.Copy(residual, n) : workspace.Output(n);
            float* mine = inPlace ? workspace.Copy(residual, n) : workspace.Output(n), source = inPlace ? mine : residual;
            return new(
                () => Elementwise.ScaleAdd(source, stride, scale, x, xStride, mine, stride, rows, cols),
                () => Elementwise.ScaleAddScalar(residual, stride, scale, x, xStride, definition, stride, rows, cols),
                () => Difference.Max(mine, definition, n, i => i % stride < cols
                    ? Math.Abs(residual[i]) + Math.Abs((double)scale[i % stride] * x[i / stride * xStride + i % stride])
                    : double.Epsilon));
        })
        {
            Tolerance = 3.01 * E,
            Because = "product, sum and definition, in units of |residual| + |scale x|",
            Flops = 2.0 * rows * cols,
            Bytes = 12.0 * rows * cols,
            Typical = rows > 1000,
        };

    private static KernelCase AddRows(int rows, int cols, int period, FloatType type, bool inPlace) =>
        new("AddRows", $"{type} {rows} x {cols} by {period}{(inPlace ? " in place" : "")}", workspace =>
        {
            int xStride = cols + 1, yStride = inPlace ? xStride : cols + 2;
            float* x = workspace.Normal(rows * xStride), definition = workspace.Output(rows * yStride);
            float* mine = inPlace ? workspace.Copy(x, rows * xStride) : workspace.Output(rows * yStride);
            float* source = inPlace ? mine : x;
            void* table = TableCases.Table(workspace, type, period * cols);
            return new(
                () => Elementwise.AddRows(source, xStride, table, type, period, mine, yStride, rows, cols),
                () => Elementwise.AddRowsScalar(x, xStride, table, type, period, definition, yStride, rows, cols),
                () =>
                {
                    double worst = 0;
                    for (int r = 0; r < rows; r++)
                        worst = Math.Max(worst, Difference.Exact(mine + r * yStride, definition + r * yStride, cols));
                    return worst;
                });
        })
        {
            Because = "one rounding on both sides",
            Flops = (double)rows * cols,
            Bytes = 8.0 * rows * cols,
            Typical = rows > 100,
        };
}
