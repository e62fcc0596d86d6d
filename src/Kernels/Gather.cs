using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Copies rows of a table: y[i, :] = table[index[i], :]. It looks up token embeddings and selects rows of a matrix. The copy is
/// exact.
/// </summary>
/// <remarks>
/// table is [tableRows, cols] in any <see cref="FloatType"/> with a stride in elements. y is [n, cols] with a stride in floats.
/// They do not overlap. An index may occur more than once.
/// </remarks>
internal static unsafe class Gather
{
    /// <summary>Copies <paramref name="n"/> rows.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An index is outside 0 .. tableRows - 1. The rows before it have been copied.
    /// </exception>
    public static void Execute(void* table, FloatType type, nint tableStride, nint tableRows, int* index, nint n,
        float* y, nint yStride, nint cols)
    {
        for (nint i = 0; i < n; i++)
        {
            if ((nuint)(nint)index[i] >= (nuint)tableRows)
                Throw(index[i], i, tableRows);
            Widen.Execute((byte*)table + index[i] * tableStride * type.Size(), type, y + i * yStride, cols);
        }
    }

    /// <summary>Computes the reference result from the definition. The indexes are not checked.</summary>
    public static void Scalar(void* table, FloatType type, nint tableStride, int* index, nint n,
        float* y, nint yStride, nint cols)
    {
        for (nint i = 0; i < n; i++)
        {
            for (nint c = 0; c < cols; c++)
                y[i * yStride + c] = Widen.Scalar(table, type, index[i] * tableStride + c);
        }
    }

    private static void Throw(int index, nint at, nint rows) =>
        throw new ArgumentOutOfRangeException(nameof(index), index, $"Row index number {at} must be in 0 to {rows - 1}.");
}
