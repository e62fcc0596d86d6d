using TinyZsad.Kernels;

namespace TinyZsad.KernelCases;

/// <summary>Represents a kernel with prepared arguments.</summary>
/// <param name="Simd">Runs the kernel.</param>
/// <param name="Scalar">Runs the reference implementation on its own copy of the output.</param>
/// <param name="Error">Computes, after both have run, how much they differ, in the unit of the case.</param>
internal sealed record KernelRun(Action Simd, Action Scalar, Func<Difference> Error);

/// <summary>
/// Represents one kernel with one shape. Tests run it and compare; benchmarks and the tool's <c>bench --kernels</c> run only
/// <see cref="KernelRun.Simd"/>.
/// </summary>
/// <param name="Kernel">The kernel, and which variant of it.</param>
/// <param name="Shape">The shape, and whether it works in place.</param>
/// <param name="Prepare">Prepares the arguments in a workspace.</param>
internal sealed record KernelCase(string Kernel, string Shape, Func<Workspace, KernelRun> Prepare)
{
    /// <summary>Gets all cases, for tests and benchmarks.</summary>
    public static IEnumerable<KernelCase> All =>
    [
        .. ActivationCases.All,
        .. ElementwiseCases.All,
        .. RowCases.All,
        .. ImageCases.All,
        .. TableCases.All,
        .. MatMulCases.All,
        .. Int8Cases.All,
        .. AttentionCases.All,
        .. MapCases.All,
    ];

    /// <summary>The rounding error of a float: half its spacing at 1.</summary>
    public const double E = 1.0 / (1 << 24);

    /// <summary>Gets the largest error allowed.</summary>
    public double Tolerance { get; init; }

    /// <summary>
    /// Gets the largest root mean square of the errors allowed. The bound on the largest error must hold even if all roundings of
    /// a sum go in the same direction. It therefore grows with the number of terms, and at some length it no longer detects an
    /// operand of insufficient precision. The errors of independent roundings grow like a random walk, so their root mean square
    /// distinguishes the two at any length.
    /// </summary>
    public double RmsTolerance { get; init; } = double.PositiveInfinity;

    /// <summary>
    /// Gets whether the kernel, but not the reference implementation, gets an operand of less than float precision. The root mean
    /// square must then exceed its bound; otherwise the bound is too wide to detect that.
    /// </summary>
    public bool Coarse { get; init; }

    /// <summary>Gets the reason for the tolerances, and their unit.</summary>
    public required string Because { get; init; }

    /// <summary>
    /// Gets the number of operations of one run that are part of multiply-adds, two each; 0 for a kernel of a few operations for
    /// each number.
    /// </summary>
    public double Flops { get; init; }

    /// <summary>Gets the number of bytes read and written by one run.</summary>
    public double Bytes { get; init; }

    /// <summary>Gets whether the models use this shape, so that it is worth benchmarking.</summary>
    public bool Typical { get; init; }

    /// <summary>
    /// Gets whether only benchmarks run the case. Its definition would take seconds, and tests run the same code with smaller shapes.
    /// </summary>
    public bool TimedOnly { get; init; }

    /// <summary>Gets the case as one of a shape that the models use and that only benchmarks run.</summary>
    public KernelCase OnlyTimed => this with { Typical = true, TimedOnly = true };

    /// <summary>Gets whether the operations are those of 8-bit integers, of which a processor may do more than of floats.</summary>
    public bool OfIntegers => Kernel.StartsWith("Int8", StringComparison.Ordinal);

    /// <summary>
    /// Computes the number of elements from the first to the last of a matrix. There is no padding after the last row.
    /// </summary>
    public static int Extent(int rows, int cols, int stride) => rows == 0 ? 0 : (rows - 1) * stride + cols;

    /// <summary>
    /// Runs all items and passes the previous one to each: first a range in order, as a thread does with its own range, then the
    /// last ones backward, as a thread does that steals work. If <paramref name="inOrder"/> is true, as for times, all items run in
    /// order.
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
    /// Computes the largest number of roundings that one term of a sum of <paramref name="n"/> terms goes through, for a number
    /// of vectors with partial sums: those in its partial sum, up to 3 remaining vectors, adding the vectors (2) and lanes (up to
    /// 4), and lanes - 1 in the tail.
    /// </summary>
    public static double Chain(nint n, int accumulators) => n / (accumulators * Simd.Lanes) + Simd.Lanes + 8;
}

/// <summary>Represents the difference between the results of a kernel and of its reference implementation.</summary>
/// <param name="Max">The largest error; infinite where only one of the two is NaN.</param>
/// <param name="RootMeanSquare">The root mean square of all errors.</param>
internal readonly unsafe record struct Difference(double Max, double RootMeanSquare)
{
    /// <summary>Gets the larger errors of two comparisons.</summary>
    public Difference Or(Difference other) =>
        new(Math.Max(Max, other.Max), Math.Max(RootMeanSquare, other.RootMeanSquare));

    /// <summary>Gets no difference if the results are the same, and an infinite one otherwise.</summary>
    public static Difference Unless(bool same) => same ? default : new(double.PositiveInfinity, double.PositiveInfinity);

    /// <summary>
    /// Computes the errors |a[i] - b[i]| / unit(i). An error is 0 if both are equal or both are NaN, and infinite if only one is
    /// NaN.
    /// </summary>
    public static Difference Between(float* a, float* b, nint n, Func<nint, double> unit) => Between(a, b, n, n, unit);

    /// <summary>
    /// Computes the errors of a matrix, with unit(the reference value, row, column). Between the rows, nothing may differ.
    /// </summary>
    public static Difference Between(float* mine, float* definition, int rows, int cols, int stride,
        Func<double, int, int, double> unit) =>
        Between(mine, definition, KernelCase.Extent(rows, cols, stride), (nint)rows * cols, i =>
            i % stride < cols ? unit(definition[i], (int)i / stride, (int)i % stride) : double.Epsilon);

    /// <summary>Compares exactly: there is no difference if all elements are equal.</summary>
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
