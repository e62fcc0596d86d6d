using System.Runtime.CompilerServices;
using TinyZsad.Formats;

namespace TinyZsad.Kernels;

/// <summary>
/// Computes dense linear layers with 8-bit integers. The product x Wᵀ of <see cref="MatMulArgs"/> becomes scale[row] *
/// scale[output] * Σ q q, with the integers and scales of <see cref="Int8Rows"/> and <see cref="Int8Weights"/>. The sum is exact
/// (<see cref="Int8Tile"/>). Bias, activation, scale and residual are applied in floats by the epilogue of <see cref="MatMul"/>.
/// <para>With s = scale[row] and t = scale[output], |error| of x Wᵀ ≤ 0.501 (t Σ|x| + s Σ|w|) + 0.26 k s t, plus three roundings.
/// The terms are half a step for every number, and the product of the two errors.</para>
/// <para>Items are independent, as in <see cref="MatMul"/>, and results do not depend on the number of threads.</para>
/// </summary>
internal static unsafe class Int8MatMul
{
    /// <summary>
    /// Computes the number of rows in a block: an eighth of a megabyte, so that a block stays in the L2 cache from panel to
    /// panel.
    /// </summary>
    private static int RowsOfBlock(int m, int k)
    {
        int most = Math.Max(131072 / (k * Int8Tile.ElementSize), 16 * Int8Tile.Rows);
        int blocks = (m + most - 1) / most;
        int rows = (m + blocks - 1) / blocks;
        return (rows + Int8Tile.Rows - 1) / Int8Tile.Rows * Int8Tile.Rows;
    }

    /// <summary>Computes the number of independent work items for a product of this shape. m, n and k are at least 1.</summary>
    public static int Items(int m, int n, int k)
    {
        int rows = RowsOfBlock(m, k);
        return (m + rows - 1) / rows * ((n + Tile.Columns - 1) / Tile.Columns);
    }

    /// <summary>
    /// Computes the number of scratch floats that one item needs; 64-byte aligned. They hold a tile and, where the tile does not
    /// read bytes, the widened weights.
    /// </summary>
    public static nint ScratchFloats(int k) => Int8Tile.Rows * (nint)Tile.Columns
        + (Int8Tile.ElementSize == 1 ? 0 : (nint)Int8Rows.Padded(k) * Tile.Columns * Int8Tile.ElementSize / sizeof(float));

    /// <summary>Computes one work item.</summary>
    /// <param name="a">The operands. x and W themselves are not read.</param>
    /// <param name="x">
    /// x in the format of <see cref="Int8Rows"/>: <see cref="Int8Rows.Rows"/> rows. Rows after M may hold anything.
    /// </param>
    /// <param name="w">W in the format of <see cref="Int8Weights"/>.</param>
    /// <param name="activation">The activation f.</param>
    /// <param name="item">The item, from 0 to <see cref="Items"/> - 1.</param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats for the calling thread alone.</param>
    public static void Execute<TActivation>(in MatMulArgs a, byte* x, byte* w, TActivation activation, int item, float* scratch)
        where TActivation : struct, IActivation
    {
        int panels = (a.N + Tile.Columns - 1) / Tile.Columns;
        int blockRows = RowsOfBlock(a.M, a.K);
        int column = item % panels * Tile.Columns;
        int row = item / panels * blockRows, end = Math.Min(row + blockRows, a.M);
        int width = Math.Min(a.N - column, Tile.Columns);
        int stride = Int8Rows.Stride(a.K), k = Int8Rows.Padded(a.K);
        nint panelBytes = Int8Weights.PanelBytes(a.K);
        byte* first = w + column / Int8Tile.Columns * panelBytes;
        byte* integers = first + 2 * sizeof(float) * Int8Tile.Columns;
        nint integersStep = panelBytes;
        if (Int8Tile.ElementSize > 1)
        {
            short* wide = (short*)(scratch + Int8Tile.Rows * Tile.Columns);
            nint count = (nint)k * Int8Tile.Columns;
            for (int p = 0; p * Int8Tile.Columns < width; p++)
                Int8Tile.Widen((sbyte*)(integers + p * panelBytes), k, wide + p * count);
            integers = (byte*)wide;
            integersStep = count * Int8Tile.ElementSize;
        }

        for (; row < end; row += Int8Tile.Rows)
        {
            // The last tile overlaps the tile before it and stores only its new rows.
            int start = Math.Min(row, Math.Max(a.M - Int8Tile.Rows, 0));
            byte* rows = x + (nint)start * stride, panel = first, b = integers;
            for (int c = 0; c < width; c += Int8Tile.Columns, panel += panelBytes, b += integersStep)
            {
                Int8Tile.Execute(rows, stride, b, k, (int*)panel + Int8Tile.Columns, (int*)scratch + c, Tile.Columns);
                ToFloats(rows, stride, a.K, (float*)panel, scratch + c);
            }
            MatMul.Finish(a, activation, scratch + (row - start) * Tile.Columns, row, Math.Min(end - row, Int8Tile.Rows), column,
                width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ToFloats(byte* rows, int stride, int k, float* scales, float* tile) =>
        Simd.Run(new Kernel(rows, stride, k, scales, tile));

    private readonly struct Kernel(byte* rows, int stride, int k, float* scales, float* tile) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => ToFloats<TVec>(rows, stride, k, scales, tile);
    }

    /// <summary>Converts the integers of a tile to floats, in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ToFloats<TVec>(byte* rows, int stride, int k, float* scales, float* tile)
        where TVec : unmanaged, IVector<TVec>
    {
        int height = Int8Tile.Rows, width = Int8Tile.Columns;
        for (int r = 0; r < height; r++, rows += stride, tile += Tile.Columns)
        {
            TVec scale = TVec.Broadcast(Int8Rows.ScaleOf(rows, k));
            for (int c = 0; c < width; c += TVec.Count)
                (TVec.LoadInts((int*)tile + c) * TVec.Load(scales + c) * scale).Store(tile + c);
        }
    }

    /// <summary>
    /// Computes the reference result from the definition: quantized element by element, summed in integers, and the rest in
    /// double precision.
    /// </summary>
    public static void Scalar<TActivation>(in MatMulArgs a, TActivation activation) where TActivation : struct, IActivation
    {
        MatMulArgs args = a;
        (int[] x, double[] s) = Quantized(a.M, a.K, (i, p) => args.X[i * args.LdX + p]);
        (int[] w, double[] t) = Quantized(a.N, a.K, (j, p) =>
            Widen.Scalar(args.W, args.Type, args.Layout == WeightLayout.OutIn ? (nint)j * args.K + p : (nint)p * args.N + j));
        for (int i = 0; i < a.M; i++)
        {
            for (int j = 0; j < a.N; j++)
            {
                long sum = 0;
                for (int p = 0; p < a.K; p++) sum += x[i * a.K + p] * w[j * a.K + p];
                double y = sum * s[i] * t[j] + (a.Bias == null ? 0 : a.Bias[j]);
                if (!a.ActivateLast) y = activation.Scalar(y);
                if (a.Scale != null) y *= a.Scale[j];
                if (a.Residual != null) y += a.Residual[i * a.LdResidual + j];
                if (a.ActivateLast) y = activation.Scalar(y);
                a.Y[i * a.LdY + j] = (float)y;
            }
        }
    }

    private static (int[] Integers, double[] Scales) Quantized(int rows, int k, Func<int, int, float> value)
    {
        int[] integers = new int[rows * k];
        double[] scales = new double[rows];
        for (int r = 0; r < rows; r++)
        {
            float max = 0;
            for (int p = 0; p < k; p++) max = Math.Max(max, Math.Abs(value(r, p)));
            if (max < Int8Rows.Least) continue;
            scales[r] = max / Int8Rows.Most;
            for (int p = 0; p < k; p++)
            {
                integers[r * k + p] = (int)Math.Round(value(r, p) * (Int8Rows.Most / max),
                    MidpointRounding.ToEven);
            }
        }
        return (integers, scales);
    }
}
