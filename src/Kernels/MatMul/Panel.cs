using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>How the weight matrix of y = x Wᵀ lies in memory.</summary>
public enum WeightLayout
{
    /// <summary>[out, in], PyTorch's <c>Linear.weight</c>: y = x Wᵀ.</summary>
    OutIn,

    /// <summary>[in, out], as CLIP keeps <c>text_projection</c>: y = x W.</summary>
    InOut,
}

/// <summary>
/// The B operand of <see cref="Tile"/>: <see cref="Tile.Columns"/> output columns of a weight matrix as [k]
/// [<see cref="Tile.Columns"/>] floats, widened and turned just before use, so that the weights themselves stay as they are in
/// the mapped file.
/// </summary>
public static unsafe class Panel
{
    /// <summary>Fills a panel. Columns past the matrix are zero.</summary>
    /// <param name="w">The matrix, contiguous.</param>
    /// <param name="type">Its number format.</param>
    /// <param name="layout">[n, k] or [k, n].</param>
    /// <param name="n">Outputs of the whole matrix.</param>
    /// <param name="k">Inputs.</param>
    /// <param name="first">First output of the panel.</param>
    /// <param name="panel">k * <see cref="Tile.Columns"/> floats.</param>
    public static void Expand(void* w, FloatType type, WeightLayout layout, int n, int k, int first, float* panel)
    {
        if (type == FloatType.F16) Expand<F16Format>(w, layout, n, k, first, panel);
        else if (type == FloatType.BF16) Expand<BF16Format>(w, layout, n, k, first, panel);
        else Expand<F32Format>(w, layout, n, k, first, panel);
    }

    private static void Expand<TFormat>(void* w, WeightLayout layout, int n, int k, int first, float* panel)
        where TFormat : struct, IFloatFormat
    {
        int width = Math.Min(n - first, Tile.Columns);
        if (Simd.Lanes == 16) Expand<TFormat, Lanes16>(w, layout, n, k, first, width, panel);
        else if (Simd.Lanes == 8) Expand<TFormat, Lanes8>(w, layout, n, k, first, width, panel);
        else if (Simd.Lanes == 4) Expand<TFormat, Lanes4>(w, layout, n, k, first, width, panel);
        else Expand<TFormat, Lanes1>(w, layout, n, k, first, width, panel);
    }

    private static void Expand<TFormat, TVec>(void* w, WeightLayout layout, int n, int k, int first, int width, float* panel)
        where TFormat : struct, IFloatFormat where TVec : unmanaged, IVector<TVec>
    {
        if (layout == WeightLayout.OutIn) Turn<TFormat, TVec>(w, (nint)first * k, k, width, k, panel);
        else Copy<TFormat, TVec>(w, first, n, width, k, panel);
    }

    /// <summary>
    /// Rows of k, from element <paramref name="at"/> on and <paramref name="stride"/> apart, turned Count x Count at a time.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Turn<TFormat, TVec>(void* w, nint at, nint stride, int width, int k, float* panel)
        where TFormat : struct, IFloatFormat where TVec : unmanaged, IVector<TVec>
    {
        int lanes = TVec.Count, columns = 2 * lanes;
        TVec* block = stackalloc TVec[lanes];
        for (int c = 0; c < columns; c += lanes)
        {
            int rows = Math.Clamp(width - c, 0, lanes);
            nint from = at + c * stride;
            int p = 0;
            for (; p <= k - lanes; p += lanes)
            {
                for (int r = 0; r < rows; r++) block[r] = TFormat.Load<TVec>(w, from + r * stride + p);
                for (int r = rows; r < lanes; r++) block[r] = TVec.Zero;
                Transpose.Store(block, panel + (nint)p * columns + c, columns);
            }
            for (; p < k; p++)
            {
                float* to = panel + (nint)p * columns + c;
                for (int r = 0; r < rows; r++) TFormat.Load<Lanes1>(w, from + r * stride + p).Store(to + r);
                for (int r = rows; r < lanes; r++) to[r] = 0;
            }
        }
    }

    /// <summary>
    /// Rows that already run along the panel, k of them, from element <paramref name="at"/> on and <paramref name="stride"/>
    /// apart.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Copy<TFormat, TVec>(void* w, nint at, nint stride, int width, int k, float* panel)
        where TFormat : struct, IFloatFormat where TVec : unmanaged, IVector<TVec>
    {
        int lanes = TVec.Count, columns = 2 * lanes;
        for (int p = 0; p < k; p++, at += stride, panel += columns)
        {
            int c = 0;
            for (; c <= width - lanes; c += lanes) TFormat.Load<TVec>(w, at + c).Store(panel + c);
            for (; c < width; c++) TFormat.Load<Lanes1>(w, at + c).Store(panel + c);
            for (; c < columns; c++) panel[c] = 0;
        }
    }
}
