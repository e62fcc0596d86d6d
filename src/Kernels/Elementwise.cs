using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Operations that treat every element alike. The result may be written over an input where an operation says so: over exactly
/// the same elements, never shifted.
/// </summary>
public static unsafe class Elementwise
{
    /// <summary>y[i] = f(x[i]) for i below <paramref name="n"/>; y may be x. Error: that of the activation.</summary>
    public static void Activate<TActivation>(float* x, float* y, nint n, TActivation activation)
        where TActivation : struct, IActivation =>
        Simd.Run(new ActivateKernel<TActivation>(x, y, n, activation));

    private readonly struct ActivateKernel<TActivation>(float* x, float* y, nint n, TActivation activation) : IWideKernel
        where TActivation : struct, IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Activate<TVec, TActivation>(x, y, n, activation);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Activate<TVec, TActivation>(float* x, float* y, nint n, TActivation activation)
        where TVec : unmanaged, IVector<TVec>
        where TActivation : struct, IActivation
    {
        nint i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
            activation.Invoke(TVec.Load(x + i)).Store(y + i);
        for (; i < n; i++)
            activation.Invoke(Lanes1.Load(x + i)).Store(y + i);
    }

    /// <summary>The definition of <see cref="Activate{TActivation}"/>.</summary>
    public static void ActivateScalar<TActivation>(float* x, float* y, nint n, TActivation activation)
        where TActivation : struct, IActivation
    {
        for (nint i = 0; i < n; i++)
            y[i] = (float)activation.Scalar(x[i]);
    }

    /// <summary>
    /// y[r, c] = residual[r, c] + scale[c] x[r, c]: a residual connection with LayerScale. All matrices are
    /// [<paramref name="rows"/>, <paramref name="cols"/>] with a stride in floats between rows; y may be residual or x (with its
    /// stride). Error: one rounding with fused multiply-add, else two: |scale x| 2^-24 more.
    /// </summary>
    public static void ScaleAdd(float* residual, nint residualStride, float* scale, float* x, nint xStride,
        float* y, nint yStride, nint rows, nint cols) =>
        Simd.Run(new ScaleAddKernel(residual, residualStride, scale, x, xStride, y, yStride, rows, cols));

    private readonly struct ScaleAddKernel(float* residual, nint residualStride, float* scale, float* x, nint xStride, float* y,
        nint yStride, nint rows, nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            ScaleAdd<TVec>(residual, residualStride, scale, x, xStride, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScaleAdd<TVec>(float* residual, nint residualStride, float* scale, float* x, nint xStride,
        float* y, nint yStride, nint rows, nint cols) where TVec : unmanaged, IVector<TVec>
    {
        for (nint r = 0; r < rows; r++, residual += residualStride, x += xStride, y += yStride)
        {
            nint c = 0;
            for (; c <= cols - TVec.Count; c += TVec.Count)
                TVec.MultiplyAdd(TVec.Load(scale + c), TVec.Load(x + c), TVec.Load(residual + c)).Store(y + c);
            for (; c < cols; c++)
                Lanes1.MultiplyAdd(Lanes1.Load(scale + c), Lanes1.Load(x + c), Lanes1.Load(residual + c)).Store(y + c);
        }
    }

    /// <summary>The definition of <see cref="ScaleAdd"/>.</summary>
    public static void ScaleAddScalar(float* residual, nint residualStride, float* scale, float* x, nint xStride,
        float* y, nint yStride, nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
            for (nint c = 0; c < cols; c++)
                y[r * yStride + c] = (float)(residual[r * residualStride + c] + (double)scale[c] * x[r * xStride + c]);
    }

    /// <summary>
    /// y[r, c] = x[r, c] + table[r mod period, c]: position embeddings, one table for a whole batch. x and y are
    /// [<paramref name="rows"/>, <paramref name="cols"/>] with strides in floats; y may be x. The table is
    /// [<paramref name="period"/>, <paramref name="cols"/>] of <paramref name="type"/>, without gaps. Rounded once.
    /// </summary>
    public static void AddRows(float* x, nint xStride, void* table, FloatType type, nint period, float* y, nint yStride,
        nint rows, nint cols) =>
        Simd.Run(new AddRowsKernel(x, xStride, table, type, period, y, yStride, rows, cols));

    private readonly struct AddRowsKernel(float* x, nint xStride, void* table, FloatType type, nint period, float* y,
        nint yStride, nint rows, nint cols) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            AddRows<TVec>(x, xStride, table, type, period, y, yStride, rows, cols);
    }

    private static void AddRows<TVec>(float* x, nint xStride, void* table, FloatType type, nint period, float* y, nint yStride,
        nint rows, nint cols) where TVec : unmanaged, IVector<TVec>
    {
        if (type == FloatType.F32) AddRows<TVec, F32Format>(x, xStride, table, period, y, yStride, rows, cols);
        else if (type == FloatType.F16) AddRows<TVec, F16Format>(x, xStride, table, period, y, yStride, rows, cols);
        else AddRows<TVec, BF16Format>(x, xStride, table, period, y, yStride, rows, cols);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRows<TVec, TFormat>(float* x, nint xStride, void* table, nint period, float* y, nint yStride,
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

    /// <summary>The definition of <c>AddRows</c>.</summary>
    public static void AddRowsScalar(float* x, nint xStride, void* table, FloatType type, nint period, float* y, nint yStride,
        nint rows, nint cols)
    {
        for (nint r = 0; r < rows; r++)
            for (nint c = 0; c < cols; c++)
                y[r * yStride + c] = x[r * xStride + c] + Widen.Scalar(table, type, r % period * cols + c);
    }
}
