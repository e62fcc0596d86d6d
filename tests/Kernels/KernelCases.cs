namespace TinyZsad.Tests.Kernels;

/// <summary>Lists all kernel cases, for tests and benchmarks.</summary>
internal static class KernelCases
{
    /// <summary>
    /// All lengths from 0 to more than two of the widest vectors, and some that are long enough for unrolled loops.
    /// </summary>
    public static readonly int[] Lengths = [.. Enumerable.Range(0, 41), 64, 100, 133];

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
}
