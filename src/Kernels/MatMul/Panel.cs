using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Packs the B operand of <see cref="Tile"/>: <see cref="Tile.Columns"/> output columns of a weight matrix as
/// [k][<see cref="Tile.Columns"/>] floats. The weights are widened and transposed just before use, so the stored weights remain
/// unchanged in the mapped file.
/// </summary>
internal static unsafe class Panel
{
    /// <summary>The largest finite binary16 magnitude, shifted to the bit positions of a float.</summary>
    private const int LargestFinite = 0x0F7FFFFF;

    /// <summary>Fills a panel. Columns beyond the matrix are zero.</summary>
    /// <param name="w">The matrix, contiguous.</param>
    /// <param name="type">The number format of the matrix.</param>
    /// <param name="layout">The layout: [n, k] or [k, n].</param>
    /// <param name="n">The number of outputs of the whole matrix.</param>
    /// <param name="k">The number of inputs.</param>
    /// <param name="first">The first output of the panel.</param>
    /// <param name="panel">The result, k * <see cref="Tile.Columns"/> floats.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]    // inlined into its callers, it would make their loops slower
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
    /// Transposes rows of k elements, which start at element <paramref name="at"/> with stride <paramref name="stride"/>, in
    /// blocks of Count x Count.
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
            if (typeof(TFormat) == typeof(F16Format) && lanes >= 8 && rows == lanes)
            {
                for (; p <= k - 2 * lanes; p += 2 * lanes)
                {
                    if (!TurnHalves<TVec>((ushort*)w + from + p, stride, panel + (nint)p * columns + c))
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

    /// <summary>Transposes Count inputs of at most Count rows. Missing rows are filled with zeros.</summary>
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
    /// Transposes and widens 2 Count inputs of Count rows of binary16 numbers. Adjacent numbers are transposed together as 32 bits and
    /// widened afterward, which takes half the shuffles. Infinities and NaN are not converted correctly.
    /// </summary>
    /// <returns>true if all numbers are finite; otherwise the result is wrong and must be overwritten.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TurnHalves<TVec>(ushort* w, nint stride, float* panel) where TVec : unmanaged, IVector<TVec> =>
        TVec.Count == 16 ? TurnHalves16(w, stride, panel) : TurnHalves8(w, stride, panel);

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool TurnHalves16(ushort* w, nint stride, float* panel)
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
        return !Vector512.GreaterThanAny(largest, Vector512.Create(LargestFinite));

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

    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool TurnHalves8(ushort* w, nint stride, float* panel)
    {
        const int columns = 16;
        Vector256<float>* block = stackalloc Vector256<float>[8];
        for (int r = 0; r < 8; r++) block[r] = Vector256.Load(w + r * stride).AsSingle();
        Transpose.TurnFours(block);
        Vector256<int> largest = Vector256<int>.Zero;
        for (int j = 0; j < 4; j++, panel += 2 * columns)
        {
            Transpose.Columns(block, j, out Vector256<float> c0, out Vector256<float> c4);
            WidenPair(c0.AsInt32(), panel, ref largest);
            WidenPair(c4.AsInt32(), panel + 8 * columns, ref largest);
        }
        return !Vector256.GreaterThanAny(largest, Vector256.Create(LargestFinite));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void WidenPair(Vector256<int> pair, float* y, ref Vector256<int> largest)
        {
            Vector256<int> low = (pair & Vector256.Create(0x7FFF)) << 13, high = (pair >>> 3) & Vector256.Create(0x0FFFE000);
            Vector256<int> sign = Vector256.Create(int.MinValue);
            (Lanes8.Rebiased(low).AsInt32() | ((pair << 16) & sign)).AsSingle().Store(y);
            (Lanes8.Rebiased(high).AsInt32() | (pair & sign)).AsSingle().Store(y + columns);
            largest = Vector256.Max(largest, Vector256.Max(low, high));
        }
    }

    /// <summary>
    /// Copies k rows that are already in panel order. They start at element <paramref name="at"/> with stride
    /// <paramref name="stride"/>.
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
