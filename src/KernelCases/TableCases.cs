using TinyZsad.Formats;
using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>Lists the cases of stored numbers, rows of a table, and the largest elements.</summary>
internal static unsafe class TableCases
{
    public static IEnumerable<KernelCase> All =>
    [
        .. from type in Enum.GetValues<FloatType>() from n in KernelCases.Lengths select Widening(type, n),
        .. from type in Enum.GetValues<FloatType>() where type != FloatType.F32 select EveryNumber(type),
        .. from type in Enum.GetValues<FloatType>() from n in KernelCases.Lengths select Gathering(type, 7, 5, n),
        Gathering(FloatType.F16, 4000, 77, 512),
        .. KernelCases.Lengths.Select(n => Largest(n, nan: -1)), Largest(518 * 518, nan: -1),
        .. Enumerable.Range(0, 40).Select(at => Largest(40, at)),
        .. from n in KernelCases.Lengths where n > 0 from k in (int[])[1, 2, n / 2, n] where k >= 1 && k <= n
            select MeanOfLargest($"{n}, k {k}", n, k, i => (i * 7919 % 101 - 50) * 0.37),
        MeanOfLargest("all equal", 100, 16, _ => 0.25),
        MeanOfLargest("both zeros", 100, 60, i => i % 2 == 0 ? 0.0 : -0.0),
        MeanOfLargest("keys equal in 22 bits", 300, 7, i => 1 + i * 37 % 300 * Math.Pow(2, -23)),
        MeanOfLargest("with infinities", 100, 10, i =>
            i % 50 == 0 ? double.PositiveInfinity : i % 30 == 0 ? double.NegativeInfinity : i),
        MeanOfLargest("with NaN", 100, 3, i => i == 70 ? double.NaN : i),
        MeanOfLargest("a map", 518 * 518, 2683, i => Math.Sin(i * 0.001) * Math.Cos(i * 0.37)),
    ];

    /// <summary>Creates stored numbers without NaN or infinity, including subnormals.</summary>
    public static void* Table(Workspace workspace, FloatType type, nint n)
    {
        if (type == FloatType.F32)
            return workspace.Normal(n);
        ushort* p = workspace.Block<ushort>(n);
        for (nint i = 0; i < n; i++)
            p[i] = (ushort)(workspace.Random.Next(0x7800) | workspace.Random.Next(2) << 15);
        return p;
    }

    private static KernelCase Widening(FloatType type, int n) => new("Widen", $"{type} {n}", workspace =>
        Widening(workspace, Table(workspace, type, n), type, n))
    { Because = "every value is a float", Bytes = n * (4.0 + type.Size()) };

    private static KernelCase EveryNumber(FloatType type) => new("Widen", $"{type} all 65536", workspace =>
    {
        ushort* p = workspace.Block<ushort>(1 << 16);
        for (int i = 0; i < 1 << 16; i++)
            p[i] = (ushort)i;
        return Widening(workspace, p, type, 1 << 16);
    })
    { Because = "every value is a float, subnormals and infinities too; NaN stays NaN", Bytes = 6 << 16, Typical = true };

    private static KernelRun Widening(Workspace workspace, void* source, FloatType type, nint n)
    {
        float* mine = workspace.Output(n), definition = workspace.Output(n);
        return new(
            () => Widen.Execute(source, type, mine, n),
            () =>
            {
                for (nint i = 0; i < n; i++)
                    definition[i] = Widen.Scalar(source, type, i);
            },
            () => Difference.Exact(mine, definition, n));
    }

    private static KernelCase Gathering(FloatType type, int tableRows, int n, int cols) =>
        new("Gather", $"{type} {n} of {tableRows} x {cols}", workspace =>
        {
            int yStride = workspace.Stride(cols, 1);
            void* table = Table(workspace, type, tableRows * cols);
            int* index = workspace.Block<int>(n);
            for (int i = 0; i < n; i++)
                index[i] = i == 0 ? tableRows - 1 : workspace.Random.Next(tableRows);
            int extent = Extent(n, cols, yStride);
            float* mine = workspace.Output(extent), definition = workspace.Output(extent);
            return new(
                () => Gather.Execute(table, type, cols, tableRows, index, n, mine, yStride, cols),
                () => Gather.Scalar(table, type, cols, index, n, definition, yStride, cols),
                () => Difference.Exact(mine, definition, extent));
        })
        { Because = "a copy", Bytes = (double)n * cols * (4 + type.Size()), Typical = cols == 512 };

    private static KernelCase Largest(int n, int nan) => new("Max", nan < 0 ? $"{n}" : $"{n}, NaN at {nan}", workspace =>
    {
        float* x = workspace.Floats(n, i => i == nan ? double.NaN : workspace.Random.NextDouble() - 2);
        float* mine = workspace.Output(1), definition = workspace.Output(1);
        return new(
            () => *mine = Max.Execute(x, n),
            () => *definition = Max.Scalar(x, n),
            () => Difference.Exact(mine, definition, 1));
    })
    { Because = "a choice, not a computation", Bytes = 4.0 * n, Typical = n > 100000 };

    private static KernelCase MeanOfLargest(string shape, int n, int k, Func<nint, double> value) =>
        new("TopKMean", shape, workspace =>
        {
            float* x = workspace.Floats(n, value), mine = workspace.Output(1), definition = workspace.Output(1);
            double magnitude = new Span<float>(x, n).ToArray().OrderDescending().Take(k).Sum(v => Math.Abs((double)v)) / k;
            return new(
                () => *mine = TopKMean.Execute(x, n, k),
                () => *definition = TopKMean.Scalar(x, n, k),
                () => Difference.Between(mine, definition, 1, _ => magnitude));
        })
        {
            Tolerance = 2.01 * E,
            Because = "sums in double differ by 1e-16 n, so the roundings to float by one step, in units of the mean magnitude",
            Bytes = 4.0 * n,
            Typical = n > 100000,
        };
}
