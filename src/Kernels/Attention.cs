using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// The operands of multi-head attention, y = softmax(q kᵀ · scale) v a head, over a batch of sequences that do not see each other.
/// Head h is columns h * <see cref="HeadDim"/> and on of q, k, v and y; sequence b is rows b * <see cref="Queries"/> and on of q and y, and rows
/// b * <see cref="Keys"/> and on of k and v.
/// </summary>
public unsafe struct AttentionArgs
{
    /// <summary>[Batch * Queries, Heads * HeadDim], row stride <see cref="LdQ"/>.</summary>
    public float* Q;

    /// <summary>[Batch * Keys, Heads * HeadDim], row stride <see cref="LdK"/>.</summary>
    public float* K;

    /// <summary>[Batch * Keys, Heads * HeadDim], row stride <see cref="LdV"/>.</summary>
    public float* V;

    /// <summary>[Batch * Queries, Heads * HeadDim], row stride <see cref="LdY"/>; overwritten. May not overlap q, k or v.</summary>
    public float* Y;

    /// <summary>Row strides, in floats.</summary>
    public nint LdQ, LdK, LdV, LdY;

    /// <summary>Sequences.</summary>
    public int Batch;

    /// <summary>Heads.</summary>
    public int Heads;

    /// <summary>Columns of one head.</summary>
    public int HeadDim;

    /// <summary>Query rows of a sequence.</summary>
    public int Queries;

    /// <summary>Key rows of a sequence.</summary>
    public int Keys;

    /// <summary>Multiplies every score; 1 / sqrt(HeadDim) in all our models.</summary>
    public float Scale;

    /// <summary>Rotary tables for queries, [Queries - <see cref="RotaryPrefix"/>, HeadDim] each, or null for no rotation.</summary>
    public float* QueryCos, QuerySin;

    /// <summary>Rotary tables for keys, [Keys - <see cref="RotaryPrefix"/>, HeadDim] each, or null for no rotation.</summary>
    public float* KeyCos, KeySin;

    /// <summary>The first rows of each sequence, which are not rotated.</summary>
    public int RotaryPrefix;

    /// <summary>Where <see cref="Attention.Pack"/> leaves keys and values: <see cref="Attention.PackedFloats"/> floats, 64-byte aligned.</summary>
    public float* Packed;
}

/// <summary>
/// Multi-head attention that never stores a matrix of queries by keys. First every head's keys and values become the panels that
/// <see cref="Tile"/> reads (<see cref="Pack"/>; rotary positions are applied on the way). Then (<see cref="Attend"/>) each strip of <see cref="Tile.Rows"/>
/// queries is scored against all keys, its rows of scores are turned to weights while they lie in the first- and second-level caches, and
/// the weighted sum of the values is taken: the same tile does both products. Items are independent; all of <see cref="Pack"/> must be done
/// before any of <see cref="Attend"/>.
/// </summary>
public static unsafe class Attention
{
    /// <summary>Strips that one item of <see cref="Attend"/> covers: coarse enough to be cheap to hand out, fine enough to share out evenly.</summary>
    private const int StripsOfItem = 4;

    private static int KeyPanels(in AttentionArgs a) => (a.Keys + Tile.Columns - 1) / Tile.Columns;

    private static int ValuePanels(in AttentionArgs a) => (a.HeadDim + Tile.Columns - 1) / Tile.Columns;

    private static nint KeyFloats(in AttentionArgs a) => (nint)KeyPanels(a) * Tile.Columns * a.HeadDim;

    private static nint HeadFloats(in AttentionArgs a) => KeyFloats(a) + (nint)ValuePanels(a) * Tile.Columns * a.Keys;

    /// <summary>Row stride of the strip of scores. Not a multiple of 4 KiB, or all its rows would fall into one set of the first-level cache.</summary>
    private static nint ScoreStride(in AttentionArgs a)
    {
        nint columns = (nint)KeyPanels(a) * Tile.Columns;
        return columns % 1024 == 0 ? columns + 16 : columns;
    }

    /// <summary>Floats of <see cref="AttentionArgs.Packed"/>.</summary>
    public static nint PackedFloats(in AttentionArgs a) => a.Batch * a.Heads * HeadFloats(a);

    /// <summary>Floats of scratch that an item of either phase needs; 64-byte aligned.</summary>
    public static nint ScratchFloats(in AttentionArgs a) =>
        Tile.Rows * ((nint)Tile.Columns + ScoreStride(a)) + Math.Max(Tile.Rows, Tile.Columns) * (nint)a.HeadDim + Tile.Rows * (nint)16;

    /// <summary>Items of <see cref="Pack"/>: one a sequence and head.</summary>
    public static int PackItems(in AttentionArgs a) => a.Batch * a.Heads;

    /// <summary>Items of <see cref="Attend"/>: a few strips of queries of one sequence and head each.</summary>
    public static int AttendItems(in AttentionArgs a) => a.Batch * a.Heads * AttendItemsOfHead(a);

    private static int AttendItemsOfHead(in AttentionArgs a) => (a.Queries + StripsOfItem * Tile.Rows - 1) / (StripsOfItem * Tile.Rows);

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
                    RotateScalar(a.Q + ((nint)b * a.Queries + i) * a.LdQ + h * a.HeadDim, i - a.RotaryPrefix, a.QueryCos, a.QuerySin, q);
                    double max = double.NegativeInfinity, sum = 0;
                    for (int j = 0; j < a.Keys; j++)
                    {
                        RotateScalar(a.K + ((nint)b * a.Keys + j) * a.LdK + h * a.HeadDim, j - a.RotaryPrefix, a.KeyCos, a.KeySin, k);
                        p[j] = 0;
                        for (int c = 0; c < a.HeadDim; c++) p[j] += q[c] * k[c];
                        p[j] *= a.Scale;
                        max = Math.Max(max, p[j]);
                    }
                    for (int j = 0; j < a.Keys; j++) sum += p[j] = Math.Exp(p[j] - max);
                    for (int c = 0; c < a.HeadDim; c++)
                    {
                        double y = 0;
                        for (int j = 0; j < a.Keys; j++) y += p[j] / sum * a.V[((nint)b * a.Keys + j) * a.LdV + h * a.HeadDim + c];
                        a.Y[((nint)b * a.Queries + i) * a.LdY + h * a.HeadDim + c] = (float)y;
                    }
                }
    }

    private static void RotateScalar(float* x, int position, float* cos, float* sin, double[] y)
    {
        int half = y.Length / 2;
        for (int c = 0; c < y.Length; c++)
        {
            double turned = c < half ? -x[c + half] : x[c - half];
            y[c] = cos == null || position < 0 ? x[c] : x[c] * cos[position * y.Length + c] + turned * sin[position * y.Length + c];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pack<TVec>(in AttentionArgs a, int item, float* scratch) where TVec : unmanaged, IVector<TVec>
    {
        int batch = item / a.Heads, head = item % a.Heads, d = a.HeadDim;
        float* k = a.K + (nint)batch * a.Keys * a.LdK + head * d;
        float* v = a.V + (nint)batch * a.Keys * a.LdV + head * d;
        float* packed = a.Packed + item * HeadFloats(a);

        for (int first = 0; first < a.Keys; first += Tile.Columns, packed += (nint)Tile.Columns * d)
        {
            int keys = Math.Min(a.Keys - first, Tile.Columns);
            float* rows = k + first * a.LdK;
            nint stride = a.LdK;
            if (a.KeyCos != null)
            {
                Rows<TVec>(rows, stride, keys, d, first - a.RotaryPrefix, a.KeyCos, a.KeySin, 1, scratch);
                rows = scratch;
                stride = d;
            }
            Panel.Turn<F32Format, TVec>(rows, 0, stride, keys, d, packed);
        }
        for (int c = 0; c < d; c += Tile.Columns, packed += (nint)Tile.Columns * a.Keys)
            Panel.Copy<F32Format, TVec>(v, c, a.LdV, Math.Min(d - c, Tile.Columns), a.Keys, packed);
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
            Rows<TVec>(a.Q + ((nint)batch * a.Queries + row) * a.LdQ + head * d, a.LdQ, rows, d, row - a.RotaryPrefix, a.QueryCos, a.QuerySin, a.Scale, q);
            if (rows < Tile.Rows) new Span<float>(q + rows * d, (Tile.Rows - rows) * d).Clear();

            for (int p = 0; p < keyPanels; p++)
                Tile.Execute(q, d, keys + (nint)p * Tile.Columns * d, d, scores + p * Tile.Columns, ldScores);
            for (int r = 0; r < rows; r++)
            {
                float* s = scores + r * ldScores;
                for (int j = a.Keys; j < scored; j++) s[j] = float.NegativeInfinity;
                sums[r] = Weights<TVec>(s, scored);
            }
            for (int c = 0; c < d; c += Tile.Columns)
            {
                Tile.Execute(scores, ldScores, values + (nint)c * a.Keys, a.Keys, tile, Tile.Columns);
                float* y = a.Y + ((nint)batch * a.Queries + row) * a.LdY + head * d + c;
                for (int r = 0; r < rows; r++) Divide<TVec>(tile + r * Tile.Columns, y + r * a.LdY, Math.Min(d - c, Tile.Columns), sums[r]);
            }
        }
    }

    /// <summary>Copies rows of one head, scaled, and from position 0 on rotated (rows of negative position are the prefix).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Rows<TVec>(float* x, nint ldx, int rows, int d, int position, float* cos, float* sin, float scale, float* y)
        where TVec : unmanaged, IVector<TVec>
    {
        int plain = cos == null ? rows : Math.Clamp(-position, 0, rows);
        for (int r = 0; r < plain; r++, x += ldx, y += d)
        {
            int c = 0;
            for (; c <= d - TVec.Count; c += TVec.Count) (TVec.Load(x + c) * TVec.Broadcast(scale)).Store(y + c);
            for (; c < d; c++) y[c] = x[c] * scale;
        }
        nint table = (nint)(position + plain) * d;
        if (plain < rows) Rotary.Execute(x, ldx, cos + table, sin + table, scale, y, d, rows - plain, 1, d);
    }

    /// <summary>s ← exp(s - max s), n a multiple of the vector; returns the sum. Not divided yet: that is cheaper on the d outputs than on the n weights.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Weights<TVec>(float* s, int n) where TVec : unmanaged, IVector<TVec>
    {
        TVec most = TVec.Load(s);
        for (int j = TVec.Count; j < n; j += TVec.Count) most = TVec.Max(most, TVec.Load(s + j));
        TVec max = TVec.Broadcast(TVec.MaxAcross(most)), sum0 = TVec.Zero, sum1 = TVec.Zero;
        for (int j = 0; j < n; j += 2 * TVec.Count)
        {
            TVec e0 = VectorMath.ExpNonPositive(TVec.Load(s + j) - max), e1 = VectorMath.ExpNonPositive(TVec.Load(s + j + TVec.Count) - max);
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
