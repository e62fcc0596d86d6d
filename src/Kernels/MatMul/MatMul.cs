using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Holds the operands of y = x Wᵀ and of its epilogue: y = f(x Wᵀ + bias) * scale + residual, or, with
/// <see cref="ActivateLast"/>, y = f((x Wᵀ + bias) * scale + residual).
/// </summary>
internal unsafe struct MatMulArgs
{
    /// <summary>The input, [<see cref="M"/>, <see cref="K"/>].</summary>
    public float* X;

    /// <summary>The row stride of X, in floats.</summary>
    public nint LdX;

    /// <summary>The number of rows of x and y.</summary>
    public int M;

    /// <summary>The number of columns of y: outputs.</summary>
    public int N;

    /// <summary>The number of columns of x: inputs.</summary>
    public int K;

    /// <summary>The weight matrix, contiguous, [N, K] or [K, N] as given by <see cref="Layout"/>.</summary>
    public void* W;

    /// <summary>The number format of W.</summary>
    public FloatType Type;

    /// <summary>The memory layout of W.</summary>
    public WeightLayout Layout;

    /// <summary>The bias, [N], or null for none.</summary>
    public float* Bias;

    /// <summary>The scale (DINO's LayerScale), [N], or null for none.</summary>
    public float* Scale;

    /// <summary>The residual, [M, N], or null for none. It may be Y itself.</summary>
    public float* Residual;

    /// <summary>The row stride of the residual, in floats.</summary>
    public nint LdResidual;

    /// <summary>The result, [M, N]; overwritten. It must not overlap X.</summary>
    public float* Y;

    /// <summary>The row stride of Y, in floats.</summary>
    public nint LdY;

    /// <summary>Whether the activation follows the residual, instead of preceding scale and residual.</summary>
    public bool ActivateLast;

    /// <summary>The number of threads to divide the work for, at least 1. Results do not depend on it.</summary>
    public int Threads;

    /// <summary>
    /// The weights that this thread most likely widens next, which are prefetched during this product; null for none.
    /// </summary>
    public byte* Upcoming;

    /// <summary>The size of the upcoming weights in bytes.</summary>
    public nint UpcomingBytes;
}

/// <summary>
/// Computes dense linear layers. A work item (<see cref="MatMulCut"/>) widens a group of panels of W (<see cref="Panel"/>), which
/// then stay in the L2 cache, and processes its rows in strips. Each strip of x is loaded from memory once, is multiplied by all
/// panels of the group (<see cref="Tile"/>), and produces contiguous parts of rows of y. Bias, activation, scale and residual are
/// applied while a tile is still in the L1 cache. Items are independent, and each value of y is computed by the same operations
/// for any thread and any division of the work, so results depend on neither.
/// <para>Sums run over k in order, in single precision with fused multiply-adds: |error| ≤ k 2⁻²⁴ · Σ|x w| before the
/// epilogue.</para>
/// <para>If there are fewer rows than a tile has, they are first copied to a strip that is padded with zeros. Otherwise the last
/// tile overlaps the tile before it and stores only its new rows. So every tile is complete.</para>
/// </summary>
internal static unsafe class MatMul
{
    /// <summary>
    /// The maximum number of cache lines of the next strip to prefetch per row of a tile. In a group of many panels, fewer are
    /// enough to prefetch the whole strip. More per row would cost as much time as they save.
    /// </summary>
    private const int MostLines = 2;

    /// <summary>
    /// The maximum number of cache lines of weights to prefetch per row of a tile. Weights have a long latency, and a group with
    /// few rows has few tiles during which to prefetch them.
    /// </summary>
    private const int MostWeightLines = 3;

    /// <summary>
    /// Computes the number of independent work items for a product of this shape. An item is a block of rows and a group of
    /// panels; the blocks of the first group precede those of the second. m, n and the number of threads are at least 1.
    /// </summary>
    public static int Items(int m, int n, int k, int threads) =>
        Groups(m, n, k, threads) * new MatMulCut(m, n, k, threads).Blocks;

    /// <summary>
    /// Computes the number of groups of panels. A thread that takes several blocks of one group in sequence packs the group once.
    /// </summary>
    public static int Groups(int m, int n, int k, int threads) => new MatMulCut(m, n, k, threads).Groups;

    /// <summary>
    /// Computes the number of scratch floats that one item needs; 64-byte aligned. They hold a tile, a group of panels and, if x
    /// has fewer rows than a tile, a strip of x.
    /// </summary>
    public static nint ScratchFloats(int m, int n, int k, int threads) => Tile.Rows * (nint)Tile.Columns
        + new MatMulCut(m, n, k, threads).PanelsOfGroup * (nint)Tile.Columns * k + (m < Tile.Rows ? Tile.Rows * (nint)k : 0);

    /// <summary>Computes one work item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="activation">The activation f.</param>
    /// <param name="item">The item, from 0 to <see cref="Items"/> - 1.</param>
    /// <param name="previous">
    /// The item of the same product that last used <paramref name="scratch"/>, or -1 if the memory was last used for anything
    /// else.
    /// </param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats for the calling thread alone.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Execute<TActivation>(in MatMulArgs a, TActivation activation, int item, int previous, float* scratch)
        where TActivation : struct, IActivation
    {
        MatMulCut cut = new(a.M, a.N, a.K, a.Threads);
        int group = item / cut.Blocks, firstPanel = group * cut.PanelsOfGroup;
        int first = firstPanel * Tile.Columns, last = Math.Min(first + cut.PanelsOfGroup * Tile.Columns, a.N);
        int row = cut.Row(item % cut.Blocks), end = cut.Row(item % cut.Blocks + 1);

        float* tile = scratch;
        float* panels = tile + Tile.Rows * Tile.Columns;
        if (previous < 0 || previous / cut.Blocks != group)
        {
            for (int column = first; column < last; column += Tile.Columns)
                Panel.Expand(a.W, a.Type, a.Layout, a.N, a.K, column, panels + (nint)(column - first) * a.K);
        }

        float* x = a.X;
        nint ldx = a.LdX;
        bool few = a.M < Tile.Rows;
        if (few) x = AboveZeros(a, panels + cut.PanelsOfGroup * (nint)Tile.Columns * a.K, out ldx);

        nint rowsOfTiles = Tile.Rows * (nint)cut.PanelsOfGroup, linesOfStrip = Tile.Rows * ldx / 16;
        int lines = (int)Math.Min((linesOfStrip + rowsOfTiles - 1) / rowsOfTiles, MostLines);
        Ahead ahead = new() { LdResult = a.LdY, LdResidual = a.LdResidual, Lines = lines };
        // Prefetch the weights of the next group or, after the last group, those of the following step. Each thread needs all of
        // them and computes about BlocksOfThread blocks per group, so each block prefetches one share.
        byte* upcoming = last < a.N ? (byte*)a.W + RowBytes(a) * last : a.Upcoming;
        nint bytes = last < a.N ? RowBytes(a) * Math.Min(a.N - last, last - first) : a.UpcomingBytes;
        if (last == a.N || a.Layout == WeightLayout.OutIn)
        {
            int share = item % cut.Blocks % MatMulCut.BlocksOfThread;
            ahead.Weights = upcoming + bytes * share / MatMulCut.BlocksOfThread;
            ahead.WeightsEnd = upcoming + bytes * (share + 1) / MatMulCut.BlocksOfThread;
            nint calls = (end - row + Tile.Rows - 1) / Tile.Rows * rowsOfTiles, wanted = bytes / MatMulCut.BlocksOfThread / 64;
            ahead.WeightLines = (int)Math.Min((wanted + calls - 1) / calls, MostWeightLines);
        }
        for (; row < end; row += Tile.Rows)
        {
            int rows = Math.Min(end - row, Tile.Rows), start = few ? 0 : Math.Min(row, a.M - Tile.Rows);
            ahead.Run = (byte*)(x + (start + Tile.Rows) * ldx);
            bool added = a.Residual != null && a.Residual != a.Y;
            for (int column = first; column < last; column += Tile.Columns)
            {
                ahead.Result = a.Y + start * a.LdY + column;
                ahead.Residual = added ? a.Residual + start * a.LdResidual + column : null;
                Tile.Execute(x + start * ldx, ldx, panels + (nint)(column - first) * a.K, a.K, tile, Tile.Columns, &ahead);
                Finish(a, activation, tile + (row - start) * Tile.Columns, row, rows, column,
                    Math.Min(last - column, Tile.Columns));
            }
        }
    }

    private static nint RowBytes(in MatMulArgs a) => (nint)a.K * a.Type.Size();

    /// <summary>Gets the weights that a thread widens first: those of the first group.</summary>
    /// <param name="a">The operands. The values need not be present yet.</param>
    /// <param name="bytes">The size of the weights in bytes; 0 if they are not contiguous.</param>
    public static byte* FirstWeights(in MatMulArgs a, out nint bytes)
    {
        MatMulCut cut = new(a.M, a.N, a.K, a.Threads);
        bytes = a.Layout == WeightLayout.OutIn ? RowBytes(a) * Math.Min(cut.PanelsOfGroup * Tile.Columns, a.N) : 0;
        return (byte*)a.W;
    }

    /// <summary>Copies all rows of x, fewer than a tile has, to a strip and fills its remaining rows with zeros.</summary>
    private static float* AboveZeros(in MatMulArgs a, float* strip, out nint stride)
    {
        stride = a.K;
        for (int r = 0; r < a.M; r++)
        {
            new ReadOnlySpan<float>(a.X + r * a.LdX, a.K)
            .CopyTo(new Span<float>(strip + (nint)r * a.K, a.K));
        }

        for (int r = a.M; r < Tile.Rows; r++) new Span<float>(strip + (nint)r * a.K, a.K).Clear();
        return strip;
    }

    /// <summary>Computes the reference result from the definition, with every sum in double precision.</summary>
    public static void Scalar<TActivation>(in MatMulArgs a, TActivation activation) where TActivation : struct, IActivation
    {
        for (int i = 0; i < a.M; i++)
        {
            for (int j = 0; j < a.N; j++)
            {
                double sum = a.Bias == null ? 0 : a.Bias[j];
                for (int p = 0; p < a.K; p++)
                    sum += (double)a.X[i * a.LdX + p] * Weight(a, j, p);
                if (!a.ActivateLast) sum = activation.Scalar(sum);
                if (a.Scale != null) sum *= a.Scale[j];
                if (a.Residual != null) sum += a.Residual[i * a.LdResidual + j];
                if (a.ActivateLast) sum = activation.Scalar(sum);
                a.Y[i * a.LdY + j] = (float)sum;
            }
        }
    }

    private static double Weight(in MatMulArgs a, int output, int input) =>
        a.Type.Read(a.W, a.Layout == WeightLayout.OutIn ? (nint)output * a.K + input : (nint)input * a.N + output);

    /// <summary>Applies bias, activation, scale and residual to the valid part of a tile and stores it.</summary>
    internal static void Finish<TActivation>(
        in MatMulArgs a, TActivation activation, float* tile, int row, int rows, int column, int width)
        where TActivation : struct, IActivation
    {
        if (Simd.Lanes == 16) Finish<Lanes16, TActivation>(a, activation, tile, row, rows, column, width);
        else if (Simd.Lanes == 8) Finish<Lanes8, TActivation>(a, activation, tile, row, rows, column, width);
        else if (Simd.Lanes == 4) Finish<Lanes4, TActivation>(a, activation, tile, row, rows, column, width);
        else Finish<Lanes1, TActivation>(a, activation, tile, row, rows, column, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish<TVec, TActivation>(
        in MatMulArgs a, TActivation activation, float* tile, int row, int rows, int column, int width)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        int c = 0;
        for (; c <= width - TVec.Count; c += TVec.Count)
            FinishColumn<TVec, TActivation>(a, activation, tile + c, row, rows, column + c);
        for (; c < width; c++) FinishColumn<Lanes1, TActivation>(a, activation, tile + c, row, rows, column + c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FinishColumn<TVec, TActivation>(
        in MatMulArgs a, TActivation activation, float* tile, int row, int rows, int column)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        TVec bias = a.Bias == null ? TVec.Zero : TVec.Load(a.Bias + column);
        float* y = a.Y + row * a.LdY + column;
        if (a.Scale == null && a.Residual == null)
        {
            for (; rows > 0; rows--, tile += Tile.Columns, y += a.LdY) activation.Invoke(TVec.Load(tile) + bias).Store(y);
            return;
        }
        TVec scale = a.Scale == null ? TVec.Broadcast(1) : TVec.Load(a.Scale + column);
        float* residual = a.Residual == null ? null : a.Residual + row * a.LdResidual + column;
        for (; rows > 0; rows--, tile += Tile.Columns, y += a.LdY)
        {
            TVec v = TVec.Load(tile) + bias;
            if (!a.ActivateLast) v = activation.Invoke(v);
            if (residual == null)
            {
                v *= scale;
            }
            else
            {
                v = TVec.MultiplyAdd(v, scale, TVec.Load(residual));
                residual += a.LdResidual;
            }
            if (a.ActivateLast) v = activation.Invoke(v);
            v.Store(y);
        }
    }
}
