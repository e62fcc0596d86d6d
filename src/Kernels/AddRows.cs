using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Adds the rows of a table to the rows of a matrix: y[r, c] = x[r, c] + table[r mod period, c]. One table of position embeddings
/// serves a whole batch.
/// </summary>
/// <remarks>
/// x and y are [rows, cols] with strides in floats; y may be x. The table is [period, cols] in any <see cref="FloatType"/>,
/// contiguous. Each result is rounded once.
/// </remarks>
internal static unsafe class AddRows
{
    /// <summary>Adds <paramref name="rows"/> rows.</summary>
    public static void Execute(float* x, nint xStride, void* table, FloatType type, nint period, float* y, nint yStride,
        nint rows, nint cols) =>
        Simd.Run(new Kernel(x, xStride, table, type, period, y, yStride, rows, cols));

    private readonly struct Kernel(float* x, nint xStride, void* table, FloatType type, nint period, float* y,
        nint yStride, nint rows, nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Execute<TVec>(x, xStride, table, type, period, y, yStride, rows, cols);
    }

    private static void Execute<TVec>(float* x, nint xStride, void* table, FloatType type, nint period, float* y, nint yStride,
        nint rows, nint cols) where TVec : unmanaged, IVector<TVec>
    {
        if (type == FloatType.F32) Execute<TVec, F32Format>(x, xStride, table, period, y, yStride, rows, cols);
        else if (type == FloatType.F16) Execute<TVec, F16Format>(x, xStride, table, period, y, yStride, rows, cols);
        else Execute<TVec, BF16Format>(x, xStride, table, period, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec, TFormat>(float* x, nint xStride, void* table, nint period, float* y, nint yStride,
        nint rows, nint cols)
        where TVec : unmanaged, IVector<TVec>
        where TFormat : struct, IFloatFormat
    {
        nint t = 0;
        for (nint r = 0; r < rows; r++, x += xStride, y += yStride)
        {
            nint c = 0, start = t * cols;
            for (; c <= cols - TVec.Count; c += TVec.Count)
                (TVec.Load(x + c) + TFormat.Load<TVec>(table, start + c)).Store(y + c);
            for (; c < cols; c++)
                (Lanes1.Load(x + c) + TFormat.Load<Lanes1>(table, start + c)).Store(y + c);
            if (++t == period)
                t = 0;
        }
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint xStride, void* table, FloatType type, nint period, float* y, nint yStride,
        nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
        {
            for (nint c = 0; c < cols; c++)
                y[r * yStride + c] = x[r * xStride + c] + Widen.Scalar(table, type, r % period * cols + c);
        }
    }
}
