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
/// <para>When there are fewer rows than a tile has, they are first copied below zeros; elsewhere the last tile overlaps the one
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

    /// <summary>
    /// Whether strips of x are copied before use: rows a multiple of 4 KiB apart all fall into one set of the
    /// first-level cache and push each other out. It pays where several panels share the copy.
    /// </summary>
    private static bool RowsCollide(nint ldx, int k) => ldx % 1024 == 0 && PanelsOfItem(ldx, k) > 1;

    /// <summary>Panels of an item: one, or, where strips are copied, as many as leave room in the second-level cache.</summary>
    private static int PanelsOfItem(nint ldx, int k) => ldx % 1024 == 0 ? Math.Clamp(131072 / (k * Tile.Columns), 1, 4) : 1;

    /// <summary>Rows of an item: all of them, if the panels alone are items enough for the threads.</summary>
    private static int RowsOfItem(int m, int n, int k, nint ldx)
    {
        int columns = PanelsOfItem(ldx, k) * Tile.Columns, groups = (n + columns - 1) / columns;
        int forThreads = (ItemsOfThread * Environment.ProcessorCount + groups - 1) / groups;
        int forCache = (int)((long)m * k / MostElements) + 1;
        int blocks = Math.Clamp(Math.Max(forThreads, forCache), 1, Math.Max(m / FewRows, 1));
        int rows = (m + blocks - 1) / blocks;
        return (rows + Tile.Rows - 1) / Tile.Rows * Tile.Rows;
    }

    /// <summary>How many independent items the product of this shape is cut into; m, n at least 1.</summary>
    public static int Items(int m, int n, int k, nint ldx)
    {
        int rows = RowsOfItem(m, n, k, ldx), columns = PanelsOfItem(ldx, k) * Tile.Columns;
        return (m + rows - 1) / rows * ((n + columns - 1) / columns);
    }

    /// <summary>Floats of scratch that one item needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(int k, nint ldx) =>
        Tile.Rows * (nint)Tile.Columns + PanelsOfItem(ldx, k) * (nint)k * Tile.Columns + Tile.Rows * StripStride(k);

    /// <summary>Row stride of a copied strip: not a multiple of 4 KiB.</summary>
    private static nint StripStride(int k) => k + 16;

    /// <summary>Computes one item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="activation">f.</param>
    /// <param name="item">0 up to <see cref="Items"/>.</param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats, this thread's own.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Execute<TActivation>(in MatMulArgs a, TActivation activation, int item, float* scratch)
        where TActivation : struct, IActivation
    {
        int columnsOfItem = PanelsOfItem(a.LdX, a.K) * Tile.Columns, rowsOfItem = RowsOfItem(a.M, a.N, a.K, a.LdX);
        int groups = (a.N + columnsOfItem - 1) / columnsOfItem;
        int first = item % groups * columnsOfItem, last = Math.Min(first + columnsOfItem, a.N);
        int row = item / groups * rowsOfItem, end = Math.Min(row + rowsOfItem, a.M);

        float* tile = scratch;
        float* panels = tile + Tile.Rows * Tile.Columns;
        float* strip = panels + (nint)columnsOfItem * a.K;
        for (int column = first; column < last; column += Tile.Columns)
            Panel.Expand(a.W, a.Type, a.Layout, a.N, a.K, column, panels + (nint)(column - first) * a.K);

        bool copied = a.M < Tile.Rows || RowsCollide(a.LdX, a.K);
        for (; row < end; row += Tile.Rows)
        {
            int rows = Math.Min(end - row, Tile.Rows), start = copied ? row : Math.Min(row, a.M - Tile.Rows);
            float* x = a.X + start * a.LdX;
            nint ldx = a.LdX;
            if (copied)
            {
                Copy(x, ldx, rows, a.K, strip);
                x = strip;
                ldx = StripStride(a.K);
            }
            for (int column = first; column < last; column += Tile.Columns)
            {
                Fetch(a, row, rows, column);
                Tile.Execute(x, ldx, panels + (nint)(column - first) * a.K, a.K, tile, Tile.Columns);
                float* wanted = tile + (row - start) * Tile.Columns;
                Finish(a, activation, wanted, row, rows, column, Math.Min(last - column, Tile.Columns));
            }
        }
    }

    /// <summary>Asks for the residual that the epilogue will read, so that it arrives while the tile is computed.</summary>
    private static void Fetch(in MatMulArgs a, int row, int rows, int column)
    {
        if (!Sse.IsSupported || a.Residual == null) return;
        for (float* p = a.Residual + row * a.LdResidual + column; rows > 0; rows--, p += a.LdResidual)
        {
            Sse.Prefetch0(p);
            Sse.Prefetch0(p + 16);
        }
    }

    /// <summary>Some rows of x, and zeros for those that a tile has more.</summary>
    private static void Copy(float* x, nint ldx, int rows, int k, float* strip)
    {
        for (int r = 0; r < Tile.Rows; r++, x += ldx, strip += StripStride(k))
        {
            Span<float> to = new(strip, k);
            if (r < rows) new ReadOnlySpan<float>(x, k).CopyTo(to);
            else to.Clear();
        }
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
