using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// The operands of y = x Wᵀ with everything that a network puts around it:
/// y = f(x Wᵀ + bias) * scale + residual, or, with <see cref="ActivateLast"/>, y = f((x Wᵀ + bias) * scale + residual).
/// </summary>
internal unsafe struct MatMulArgs
{
    /// <summary>[<see cref="M"/>, <see cref="K"/>].</summary>
    public float* X;

    /// <summary>Row stride of X, in floats.</summary>
    public nint LdX;

    /// <summary>Rows of x and y.</summary>
    public int M;

    /// <summary>Columns of y: outputs.</summary>
    public int N;

    /// <summary>Columns of x: inputs.</summary>
    public int K;

    /// <summary>The weight matrix, contiguous, [N, K] or [K, N] by <see cref="Layout"/>.</summary>
    public void* W;

    /// <summary>Number format of W.</summary>
    public FloatType Type;

    /// <summary>Which way W lies.</summary>
    public WeightLayout Layout;

    /// <summary>[N], or null for none.</summary>
    public float* Bias;

    /// <summary>[N], or null for none: DINO's LayerScale.</summary>
    public float* Scale;

    /// <summary>[M, N], or null for none. May be Y itself.</summary>
    public float* Residual;

    /// <summary>Row stride of the residual, in floats.</summary>
    public nint LdResidual;

    /// <summary>[M, N], overwritten. May not overlap X.</summary>
    public float* Y;

    /// <summary>Row stride of Y, in floats.</summary>
    public nint LdY;

    /// <summary>Whether the activation comes after the residual instead of before scale and residual.</summary>
    public bool ActivateLast;

    /// <summary>Threads that the work is cut for, at least 1. Results do not depend on it.</summary>
    public int Threads;

    /// <summary>
    /// The weights that this thread will most likely widen after these, which are asked for meanwhile; null for nothing.
    /// </summary>
    public byte* Upcoming;

    /// <summary>Bytes of them.</summary>
    public nint UpcomingBytes;
}

/// <summary>
/// Dense linear layers. An item (<see cref="MatMulCut"/>) widens a group of panels of W (<see cref="Panel"/>), which then lie in
/// the second-level cache, and goes down its rows strip by strip: every strip of x is read from further away once, meets all
/// panels of the group by <see cref="Tile"/>, and leaves whole stretches of rows of y behind. Bias, activation, scale and residual
/// are applied while a tile is still in the first-level cache. Items are independent, and a value of y is computed by the same
/// operations whichever thread takes its item and however the work is cut, so results depend on neither.
/// <para>Sums run over k in order, in single precision with fused multiply-adds: |error| ≤ k 2⁻²⁴ · Σ|x w| before the
/// epilogue.</para>
/// <para>When there are fewer rows than a tile has, they are first copied above zeros; elsewhere the last tile overlaps the one
/// before it and stores only its new rows. So every tile is a full one.</para>
/// </summary>
internal static unsafe class MatMul
{
    /// <summary>
    /// Cache lines of the next strip to ask for with each row of a tile. A group of many panels has brought the whole strip by
    /// then; to ask for more at a time would cost what it gains.
    /// </summary>
    private const int MostLines = 2;

    /// <summary>The same for weights. They come from far away, and a group of few rows has little time to ask for them.</summary>
    private const int MostWeightLines = 3;

    /// <summary>
    /// How many independent items the product of this shape is cut into: a block of rows and a group of panels each, the blocks
    /// of the first group before those of the second; m, n and the number of threads at least 1.
    /// </summary>
    public static int Items(int m, int n, int k, int threads) =>
        Groups(m, n, k, threads) * new MatMulCut(m, n, k, threads).Blocks;

    /// <summary>
    /// How many groups of panels that is. A thread that takes several blocks of one group after each other lays it out once.
    /// </summary>
    public static int Groups(int m, int n, int k, int threads) => new MatMulCut(m, n, k, threads).Groups;

    /// <summary>
    /// Floats of scratch that one item needs; 64-byte aligned: a tile, a group of panels, and a strip of x where x has less than
    /// one.
    /// </summary>
    public static nint ScratchFloats(int m, int n, int k, int threads) => Tile.Rows * (nint)Tile.Columns
        + new MatMulCut(m, n, k, threads).PanelsOfGroup * (nint)Tile.Columns * k + (m < Tile.Rows ? Tile.Rows * (nint)k : 0);

    /// <summary>Computes one item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="activation">f.</param>
    /// <param name="item">0 up to <see cref="Items"/>.</param>
    /// <param name="previous">
    /// The item of the same product for which <paramref name="scratch"/> was last used; -1 where it was used for anything else.
    /// </param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats, this thread's own.</param>
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
        // The next group's weights, or those of whatever follows: each thread needs all, and computes about as many blocks.
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

    /// <summary>The weights that a thread widens first: those of the first group.</summary>
    /// <param name="a">The operands, of which the values need not be there.</param>
    /// <param name="bytes">How many bytes they are; 0 where they do not lie together.</param>
    public static byte* FirstWeights(in MatMulArgs a, out nint bytes)
    {
        MatMulCut cut = new(a.M, a.N, a.K, a.Threads);
        bytes = a.Layout == WeightLayout.OutIn ? RowBytes(a) * Math.Min(cut.PanelsOfGroup * Tile.Columns, a.N) : 0;
        return (byte*)a.W;
    }

    /// <summary>All rows of x, fewer than a tile's, with rows of zeros after them.</summary>
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

    /// <summary>The definition, every sum in double precision.</summary>
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

    /// <summary>Bias, activation, scale and residual for the valid part of a tile, and the store.</summary>
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
