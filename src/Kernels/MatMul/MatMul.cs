using System.Runtime.CompilerServices;

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
/// Dense linear layers. The work is cut into items, each one panel of outputs by one block of rows: an item widens its panel of W once
/// (<see cref="Panel"/>), then runs <see cref="Tile"/> down its rows, with bias, activation, scale and residual applied while a tile is still in
/// the first-level cache. Items are independent, and a value of y is computed by the same operations whichever thread takes its item, so
/// results do not depend on the number of threads.
/// <para>Sums run over k in order, in single precision with fused multiply-adds: |error| ≤ k 2⁻²⁴ · Σ|x w| before the epilogue.</para>
/// <para>When there are fewer rows than a tile has, they are first copied below zeros; elsewhere the last tile overlaps the one before it and
/// stores only its new rows. So every tile is a full one.</para>
/// </summary>
public static unsafe class MatMul
{
    /// <summary>Rows of x that a block covers: about half a megabyte of them, so that a block stays in the second-level cache between panels.</summary>
    private static int RowsOfBlock(int m, int k)
    {
        int most = Math.Max(131072 / Math.Max(k, 1), 16 * Tile.Rows);
        int blocks = (m + most - 1) / most;
        int rows = (m + blocks - 1) / blocks;
        return (rows + Tile.Rows - 1) / Tile.Rows * Tile.Rows;
    }

    /// <summary>How many independent items the product of this shape is cut into; m, n at least 1.</summary>
    public static int Items(int m, int n, int k)
    {
        int rows = RowsOfBlock(m, k);
        return (m + rows - 1) / rows * ((n + Tile.Columns - 1) / Tile.Columns);
    }

    /// <summary>Floats of scratch that one item needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(int k) => ((nint)k + 16) * Tile.Columns + Tile.Rows * (nint)Tile.Columns + Tile.Rows * (nint)k;

    /// <summary>Computes one item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="activation">f.</param>
    /// <param name="item">0 up to <see cref="Items"/>.</param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats, this thread's own.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Execute<TActivation>(in MatMulArgs a, TActivation activation, int item, float* scratch)
        where TActivation : struct, IActivation
    {
        int panels = (a.N + Tile.Columns - 1) / Tile.Columns;
        int blockRows = RowsOfBlock(a.M, a.K);
        int column = item % panels * Tile.Columns;
        int row = item / panels * blockRows, end = Math.Min(row + blockRows, a.M);
        int width = Math.Min(a.N - column, Tile.Columns);

        float* tile = scratch;
        float* panel = tile + Tile.Rows * Tile.Columns;
        Panel.Expand(a.W, a.Type, a.Layout, a.N, a.K, column, panel);

        float* x = a.X;
        nint ldx = a.LdX;
        int rowsAvailable = a.M;
        if (a.M < Tile.Rows)
        {
            float* padded = panel + (nint)a.K * Tile.Columns;
            for (int r = 0; r < Tile.Rows; r++)
            {
                Span<float> to = new(padded + (nint)r * a.K, a.K);
                if (r < a.M) new ReadOnlySpan<float>(x + r * ldx, a.K).CopyTo(to);
                else to.Clear();
            }
            x = padded;
            ldx = a.K;
            rowsAvailable = Tile.Rows;
        }

        for (; row < end; row += Tile.Rows)
        {
            int start = Math.Min(row, rowsAvailable - Tile.Rows);
            Tile.Execute(x + start * ldx, ldx, panel, a.K, tile, Tile.Columns);
            Finish(a, activation, tile + (row - start) * Tile.Columns, row, Math.Min(end - row, Tile.Rows), column, width);
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
    internal static void Finish<TActivation>(in MatMulArgs a, TActivation activation, float* tile, int row, int rows, int column, int width)
        where TActivation : struct, IActivation
    {
        if (Simd.Lanes == 16) Finish<Lanes16, TActivation>(a, activation, tile, row, rows, column, width);
        else if (Simd.Lanes == 8) Finish<Lanes8, TActivation>(a, activation, tile, row, rows, column, width);
        else if (Simd.Lanes == 4) Finish<Lanes4, TActivation>(a, activation, tile, row, rows, column, width);
        else Finish<Lanes1, TActivation>(a, activation, tile, row, rows, column, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish<TVec, TActivation>(in MatMulArgs a, TActivation activation, float* tile, int row, int rows, int column, int width)
        where TVec : unmanaged, IVector<TVec> where TActivation : struct, IActivation
    {
        int c = 0;
        for (; c <= width - TVec.Count; c += TVec.Count) FinishColumn<TVec, TActivation>(a, activation, tile + c, row, rows, column + c);
        for (; c < width; c++) FinishColumn<Lanes1, TActivation>(a, activation, tile + c, row, rows, column + c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FinishColumn<TVec, TActivation>(in MatMulArgs a, TActivation activation, float* tile, int row, int rows, int column)
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
