using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// Computes multi-head attention without storing the whole score matrix of queries by keys. A work item packs the keys and values
/// of one sequence and head into the panels that <see cref="Tile"/> reads, and applies rotary positions at the same time. If the
/// thread packed the same head for its previous item, this step is skipped. The panels stay in the L2 cache while the item
/// processes its queries in strips of <see cref="Tile.Rows"/>: it computes the scores of a strip against all keys, converts each
/// row of scores to weights, and computes the weighted sum of the values. Both products use the same tile. Items are independent.
/// </summary>
internal static unsafe class Attention
{
    /// <summary>
    /// The number of strips in a work item: large enough that scheduling is cheap, small enough to balance the load.
    /// </summary>
    private const int StripsOfItem = 4;

    /// <summary>
    /// The number of rows whose maximum scores are computed before their weights. This many rows fit in the L1 cache, and the
    /// weights of a row need not wait for the latency of its maximum.
    /// </summary>
    private const int RowsAtOnce = 4;

    /// <summary>
    /// log2 e. Queries and biases are multiplied by it, so that the weights are powers of two, which are cheaper than powers of
    /// e.
    /// </summary>
    internal const float Log2E = 1.44269504f;

    /// <summary>
    /// The largest magnitude of scores, as powers of two, for which the maximum need not be subtracted. The weights of 2^14 keys
    /// then add up to at most 2^104, which leaves room for values up to 2^23.
    /// </summary>
    private const float SmallScore = 90;

    /// <summary>
    /// The number of floats in front of a head's panels. They hold the largest norm of a key and the largest magnitude of a bias.
    /// </summary>
    private const int BoundFloats = 16;

    private static int KeyPanels(in AttentionArgs a) => (a.Keys + Tile.Columns - 1) / Tile.Columns;

    private static int ValuePanels(in AttentionArgs a) => (a.HeadDim + Tile.Columns - 1) / Tile.Columns;

    private static nint KeyFloats(in AttentionArgs a) => (nint)KeyPanels(a) * Tile.Columns * a.HeadDim;

    /// <summary>Computes the number of biases of a head.</summary>
    private static int Biases(in AttentionArgs a) => a.Bias == null ? 0 : (2 * a.Window - 1) * (2 * a.Window - 1);

    private static nint ValueFloats(in AttentionArgs a) => (nint)ValuePanels(a) * Tile.Columns * a.Keys;

    private static nint HeadFloats(in AttentionArgs a) =>
        BoundFloats + KeyFloats(a) + ValueFloats(a) + (Biases(a) + 15) / 16 * 16;

    /// <summary>
    /// Computes the row stride of a strip of scores. It is not a multiple of 4 KiB, because all rows would then map to the same
    /// sets of the L1 cache.
    /// </summary>
    private static nint ScoreStride(in AttentionArgs a)
    {
        nint columns = (nint)KeyPanels(a) * Tile.Columns;
        return columns % 1024 == 0 ? columns + 16 : columns;
    }

    /// <summary>Computes the number of scratch floats that an item needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(in AttentionArgs a) => HeadFloats(a) + Tile.Rows * ((nint)Tile.Columns + ScoreStride(a) + 16)
        + Math.Max(Tile.Rows, Tile.Columns) * (nint)a.HeadDim;

    /// <summary>
    /// Computes the number of independent work items. An item is a few strips of queries; the items of one sequence and head are
    /// consecutive.
    /// </summary>
    public static int Items(in AttentionArgs a) => a.Batch * a.Heads * ItemsOfHead(a);

    private static int ItemsOfHead(in AttentionArgs a) =>
        (a.Queries + StripsOfItem * Tile.Rows - 1) / (StripsOfItem * Tile.Rows);

    /// <summary>Computes the outputs of one work item.</summary>
    /// <param name="a">The operands.</param>
    /// <param name="item">The item, from 0 to <see cref="Items"/> - 1.</param>
    /// <param name="previous">
    /// The item of the same operands that last used <paramref name="scratch"/>, or -1 if the memory was last used for anything
    /// else.
    /// </param>
    /// <param name="scratch"><see cref="ScratchFloats"/> floats for the calling thread alone.</param>
    public static void Execute(in AttentionArgs a, int item, int previous, float* scratch) =>
        Simd.Run(new Kernel(a, item, previous, scratch));

    private readonly ref struct Kernel(in AttentionArgs a, int item, int previous, float* scratch) : IWideKernel
    {
        private readonly ref readonly AttentionArgs args = ref a;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec>(args, item, previous, scratch);
    }

    /// <summary>
    /// Computes the reference result from the definition in double precision: scores, softmax and weighted sum, one query at a
    /// time.
    /// </summary>
    public static void Scalar(in AttentionArgs a)
    {
        double[] q = new double[a.HeadDim], k = new double[a.HeadDim], p = new double[a.Keys];
        for (int b = 0; b < a.Batch; b++)
        {
            for (int h = 0; h < a.Heads; h++)
            {
                for (int i = 0; i < a.Queries; i++)
                {
                    int output = a.OutputRows == null ? b * a.Queries + i : a.OutputRows[b * a.Queries + i];
                    if (output < 0) continue;
                    float* query = a.Q + (nint)InputRow(a, b, i, a.Queries) * a.LdQ + h * a.HeadStride;
                    Rotate(query, i - a.RotaryPrefix, a.QueryCos, a.QuerySin, q);
                    double max = double.NegativeInfinity, sum = 0;
                    for (int j = 0; j < a.Keys; j++)
                    {
                        float* key = a.K + (nint)InputRow(a, b, j, a.Keys) * a.LdK + h * a.HeadStride;
                        Rotate(key, j - a.RotaryPrefix, a.KeyCos, a.KeySin, k);
                        p[j] = 0;
                        for (int c = 0; c < a.HeadDim; c++) p[j] += q[c] * k[c];
                        p[j] *= a.Scale;
                        if (a.Bias != null)
                        {
                            int w = a.Window, side = 2 * w - 1;
                            p[j] += a.Bias[h * side * side + (j / w - i / w + w - 1) * side + j % w - i % w + w - 1];
                        }
                        max = Math.Max(max, p[j]);
                    }
                    for (int j = 0; j < a.Keys; j++) sum += p[j] = Math.Exp(p[j] - max);
                    for (int c = 0; c < a.HeadDim; c++)
                    {
                        double y = 0;
                        for (int j = 0; j < a.Keys; j++)
                            y += p[j] / sum * a.V[(nint)InputRow(a, b, j, a.Keys) * a.LdV + h * a.HeadStride + c];
                        a.Y[(nint)output * a.LdY + h * a.HeadDim + c] = (float)y;
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int InputRow(in AttentionArgs a, int batch, int token, int tokens) =>
        a.InputRows == null ? batch * tokens + token : a.InputRows[batch * tokens + token];

    private static void Rotate(float* x, int position, float* cos, float* sin, double[] y)
    {
        int half = y.Length / 2;
        for (int c = 0; c < y.Length; c++)
        {
            y[c] = x[c];
            if (cos == null || position < 0) continue;
            double turned = c < half ? -x[c + half] : x[c - half];
            int at = position * half + c % half;
            y[c] = x[c] * cos[at] + turned * sin[at];
        }
    }

    private static void Execute<TVec>(in AttentionArgs a, int item, int previous, float* scratch)
        where TVec : unmanaged, IVector<TVec>
    {
        int itemsOfHead = ItemsOfHead(a), sequenceAndHead = item / itemsOfHead;
        int batch = sequenceAndHead / a.Heads, head = sequenceAndHead % a.Heads;
        float* packed = scratch;
        scratch += HeadFloats(a);
        if (previous < 0 || previous / itemsOfHead != sequenceAndHead) Pack<TVec>(a, batch, head, packed, scratch);
        int row = item % itemsOfHead * StripsOfItem * Tile.Rows;
        Attend<TVec>(a, batch, head, row, Math.Min(row + StripsOfItem * Tile.Rows, a.Queries), packed, scratch);
    }

    /// <summary>Packs the keys and values of one sequence and head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pack<TVec>(in AttentionArgs a, int batch, int head, float* packed, float* scratch)
        where TVec : unmanaged, IVector<TVec>
    {
        int d = a.HeadDim;
        float* panel = packed + BoundFloats, values = panel + KeyFloats(a);
        float* k = a.K + head * a.HeadStride, v = a.V + head * a.HeadStride;
        int* map = a.InputRows == null ? null : a.InputRows + batch * a.Keys;
        if (map == null)
        {
            k += (nint)batch * a.Keys * a.LdK;
            v += (nint)batch * a.Keys * a.LdV;
        }

        FetchKeys(a, batch, head, 0, Math.Min(Tile.Columns, a.Keys));
        for (int first = 0; first < a.Keys; first += Tile.Columns, panel += (nint)Tile.Columns * d)
        {
            int keys = Math.Min(a.Keys - first, Tile.Columns);
            FetchKeys(a, batch, head, first + keys, Math.Min(first + keys + Tile.Columns, a.Keys));
            float* rows = k + first * a.LdK;
            nint stride = a.LdK;
            if (map != null || a.KeyCos != null)
            {
                if (map != null) Gathered<TVec>(k, stride, map + first, keys, d, 1, scratch);
                else Rows<TVec>(rows, stride, keys, d, first - a.RotaryPrefix, a.KeyCos, a.KeySin, 1, scratch);
                rows = scratch;
                stride = d;
            }
            Panel.Turn<F32Format, TVec>(rows, 0, stride, keys, d, panel);
            for (int j = first, run; j < first + keys; j += run)
            {
                run = map == null ? keys : RowsInOrder(map + j, first + keys - j);
                nint from = (map == null ? j : map[j]) * a.LdV;
                for (int c = 0; c < d; c += Tile.Columns)
                {
                    Panel.Copy<F32Format, TVec>(v, from + c, a.LdV, Math.Min(d - c, Tile.Columns), run,
                        values + (nint)c * a.Keys + (nint)j * Tile.Columns);
                }
            }
        }
        packed[0] = MathF.Sqrt(Scores.LargestSquare<TVec>(packed + BoundFloats, KeyPanels(a), d));
        int biases = Biases(a);
        packed[1] = Scores.ScaledBiases<TVec>(a.Bias + (nint)head * biases, biases, Log2E, values + ValueFloats(a));
    }

    /// <summary>Computes how many of the first n rows are consecutive.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int RowsInOrder(int* map, int n)
    {
        int i = 1;
        while (i < n && map[i] == map[0] + i) i++;
        return i;
    }

    /// <summary>
    /// Processes the queries from <paramref name="row"/> up to, but not including, <paramref name="end"/>, against packed keys
    /// and values.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Attend<TVec>(in AttentionArgs a, int batch, int head, int row, int end, float* packed, float* scratch)
        where TVec : unmanaged, IVector<TVec>
    {
        int d = a.HeadDim, keyPanels = KeyPanels(a), scored = keyPanels * Tile.Columns;
        float longestKey = packed[0], largestBias = packed[1];
        float* keys = packed + BoundFloats, values = keys + KeyFloats(a);
        float** starts = stackalloc float*[Tile.Rows];
        WindowBiases biases = new(values + ValueFloats(a), a.Window, starts);
        nint ldScores = ScoreStride(a);
        float* tile = scratch;
        float* scores = tile + Tile.Rows * Tile.Columns;
        float* q = scores + Tile.Rows * ldScores;
        float* sums = q + (nint)Tile.Rows * d;

        for (; row < end; row += Tile.Rows)
        {
            int rows = Math.Min(end - row, Tile.Rows);
            int token = batch * a.Queries + row;
            float* from = a.Q + head * a.HeadStride;
            if (a.InputRows != null)
            {
                Gathered<TVec>(from, a.LdQ, a.InputRows + token, rows, d, a.Scale * Log2E, q);
            }
            else
            {
                Rows<TVec>(from + token * a.LdQ, a.LdQ, rows, d, row - a.RotaryPrefix, a.QueryCos, a.QuerySin, a.Scale * Log2E,
                    q);
            }

            if (rows < Tile.Rows) new Span<float>(q + rows * d, (Tile.Rows - rows) * d).Clear();

            int rowsOfPanel = (rows + keyPanels - 1) / keyPanels;
            if (a.Bias != null) biases.Begin(row, scores, ldScores);
            for (int p = 0; p < keyPanels; p++)
            {
                FetchRows(a, batch, head, row + p * rowsOfPanel, row + Math.Min((p + 1) * rowsOfPanel, rows));
                Tile.Execute(q, d, keys + (nint)p * Tile.Columns * d, d, scores + p * Tile.Columns, ldScores, null,
                    a.Bias == null ? null : &biases.Start);
                if (a.Bias != null) biases.Next();
            }
            // By the Cauchy-Schwarz inequality, no score is larger. Rounding errors are negligible compared to the remaining
            // headroom.
            float bound = MathF.Sqrt(Scores.LargestSquareOfRows<TVec>(q, rows, d)) * longestKey + largestBias;
            if (bound <= SmallScore)
            {
                for (int r = 0; r < rows; r++)
                {
                    float* s = scores + r * ldScores;
                    for (int j = a.Keys; j < scored; j++) s[j] = -126;    // padding keys of the last panel
                    sums[r] = Scores.Powers<TVec>(s, scored);
                }
            }
            else
            {
                ShiftedPowers<TVec>(a.Keys, rows, scored, scores, ldScores, sums);
            }
            for (int c = 0; c < d; c += Tile.Columns)
            {
                Tile.Execute(scores, ldScores, values + (nint)c * a.Keys, a.Keys, tile, Tile.Columns);
                for (int r = 0; r < rows; r++)
                {
                    int output = OutputRow(a, token + r);
                    if (output < 0) continue;
                    float* y = a.Y + output * a.LdY + head * d + c;
                    Divide<TVec>(tile + r * Tile.Columns, y, Math.Min(d - c, Tile.Columns), sums[r]);
                }
            }
        }
    }

    /// <summary>Converts scores of any size to weights. The maximum of each row is subtracted first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ShiftedPowers<TVec>(int keys, int rows, int scored, float* scores, nint ldScores, float* sums)
        where TVec : unmanaged, IVector<TVec>
    {
        float* largest = stackalloc float[RowsAtOnce];
        for (int first = 0; first < rows; first += RowsAtOnce)
        {
            int some = Math.Min(rows - first, RowsAtOnce);
            float* s = scores + first * ldScores;
            for (int r = 0; r < some; r++, s += ldScores)
            {
                for (int j = keys; j < scored; j++) s[j] = float.NegativeInfinity;
                largest[r] = Scores.Largest<TVec>(s, scored);
            }
            s = scores + first * ldScores;
            for (int r = 0; r < some; r++, s += ldScores) sums[first + r] = Scores.Weights<TVec>(s, scored, largest[r]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int OutputRow(in AttentionArgs a, int token) => a.OutputRows == null ? token : a.OutputRows[token];

    /// <summary>
    /// Prefetches some keys and values that are packed next. The rows are far apart in memory, so the hardware prefetcher does
    /// not detect them.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FetchKeys(in AttentionArgs a, int batch, int head, int begin, int end)
    {
        if (!Sse.IsSupported) return;
        int columns = head * a.HeadStride;
        for (int j = begin; j < end; j++)
        {
            nint row = InputRow(a, batch, j, a.Keys);
            for (int c = columns; c < columns + a.HeadDim; c += 16)
            {
                Sse.Prefetch1(a.K + row * a.LdK + c);
                Sse.Prefetch1(a.V + row * a.LdV + c);
            }
        }
    }

    /// <summary>
    /// Prefetches rows of the result and the queries of the next strip, a few at a time. They are far apart in memory; without
    /// prefetching, the stores at the end of a strip and the loads at the start of the next one would stall.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FetchRows(in AttentionArgs a, int batch, int head, int begin, int end)
    {
        if (!Sse.IsSupported) return;
        for (int r = begin; r < end; r++)
        {
            float* y = a.Y + OutputRow(a, batch * a.Queries + r) * a.LdY + head * a.HeadDim;
            float* q = a.Q + InputRow(a, batch, Math.Min(r + Tile.Rows, a.Queries - 1), a.Queries) * a.LdQ + head * a.HeadStride;
            for (int c = 0; c < a.HeadDim; c += 16)
            {
                Sse.Prefetch0(y + c);
                Sse.Prefetch0(q + c);
            }
        }
    }

    /// <summary>
    /// Copies and scales rows of one head. Rows from position 0 on are also rotated; rows with negative positions are the prefix.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Rows<TVec>(
        float* x, nint ldx, int rows, int d, int position, float* cos, float* sin, float scale, float* y)
        where TVec : unmanaged, IVector<TVec>
    {
        int plain = cos == null ? rows : Math.Clamp(-position, 0, rows);
        for (int r = 0; r < plain; r++, x += ldx, y += d) Scaled<TVec>(x, d, scale, y);
        nint table = (nint)(position + plain) * (d / 2);
        if (plain < rows) Rotary.Execute(x, ldx, cos + table, sin + table, scale, y, d, rows - plain, 1, d);
    }

    /// <summary>Copies and scales the rows of one head that a map selects.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Gathered<TVec>(float* x, nint ldx, int* map, int rows, int d, float scale, float* y)
        where TVec : unmanaged, IVector<TVec>
    {
        for (int r = 0; r < rows; r++, y += d) Scaled<TVec>(x + map[r] * ldx, d, scale, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Scaled<TVec>(float* x, int d, float scale, float* y) where TVec : unmanaged, IVector<TVec>
    {
        int c = 0;
        for (; c <= d - TVec.Count; c += TVec.Count) (TVec.Load(x + c) * TVec.Broadcast(scale)).Store(y + c);
        for (; c < d; c++) y[c] = x[c] * scale;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Divide<TVec>(float* x, float* y, int n, float by) where TVec : unmanaged, IVector<TVec>
    {
        float inverse = 1 / by;
        int c = 0;
        for (; c <= n - TVec.Count; c += TVec.Count) (TVec.Load(x + c) * TVec.Broadcast(inverse)).Store(y + c);
        for (; c < n; c++) y[c] = x[c] * inverse;
    }
}
