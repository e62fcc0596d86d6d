using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// The B operand of <see cref="Tile"/>: <see cref="Tile.Columns"/> output columns of a weight matrix as [k]
/// [<see cref="Tile.Columns"/>] floats, widened and turned just before use, so that the weights themselves stay as they are in
/// the mapped file.
/// </summary>
internal static unsafe class Panel
{
    /// <summary>Fills a panel. Columns past the matrix are zero.</summary>
    /// <param name="w">The matrix, contiguous.</param>
    /// <param name="type">Its number format.</param>
    /// <param name="layout">[n, k] or [k, n].</param>
    /// <param name="n">Outputs of the whole matrix.</param>
    /// <param name="k">Inputs.</param>
    /// <param name="first">First output of the panel.</param>
    /// <param name="panel">k * <see cref="Tile.Columns"/> floats.</param>
    [MethodImpl(MethodImplOptions.NoInlining)] // as part of its callers it would crowd their loops
    public static void Expand(void* w, FloatType type, WeightLayout layout, int n, int k, int first, float* panel)
    {
        if (type == FloatType.F16) Expand<F16Format>(w, layout, n, k, first, panel);
        else if (type == FloatType.BF16) Expand<BF16Format>(w, layout, n, k, first, panel);
        else Expand<F32Format>(w, layout, n, k, first, panel);
    }

    private static void Expand<TFormat>(void* w, WeightLayout layout, int n, int k, int first, float* panel)
        where TFormat : struct, IFloatFormat =>
        Simd.Run(new Kernel<TFormat>(w, layout, n, k, first, panel));

    private readonly struct Kernel<TFormat>(void* w, WeightLayout layout, int n, int k, int first, float* panel) : IWideKernel
        where TFormat : struct, IFloatFormat
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> =>
            Expand<TFormat, TVec>(w, layout, n, k, first, panel);
    }

    private static void Expand<TFormat, TVec>(void* w, WeightLayout layout, int n, int k, int first, float* panel)
        where TFormat : struct, IFloatFormat where TVec : unmanaged, IVector<TVec>
    {
        int width = Math.Min(n - first, Tile.Columns);
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
        for (int c = 0; c < columns; c += lanes)
        {
            int rows = Math.Clamp(width - c, 0, lanes);
            nint from = at + c * stride;
            int p = 0;
            if (typeof(TFormat) == typeof(F16Format) && typeof(TVec) == typeof(Lanes16) && rows == lanes)
            {
                for (; p <= k - 2 * lanes; p += 2 * lanes)
                {
                    if (!TurnHalves((ushort*)w + from + p, stride, panel + (nint)p * columns + c))
                    {
                        TurnSquare<TFormat, TVec>(w, from + p, stride, rows, panel + (nint)p * columns + c);
                        TurnSquare<TFormat, TVec>(w, from + p + lanes, stride, rows, panel + (nint)(p + lanes) * columns + c);
                    }
                }
            }

            for (; p <= k - lanes; p += lanes)
                TurnSquare<TFormat, TVec>(w, from + p, stride, rows, panel + (nint)p * columns + c);
            for (; p < k; p++)
            {
                float* to = panel + (nint)p * columns + c;
                for (int r = 0; r < rows; r++) TFormat.Load<Lanes1>(w, from + r * stride + p).Store(to + r);
                for (int r = rows; r < lanes; r++) to[r] = 0;
            }
        }
    }

    /// <summary>Count inputs of at most Count rows, with zeros for those that are missing.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TurnSquare<TFormat, TVec>(void* w, nint at, nint stride, int rows, float* panel)
        where TFormat : struct, IFloatFormat where TVec : unmanaged, IVector<TVec>
    {
        TVec* block = stackalloc TVec[TVec.Count];
        for (int r = 0; r < rows; r++) block[r] = TFormat.Load<TVec>(w, at + r * stride);
        for (int r = rows; r < TVec.Count; r++) block[r] = TVec.Zero;
        Transpose.Store(block, panel, 2 * TVec.Count);
    }

    /// <summary>
    /// 32 inputs of 16 rows of halves: neighbours are turned together, as 32 bits, and widened afterwards, which takes half of the
    /// shuffles. Infinities and NaN do not come out right.
    /// </summary>
    /// <returns>Whether all were finite; else what it wrote has to be written anew.</returns>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool TurnHalves(ushort* w, nint stride, float* panel)
    {
        const int columns = 32;
        Vector512<float>* block = stackalloc Vector512<float>[16];
        for (int r = 0; r < 16; r++) block[r] = Vector512.Load(w + r * stride).AsSingle();
        Transpose.TurnFours(block);
        Vector512<int> largest = Vector512<int>.Zero;
        for (int j = 0; j < 4; j++, panel += 2 * columns)
        {
            Transpose.Columns(block, j, out Vector512<float> c0, out Vector512<float> c4, out Vector512<float> c8,
                out Vector512<float> c12);
            WidenPair(c0.AsInt32(), panel, ref largest);
            WidenPair(c4.AsInt32(), panel + 8 * columns, ref largest);
            WidenPair(c8.AsInt32(), panel + 16 * columns, ref largest);
            WidenPair(c12.AsInt32(), panel + 24 * columns, ref largest);
        }
        return !Vector512.GreaterThanAny(largest, Vector512.Create(0x0F7FFFFF));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void WidenPair(Vector512<int> pair, float* y, ref Vector512<int> largest)
        {
            Vector512<int> low = (pair & Vector512.Create(0x7FFF)) << 13, high = (pair >>> 3) & Vector512.Create(0x0FFFE000);
            Vector512<int> sign = Vector512.Create(int.MinValue);
            (Lanes16.Rebiased(low).AsInt32() | ((pair << 16) & sign)).AsSingle().Store(y);
            (Lanes16.Rebiased(high).AsInt32() | (pair & sign)).AsSingle().Store(y + columns);
            largest = Vector512.Max(largest, Vector512.Max(low, high));
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
