using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>Multiplies each column by a factor: y[r, c] = scale[c] x[r, c]. Each result is rounded once.</summary>
/// <remarks>x and y are [rows, cols] with strides in floats; scale holds cols floats; y may be x with the same stride.</remarks>
internal static unsafe class Scale
{
    /// <summary>Scales <paramref name="rows"/> rows.</summary>
    public static void Execute(float* x, nint xStride, float* scale, float* y, nint yStride, nint rows, nint cols) =>
        Simd.Run(new Kernel(x, xStride, scale, y, yStride, rows, cols));

    private readonly struct Kernel(float* x, nint xStride, float* scale, float* y, nint yStride, nint rows,
        nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec>(x, xStride, scale, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint xStride, float* scale, float* y, nint yStride, nint rows, nint cols)
        where TVec : unmanaged, IVector<TVec>
    {
        for (nint r = 0; r < rows; r++, x += xStride, y += yStride)
        {
            nint c = 0;
            for (; c <= cols - TVec.Count; c += TVec.Count) (TVec.Load(x + c) * TVec.Load(scale + c)).Store(y + c);
            for (; c < cols; c++) y[c] = x[c] * scale[c];
        }
    }

    /// <summary>Computes the reference result from the definition.</summary>
    public static void Scalar(float* x, nint xStride, float* scale, float* y, nint yStride, nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
            for (nint c = 0; c < cols; c++) y[r * yStride + c] = x[r * xStride + c] * scale[c];
    }
}
