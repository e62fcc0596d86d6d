using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// The operands of multi-head attention, y = softmax(q kᵀ · scale) v a head, over a batch of sequences that do not
/// see each other. Head h is columns h * <see cref="HeadStride"/> and on of q, k and v, and h * <see cref="HeadDim"/> and on of
/// y; sequence b is rows b * <see cref="Queries"/> and on of q and y, and rows b * <see cref="Keys"/> and on of k and v.
/// </summary>
public unsafe struct AttentionArgs
{
    /// <summary>[Batch * Queries, Heads * HeadDim], row stride <see cref="LdQ"/>.</summary>
    public float* Q;

    /// <summary>[Batch * Keys, Heads * HeadDim], row stride <see cref="LdK"/>.</summary>
    public float* K;

    /// <summary>[Batch * Keys, Heads * HeadDim], row stride <see cref="LdV"/>.</summary>
    public float* V;

    /// <summary>
    /// [Batch * Queries, Heads * HeadDim], row stride <see cref="LdY"/>; overwritten. May not overlap q, k or v.
    /// </summary>
    public float* Y;

    /// <summary>Row strides, in floats.</summary>
    public nint LdQ, LdK, LdV, LdY;

    /// <summary>Sequences.</summary>
    public int Batch;

    /// <summary>Heads.</summary>
    public int Heads;

    /// <summary>Columns of one head.</summary>
    public int HeadDim;

    /// <summary>
    /// Columns from one head to the next in q, k and v: <see cref="HeadDim"/>, or more where a projection keeps each head's q,
    /// k and v together.
    /// </summary>
    public int HeadStride;

    /// <summary>Query rows of a sequence.</summary>
    public int Queries;

    /// <summary>Key rows of a sequence.</summary>
    public int Keys;

    /// <summary>Multiplies every score; 1 / sqrt(HeadDim) in all our models.</summary>
    public float Scale;

    /// <summary>
    /// Rotary tables for queries, [Queries - <see cref="RotaryPrefix"/>, HeadDim] each, or null for no rotation.
    /// </summary>
    public float* QueryCos, QuerySin;

    /// <summary>Rotary tables for keys, [Keys - <see cref="RotaryPrefix"/>, HeadDim] each, or null for no rotation.</summary>
    public float* KeyCos, KeySin;

    /// <summary>The first rows of each sequence, which are not rotated.</summary>
    public int RotaryPrefix;

    /// <summary>
    /// The row of q, k and v that each token of each sequence is, [Batch * Keys], where sequences are windows of a
    /// map; null for rows in order. Then there are as many queries as keys, and no rotation.
    /// </summary>
    public int* InputRows;

    /// <summary>The row of y that each token is, negative for one whose result nobody wants; null for rows in order.</summary>
    public int* OutputRows;

    /// <summary>
    /// Position biases of square windows, added to the scores: [Heads, (2 w - 1)²], entry (dy + w - 1, dx + w - 1)
    /// for a key dy below and dx right of the query; null for none. A sequence is then a window of w x w tokens, row by row.
    /// </summary>
    public float* Bias;

    /// <summary>w: side of the windows that <see cref="Bias"/> is for.</summary>
    public int Window;

    /// <summary>
    /// Where <see cref="Attention.Pack"/> leaves keys and values: <see cref="Attention.PackedFloats"/> floats, 64-byte aligned.
    /// </summary>
    public float* Packed;
}

/// <summary>
/// Multi-head attention that never stores a matrix of queries by keys. First every head's keys and values become the panels that
/// <see cref="Tile"/> reads (<see cref="Pack"/>; rotary positions are applied on the way). Then (<see cref="Attend"/>) each strip
/// of <see cref="Tile.Rows"/> queries is scored against all keys, its rows of scores are turned to weights while they lie in the
/// first- and second-level caches, and the weighted sum of the values is taken: the same tile does both products. Items are
/// independent; all of <see cref="Pack"/> must be done before any of <see cref="Attend"/>.
/// </summary>
public static unsafe class Attention
{
    /// <summary>
    /// Strips that one item of <see cref="Attend"/> covers: coarse enough to be cheap to hand out, fine enough to share out
    /// evenly.
    /// </summary>
    private const int StripsOfItem = 4;

    /// <summary>
    /// log2 e. Queries and biases are multiplied by it, so that the weights are powers of two, which are cheaper than those of e.
    /// </summary>
    private const float Log2E = 1.44269504f;

    private static int KeyPanels(in AttentionArgs a) => (a.Keys + Tile.Columns - 1) / Tile.Columns;

    private static int ValuePanels(in AttentionArgs a) => (a.HeadDim + Tile.Columns - 1) / Tile.Columns;

    private static nint KeyFloats(in AttentionArgs a) => (nint)KeyPanels(a) * Tile.Columns * a.HeadDim;

    private static nint HeadFloats(in AttentionArgs a) => KeyFloats(a) + (nint)ValuePanels(a) * Tile.Columns * a.Keys;

    /// <summary>
    /// Row stride of the strip of scores. Not a multiple of 4 KiB, or all its rows would fall into one set of the first-level
    /// cache.
    /// </summary>
    private static nint ScoreStride(in AttentionArgs a)
    {
        nint columns = (nint)KeyPanels(a) * Tile.Columns;
        return columns % 1024 == 0 ? columns + 16 : columns;
    }

    /// <summary>Floats of <see cref="AttentionArgs.Packed"/>.</summary>
    public static nint PackedFloats(in AttentionArgs a) => a.Batch * a.Heads * HeadFloats(a);

    /// <summary>Floats of scratch that an item of either phase needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(in AttentionArgs a) =>
        Tile.Rows * ((nint)Tile.Columns + ScoreStride(a) + 16) + Math.Max(Tile.Rows, Tile.Columns) * (nint)a.HeadDim;

    /// <summary>Items of <see cref="Pack"/>: one a sequence and head.</summary>
    public static int PackItems(in AttentionArgs a) => a.Batch * a.Heads;

    /// <summary>Items of <see cref="Attend"/>: a few strips of queries of one sequence and head each.</summary>
    public static int AttendItems(in AttentionArgs a) => a.Batch * a.Heads * AttendItemsOfHead(a);

    private static int AttendItemsOfHead(in AttentionArgs a) =>
        (a.Queries + StripsOfItem * Tile.Rows - 1) / (StripsOfItem * Tile.Rows);

    /// <summary>Lays out keys and values of one sequence and head.</summary>
    public static void Pack(in AttentionArgs a, int item, float* scratch)
    {
        if (Simd.Lanes == 16) Pack<Lanes16>(a, item, scratch);
        else if (Simd.Lanes == 8) Pack<Lanes8>(a, item, scratch);
        else if (Simd.Lanes == 4) Pack<Lanes4>(a, item, scratch);
        else Pack<Lanes1>(a, item, scratch);
    }

    /// <summary>Computes the outputs of one item.</summary>
    public static void Attend(in AttentionArgs a, int item, float* scratch)
    {
        if (Simd.Lanes == 16) Attend<Lanes16>(a, item, scratch);
        else if (Simd.Lanes == 8) Attend<Lanes8>(a, item, scratch);
        else if (Simd.Lanes == 4) Attend<Lanes4>(a, item, scratch);
        else Attend<Lanes1>(a, item, scratch);
    }

    /// <summary>The definition: scores, softmax and sum of one query after another, in double precision.</summary>
    public static void ExecuteScalar(in AttentionArgs a)
    {
        double[] q = new double[a.HeadDim], k = new double[a.HeadDim], p = new double[a.Keys];
        for (int b = 0; b < a.Batch; b++)
            for (int h = 0; h < a.Heads; h++)
                for (int i = 0; i < a.Queries; i++)
                {
                    int output = a.OutputRows == null ? b * a.Queries + i : a.OutputRows[b * a.Queries + i];
                    if (output < 0) continue;
                    float* query = a.Q + (nint)InputRow(a, b, i, a.Queries) * a.LdQ + h * a.HeadStride;
                    RotateScalar(query, i - a.RotaryPrefix, a.QueryCos, a.QuerySin, q);
                    double max = double.NegativeInfinity, sum = 0;
                    for (int j = 0; j < a.Keys; j++)
                    {
                        float* key = a.K + (nint)InputRow(a, b, j, a.Keys) * a.LdK + h * a.HeadStride;
                        RotateScalar(key, j - a.RotaryPrefix, a.KeyCos, a.KeySin, k);
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

    private static int InputRow(in AttentionArgs a, int batch, int token, int tokens) =>
        a.InputRows == null ? batch * tokens + token : a.InputRows[batch * tokens + token];

    private static void RotateScalar(float* x, int position, float* cos, float* sin, double[] y)
    {
        int half = y.Length / 2;
        for (int c = 0; c < y.Length; c++)
        {
            double turned = c < half ? -x[c + half] : x[c - half];
            int at = position * y.Length + c;
            y[c] = cos == null || position < 0 ? x[c] : x[c] * cos[at] + turned * sin[at];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pack<TVec>(in AttentionArgs a, int item, float* scratch) where TVec : unmanaged, IVector<TVec>
    {
        int batch = item / a.Heads, head = item % a.Heads, d = a.HeadDim;
        float* k = a.K + head * a.HeadStride, v = a.V + head * a.HeadStride;
        int* map = a.InputRows == null ? null : a.InputRows + batch * a.Keys;
        if (map == null)
        {
            k += (nint)batch * a.Keys * a.LdK;
            v += (nint)batch * a.Keys * a.LdV;
        }
        float* packed = a.Packed + item * HeadFloats(a);

        for (int first = 0; first < a.Keys; first += Tile.Columns, packed += (nint)Tile.Columns * d)
        {
            int keys = Math.Min(a.Keys - first, Tile.Columns);
            float* rows = k + first * a.LdK;
            nint stride = a.LdK;
            if (map != null || a.KeyCos != null)
            {
                if (map != null) Gathered<TVec>(k, stride, map + first, keys, d, 1, scratch);
                else Rows<TVec>(rows, stride, keys, d, first - a.RotaryPrefix, a.KeyCos, a.KeySin, 1, scratch);
                rows = scratch;
                stride = d;
            }
            Panel.Turn<F32Format, TVec>(rows, 0, stride, keys, d, packed);
        }
        for (int c = 0; c < d; c += Tile.Columns, packed += (nint)Tile.Columns * a.Keys)
        {
            int width = Math.Min(d - c, Tile.Columns);
            if (map == null) Panel.Copy<F32Format, TVec>(v, c, a.LdV, width, a.Keys, packed);
            else
                for (int j = 0; j < a.Keys; j++)
                    Panel.Copy<F32Format, TVec>(v, map[j] * a.LdV + c, a.LdV, width, 1, packed + (nint)j * Tile.Columns);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Attend<TVec>(in AttentionArgs a, int item, float* scratch) where TVec : unmanaged, IVector<TVec>
    {
        int itemsOfHead = AttendItemsOfHead(a), d = a.HeadDim;
        int head = item / itemsOfHead % a.Heads, batch = item / itemsOfHead / a.Heads;
        int row = item % itemsOfHead * StripsOfItem * Tile.Rows;
        int end = Math.Min(row + StripsOfItem * Tile.Rows, a.Queries);

        float* keys = a.Packed + (batch * a.Heads + head) * HeadFloats(a);
        float* values = keys + KeyFloats(a);
        int keyPanels = KeyPanels(a), scored = keyPanels * Tile.Columns;
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
            if (a.InputRows != null) Gathered<TVec>(from, a.LdQ, a.InputRows + token, rows, d, a.Scale * Log2E, q);
            else Rows<TVec>(from + token * a.LdQ, a.LdQ, rows, d, row - a.RotaryPrefix, a.QueryCos, a.QuerySin, a.Scale * Log2E,
                q);
            if (rows < Tile.Rows) new Span<float>(q + rows * d, (Tile.Rows - rows) * d).Clear();

            for (int p = 0; p < keyPanels; p++)
                Tile.Execute(q, d, keys + (nint)p * Tile.Columns * d, d, scores + p * Tile.Columns, ldScores);
            for (int r = 0; r < rows; r++)
            {
                float* s = scores + r * ldScores;
                for (int j = a.Keys; j < scored; j++) s[j] = float.NegativeInfinity;
                float max = a.Bias == null ? Largest<TVec>(s, scored) : AddBias<TVec>(a.Bias, a.Window, head, row + r, s);
                sums[r] = Weights<TVec>(s, scored, max);
            }
            for (int c = 0; c < d; c += Tile.Columns)
            {
                Tile.Execute(scores, ldScores, values + (nint)c * a.Keys, a.Keys, tile, Tile.Columns);
                for (int r = 0; r < rows; r++)
                {
                    int output = a.OutputRows == null ? token + r : a.OutputRows[token + r];
                    if (output < 0) continue;
                    float* y = a.Y + output * a.LdY + head * d + c;
                    Divide<TVec>(tile + r * Tile.Columns, y, Math.Min(d - c, Tile.Columns), sums[r]);
                }
            }
        }
    }

    /// <summary>
    /// Copies rows of one head, scaled, and from position 0 on rotated (rows of negative position are the prefix).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Rows<TVec>(
        float* x, nint ldx, int rows, int d, int position, float* cos, float* sin, float scale, float* y)
        where TVec : unmanaged, IVector<TVec>
    {
        int plain = cos == null ? rows : Math.Clamp(-position, 0, rows);
        for (int r = 0; r < plain; r++, x += ldx, y += d) Scaled<TVec>(x, d, scale, y);
        nint table = (nint)(position + plain) * d;
        if (plain < rows) Rotary.Execute(x, ldx, cos + table, sin + table, scale, y, d, rows - plain, 1, d);
    }

    /// <summary>Copies the rows of one head that a map names, scaled.</summary>
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

    /// <summary>
    /// Adds one query's biases to its scores and returns the largest sum: for each row of keys the biases are a slice of the
    /// table, which is mirrored for that.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float AddBias<TVec>(float* table, int window, int head, int query, float* s)
        where TVec : unmanaged, IVector<TVec>
    {
        int side = 2 * window - 1;
        float* slice = table + (nint)head * side * side + (window - 1 - query / window) * side + window - 1 - query % window;
        TVec most = TVec.Broadcast(float.NegativeInfinity), log2E = TVec.Broadcast(Log2E);
        Lanes1 mostOfTails = Lanes1.Broadcast(float.NegativeInfinity);
        for (int y = 0; y < window; y++, slice += side, s += window)
        {
            int x = 0;
            for (; x <= window - TVec.Count; x += TVec.Count) most = TVec.Max(most, Biased(s + x, slice + x, log2E));
            for (; x < window; x++) mostOfTails = Lanes1.Max(mostOfTails, Biased(s + x, slice + x, Lanes1.Broadcast(Log2E)));
        }
        return MathF.Max(TVec.MaxAcross(most), Lanes1.MaxAcross(mostOfTails));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec Biased<TVec>(float* s, float* bias, TVec factor) where TVec : unmanaged, IVector<TVec>
    {
        TVec sum = TVec.MultiplyAdd(TVec.Load(bias), factor, TVec.Load(s));
        sum.Store(s);
        return sum;
    }

    /// <summary>The largest of n scores, n a multiple of the vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Largest<TVec>(float* s, int n) where TVec : unmanaged, IVector<TVec>
    {
        TVec most = TVec.Load(s);
        for (int j = TVec.Count; j < n; j += TVec.Count) most = TVec.Max(most, TVec.Load(s + j));
        return TVec.MaxAcross(most);
    }

    /// <summary>
    /// s ← 2^(s - max), n a multiple of two vectors; returns the sum. Not divided yet: that is cheaper on the d outputs than
    /// on the n weights.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Weights<TVec>(float* s, int n, float max) where TVec : unmanaged, IVector<TVec>
    {
        TVec most = TVec.Broadcast(max), sum0 = TVec.Zero, sum1 = TVec.Zero;
        for (int j = 0; j < n; j += 2 * TVec.Count)
        {
            TVec e0 = VectorMath.Exp2NonPositive(TVec.Load(s + j) - most);
            TVec e1 = VectorMath.Exp2NonPositive(TVec.Load(s + j + TVec.Count) - most);
            e0.Store(s + j);
            e1.Store(s + j + TVec.Count);
            sum0 += e0;
            sum1 += e1;
        }
        return TVec.Sum(sum0 + sum1);
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
