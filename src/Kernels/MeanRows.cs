using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Computes the mean of all rows: y[c] = the mean over r of x[r, c]. This is global average pooling.</summary>
/// <remarks>
/// x is [rows, cols] with a stride in floats and at least 1 row; y does not overlap it. Rows are summed in groups of 16, and then
/// the sums of the groups are added, so that |error| ≤ (16 + rows / 16 + 2) 2^-24 mean |x|.
/// </remarks>
internal static unsafe class MeanRows
{
    private const int Group = 16;

    /// <summary>Averages each column.</summary>
    public static void Execute(float* x, nint xStride, float* y, nint rows, nint cols) =>
        Simd.Run(new Kernel(x, xStride, y, rows, cols));

    private readonly struct Kernel(float* x, nint xStride, float* y, nint rows, nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec>(x, xStride, y, rows, cols);
    }

    private static void Execute<TVec>(float* x, nint xStride, float* y, nint rows, nint cols)
        where TVec : unmanaged, IVector<TVec>
    {
        nint c = 0;
        for (; c <= cols - TVec.Count; c += TVec.Count) Column<TVec>(x + c, xStride, rows).Store(y + c);
        for (; c < cols; c++) Column<Lanes1>(x + c, xStride, rows).Store(y + c);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TVec Column<TVec>(float* x, nint xStride, nint rows) where TVec : unmanaged, IVector<TVec>
    {
        TVec total = TVec.Zero;
        for (nint first = 0; first < rows; first += Group)
        {
            TVec sum = TVec.Zero;
            for (nint r = first; r < Math.Min(first + Group, rows); r++, x += xStride) sum += TVec.Load(x);
            total += sum;
        }
        return total * TVec.Broadcast(1f / rows);
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint xStride, float* y, nint rows, nint cols)
    {
        for (nint c = 0; c < cols; c++)
        {
            double sum = 0;
            for (nint r = 0; r < rows; r++) sum += x[r * xStride + c];
            y[c] = (float)(sum / rows);
        }
    }
}
