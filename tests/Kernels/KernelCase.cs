using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>A kernel with its arguments made ready.</summary>
/// <param name="Simd">Runs the kernel.</param>
/// <param name="Scalar">Runs the definition on its own copy of what is written.</param>
/// <param name="Error">After both: how far they are apart, in the case's own unit.</param>
internal sealed record KernelRun(Action Simd, Action Scalar, Func<Difference> Error);

/// <summary>One kernel on one shape. Tests run it and compare; a benchmark runs <see cref="KernelRun.Simd"/> alone.</summary>
/// <param name="Kernel">The kernel, and what of it.</param>
/// <param name="Shape">The shape, and whether it works in place.</param>
/// <param name="Prepare">Makes the arguments in a workspace.</param>
internal sealed record KernelCase(string Kernel, string Shape, Func<Workspace, KernelRun> Prepare)
{
    /// <summary>The rounding error of a float: half its spacing at 1.</summary>
    public const double E = 1.0 / (1 << 24);

    /// <summary>The largest error allowed.</summary>
    public double Tolerance { get; init; }

    /// <summary>
    /// The largest root mean square of the errors allowed. The bound on the largest error must hold if all roundings of a sum go
    /// the same way, so it grows with the number of terms and at some length lets an operand of too low precision pass; the
    /// errors of independent roundings grow as a random walk, and their root mean square tells the two apart at any length.
    /// </summary>
    public double RmsTolerance { get; init; } = double.PositiveInfinity;

    /// <summary>
    /// Whether the kernel, and not the definition, is given an operand of less than float precision: the root mean square must
    /// exceed its bound, or the bound is too wide to catch that.
    /// </summary>
    public bool Coarse { get; init; }

    /// <summary>Why the tolerances are what they are, and the unit they count in.</summary>
    public required string Because { get; init; }

    /// <summary>Float operations of one run.</summary>
    public double Flops { get; init; }

    /// <summary>Bytes read and written by one run.</summary>
    public double Bytes { get; init; }

    /// <summary>Whether it is a shape that the models use: one worth timing.</summary>
    public bool Typical { get; init; }

    /// <summary>Elements from a matrix's first to its last: nothing is owned behind its last row.</summary>
    public static int Extent(int rows, int cols, int stride) => rows == 0 ? 0 : (rows - 1) * stride + cols;

    /// <summary>
    /// Runs all items with the one before: a stretch in order, as a thread does with its own, then the last ones backwards, as one
    /// does that helps out. To be timed, all in order.
    /// </summary>
    public static void EachItem(int items, bool inOrder, Action<int, int> run)
    {
        int half = inOrder ? items : (items + 1) / 2, previous = -1;
        for (int i = 0; i < items; i++)
        {
            int item = i < half ? i : items - 1 - (i - half);
            run(item, previous);
            previous = item;
        }
    }

    public string Name => $"{Kernel} [{Shape}]";

    /// <summary>
    /// The most roundings one term of a sum of <paramref name="n"/> goes through, with so many vectors of partial sums: those
    /// of its partial sum, up to 3 vectors left over, joining vectors (2) and lanes (up to 4), and lanes - 1 in the tail.
    /// </summary>
    public static double Chain(nint n, int accumulators) => n / (accumulators * Simd.Lanes) + Simd.Lanes + 8;
}

/// <summary>How far the results of a kernel and of its definition are apart.</summary>
/// <param name="Max">The largest error; infinite where only one of the two is NaN.</param>
/// <param name="RootMeanSquare">Of all errors.</param>
internal readonly unsafe record struct Difference(double Max, double RootMeanSquare)
{
    /// <summary>The larger errors of two comparisons.</summary>
    public Difference Or(Difference other) =>
        new(Math.Max(Max, other.Max), Math.Max(RootMeanSquare, other.RootMeanSquare));

    /// <summary>None, or one without measure.</summary>
    public static Difference Unless(bool same) => same ? default : new(double.PositiveInfinity, double.PositiveInfinity);

    /// <summary>The errors |a[i] - b[i]| / unit(i). Equal or both NaN: 0; only one NaN: infinite.</summary>
    public static Difference Between(float* a, float* b, nint n, Func<nint, double> unit) => Between(a, b, n, n, unit);

    /// <summary>
    /// The same over a matrix, with unit(the definition's value, row, column). Between its rows nothing may differ at all.
    /// </summary>
    public static Difference Between(float* mine, float* definition, int rows, int cols, int stride,
        Func<double, int, int, double> unit) =>
        Between(mine, definition, KernelCase.Extent(rows, cols, stride), (nint)rows * cols, i =>
            i % stride < cols ? unit(definition[i], (int)i / stride, (int)i % stride) : double.Epsilon);

    /// <summary>None where all are equal, else infinite or how much they differ.</summary>
    public static Difference Exact(float* a, float* b, nint n) => Between(a, b, n, _ => double.Epsilon);

    private static Difference Between(float* a, float* b, nint n, nint count, Func<nint, double> unit)
    {
        double max = 0, squares = 0;
        for (nint i = 0; i < n; i++)
        {
            if (a[i] == b[i] || (float.IsNaN(a[i]) && float.IsNaN(b[i])))
                continue;
            double difference = Math.Abs((double)a[i] - b[i]) / unit(i);
            if (double.IsNaN(difference)) difference = double.PositiveInfinity;
            max = Math.Max(max, difference);
            squares += difference * difference;
        }
        return new(max, count == 0 ? 0 : Math.Sqrt(squares / count));
    }
}
