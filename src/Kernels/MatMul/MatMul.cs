using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// The operands of y = x Wᵀ with everything that a network puts around it:
/// y = f(x Wᵀ + bias) * scale + residual, or, with <see cref="ActivateLast"/>, y = f((x Wᵀ + bias) * scale + residual).
/// </summary>
public unsafe struct MatMulArgs
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
}

/// <summary>
/// Dense linear layers. The work is cut into items: an item widens a panel of W once (<see cref="Panel"/>), then runs
/// <see cref="Tile"/> down its rows, with bias, activation, scale and residual applied while a tile is still in the first-level
/// cache. Items are independent, and a value of y is computed by the same operations whichever thread takes its item and
/// however the work is cut, so results depend on neither.
/// <para>Sums run over k in order, in single precision with fused multiply-adds: |error| ≤ k 2⁻²⁴ · Σ|x w| before the
/// epilogue.</para>
/// <para>When there are fewer rows than a tile has, they are first copied above zeros; elsewhere the last tile overlaps the one
/// before it and stores only its new rows. So every tile is a full one.</para>
/// </summary>
public static unsafe class MatMul
{
    /// <summary>Items that each thread should find, so that none waits long for the last.</summary>
    private const int ItemsOfThread = 6;

    /// <summary>Rows below which an item is not cut further: widening a panel costs as much as some sixteen rows of it.</summary>
    private const int FewRows = 192;

    /// <summary>
    /// Elements of x that an item reads at most: they come by again for the next panel, and should still be in the third-level
    /// cache.
    /// </summary>
    private const int MostElements = 1 << 21;

    /// <summary>Rows of an item: all of them, if the panels alone are items enough for the threads.</summary>
    private static int RowsOfItem(int m, int n, int k)
    {
        int panels = Panels(n), forThreads = (ItemsOfThread * Environment.ProcessorCount + panels - 1) / panels;
        int forCache = (int)((long)m * k / MostElements) + 1;
        int blocks = Math.Clamp(Math.Max(forThreads, forCache), 1, Math.Max(m / FewRows, 1));
        int rows = (m + blocks - 1) / blocks;
        return (rows + Tile.Rows - 1) / Tile.Rows * Tile.Rows;
    }

    /// <summary>How many independent items the product of this shape is cut into; m, n at least 1.</summary>
    public static int Items(int m, int n, int k)
    {
        int rows = RowsOfItem(m, n, k);
        return (m + rows - 1) / rows * Panels(n);
    }

    private static int Panels(int n) => (n + Tile.Columns - 1) / Tile.Columns;

    /// <summary>
    /// Floats of scratch that one item needs; 64-byte aligned: a tile, a panel, and a strip of x where x has less than one.
    /// </summary>
    public static nint ScratchFloats(int k) => Tile.Rows * (nint)Tile.Columns + (nint)k * Tile.Columns + Tile.Rows * (nint)k;

    /// <summary>Computes one item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="activation">f.</param>
    /// <param name="item">0 up to <see cref="Items"/>.</param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats, this thread's own.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Execute<TActivation>(in MatMulArgs a, TActivation activation, int item, float* scratch)
        where TActivation : struct, IActivation
    {
        int panels = Panels(a.N), rowsOfItem = RowsOfItem(a.M, a.N, a.K);
        int column = item % panels * Tile.Columns, width = Math.Min(a.N - column, Tile.Columns);
        int row = item / panels * rowsOfItem, end = Math.Min(row + rowsOfItem, a.M);

        float* tile = scratch;
        float* panel = tile + Tile.Rows * Tile.Columns;
        Panel.Expand(a.W, a.Type, a.Layout, a.N, a.K, column, panel);
        float* x = a.X;
        nint ldx = a.LdX;
        bool few = a.M < Tile.Rows;
        if (few) x = AboveZeros(a, panel + (nint)Tile.Columns * a.K, out ldx);

        byte* ahead = WeightsAhead(a, column + (1 + Environment.ProcessorCount) * Tile.Columns, out nint left);
        nint share = left * Tile.Rows / Math.Max(end - row, Tile.Rows) + 64;
        for (; row < end; row += Tile.Rows)
        {
            for (nint until = Math.Max(left - share, 0); left > until; left -= 64, ahead += 64) Sse.Prefetch1(ahead);
            int rows = Math.Min(end - row, Tile.Rows), start = few ? 0 : Math.Min(row, a.M - Tile.Rows);
            Fetch(a, row, rows, column);
            Tile.Execute(x + start * ldx, ldx, panel, a.K, tile, Tile.Columns);
            Finish(a, activation, tile + (row - start) * Tile.Columns, row, rows, column, width);
        }
    }

    /// <summary>
    /// The weights of the item after next, so far as they are one piece: a thread asks for them strip by strip, since its own
    /// panel's, read in short rows, come from memory too late.
    /// </summary>
    private static byte* WeightsAhead(in MatMulArgs a, int first, out nint bytes)
    {
        nint row = (nint)a.K * a.Type.Size();
        bytes = Sse.IsSupported && a.Layout == WeightLayout.OutIn ? Math.Clamp(a.N - first, 0, Tile.Columns) * row : 0;
        return (byte*)a.W + first * row;
    }

    /// <summary>Asks for what the epilogue will read and overwrite, so that it arrives while the tile is computed.</summary>
    private static void Fetch(in MatMulArgs a, int row, int rows, int column)
    {
        if (!Sse.IsSupported) return;
        Fetch(a.Y + row * a.LdY + column, a.LdY, rows);
        if (a.Residual != null && a.Residual != a.Y) Fetch(a.Residual + row * a.LdResidual + column, a.LdResidual, rows);
    }

    private static void Fetch(float* p, nint stride, int rows)
    {
        for (; rows > 0; rows--, p += stride)
        {
            Sse.Prefetch0(p);
            Sse.Prefetch0(p + 16);
        }
    }

    /// <summary>All rows of x, fewer than a tile's, with rows of zeros after them.</summary>
    private static float* AboveZeros(in MatMulArgs a, float* strip, out nint stride)
    {
        stride = a.K;
        for (int r = 0; r < a.M; r++) new ReadOnlySpan<float>(a.X + r * a.LdX, a.K)
            .CopyTo(new Span<float>(strip + (nint)r * a.K, a.K));
        for (int r = a.M; r < Tile.Rows; r++) new Span<float>(strip + (nint)r * a.K, a.K).Clear();
        return strip;
    }

    /// <summary>The definition, every sum in double precision.</summary>
    public static void ExecuteScalar<TActivation>(in MatMulArgs a, TActivation activation) where TActivation : struct, IActivation
    {
        for (int i = 0; i < a.M; i++)
            for (int j = 0; j < a.N; j++)
            {
                double sum = a.Bias == null ? 0 : a.Bias[j];
                for (int p = 0; p < a.K; p++)
                    sum += (double)a.X[i * a.LdX + p] * WeightScalar(a, j, p);
                if (!a.ActivateLast) sum = activation.Scalar(sum);
                if (a.Scale != null) sum *= a.Scale[j];
                if (a.Residual != null) sum += a.Residual[i * a.LdResidual + j];
                if (a.ActivateLast) sum = activation.Scalar(sum);
                a.Y[i * a.LdY + j] = (float)sum;
            }
    }

    private static double WeightScalar(in MatMulArgs a, int output, int input)
    {
        nint at = a.Layout == WeightLayout.OutIn ? (nint)output * a.K + input : (nint)input * a.N + output;
        return a.Type switch
        {
            FloatType.F16 => (double)((Half*)a.W)[at],
            FloatType.BF16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)a.W)[at] << 16),
            _ => ((float*)a.W)[at],
        };
    }

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
        TVec scale = a.Scale == null ? TVec.Broadcast(1) : TVec.Load(a.Scale + column);
        bool activateLast = a.ActivateLast;
        float* y = a.Y + row * a.LdY + column;
        float* residual = a.Residual == null ? null : a.Residual + row * a.LdResidual + column;
        for (; rows > 0; rows--, tile += Tile.Columns, y += a.LdY)
        {
            TVec v = TVec.Load(tile) + bias;
            if (!activateLast) v = activation.Invoke(v);
            if (residual == null) v *= scale;
            else
            {
                v = TVec.MultiplyAdd(v, scale, TVec.Load(residual));
                residual += a.LdResidual;
            }
            if (activateLast) v = activation.Invoke(v);
            v.Store(y);
        }
    }
}
