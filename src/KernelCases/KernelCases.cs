namespace TinyZsad.KernelCases;

/// <summary>Lists the sizes that many cases share.</summary>
internal static class KernelCases
{
    /// <summary>
    /// All lengths from 0 to more than two of the widest vectors, and some that are long enough for unrolled loops.
    /// </summary>
    public static readonly int[] Lengths = [.. Enumerable.Range(0, 41), 64, 100, 133];
}
