using TinyZsad.Formats;
using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>Lists the cases of sums, with and without a scale or a table.</summary>
internal static unsafe class ElementwiseCases
{
    public static IEnumerable<KernelCase> All =>
    [
        .. KernelCases.Lengths.SelectMany(n => new[] { Scaled(3, n, false), Scaled(2, n, true) }), Scaled(1029, 384, true),
        .. KernelCases.Lengths.SelectMany(n => Enum.GetValues<FloatType>().Select(type => Added(5, n, 2, type, n % 2 == 0))),
        Added(154, 512, 77, FloatType.F16, true),
    ];

    private static KernelCase Scaled(int rows, int cols, bool inPlace) =>
        new("ScaleAdd", $"{rows} x {cols}{(inPlace ? " in place" : "")}", workspace =>
        {
            int xStride = workspace.Stride(cols, 1), stride = workspace.Stride(cols, 3), n = Extent(rows, cols, stride);
            float* residual = workspace.Normal(n), scale = workspace.Normal(cols);
            float* x = workspace.Normal(Extent(rows, cols, xStride));
            float* definition = workspace.Result(residual, n, inPlace);
            float* mine = workspace.Result(residual, n, inPlace), source = inPlace ? mine : residual;
            return new(
                () => ScaleAdd.Execute(source, stride, scale, x, xStride, mine, stride, rows, cols),
                () => ScaleAdd.Scalar(residual, stride, scale, x, xStride, definition, stride, rows, cols),
                () => Difference.Between(mine, definition, rows, cols, stride, (_, r, c) =>
                    Math.Abs(residual[r * stride + c]) + Math.Abs((double)scale[c] * x[r * xStride + c])));
        })
        {
            Tolerance = 3.01 * E,
            Because = "product, sum and definition, in units of |residual| + |scale x|",
            Bytes = 12.0 * rows * cols,
            Typical = rows > 1000,
        };

    private static KernelCase Added(int rows, int cols, int period, FloatType type, bool inPlace) =>
        new("AddRows", $"{type} {rows} x {cols} by {period}{(inPlace ? " in place" : "")}", workspace =>
        {
            int xStride = workspace.Stride(cols, 1), yStride = inPlace ? xStride : workspace.Stride(cols, 2);
            int n = Extent(rows, cols, yStride);
            float* x = workspace.Normal(Extent(rows, cols, xStride));
            float* mine = workspace.Result(x, n, inPlace), source = inPlace ? mine : x;
            float* definition = workspace.Result(x, n, inPlace);
            void* table = TableCases.Table(workspace, type, period * cols);
            return new(
                () => AddRows.Execute(source, xStride, table, type, period, mine, yStride, rows, cols),
                () => AddRows.Scalar(x, xStride, table, type, period, definition, yStride, rows, cols),
                () => Difference.Exact(mine, definition, n));
        })
        {
            Because = "one rounding on both sides",
            Bytes = 8.0 * rows * cols,
            Typical = rows > 100,
        };
}
