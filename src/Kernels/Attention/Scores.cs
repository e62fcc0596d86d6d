using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>What happens to a query's row of scores between the two products of <see cref="Attention"/>, in place.</summary>
internal static unsafe class Scores
{
    /// <summary>y ← y + x, n a multiple of the vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add<TVec>(float* x, float* y, int n) where TVec : unmanaged, IVector<TVec>
    {
        for (int j = 0; j < n; j += TVec.Count) (TVec.Load(y + j) + TVec.Load(x + j)).Store(y + j);
    }

    /// <summary>
    /// Adds one query's biases to its scores and returns the largest sum: for each row of keys the biases are a slice of the
    /// table, which is mirrored for that.
    /// </summary>
    public static float AddBias<TVec>(float* table, int window, int head, int query, float* s)
        where TVec : unmanaged, IVector<TVec>
    {
        int side = 2 * window - 1, x = 0;
        float* slice = table + (nint)head * side * side + (window - 1 - query / window) * side + window - 1 - query % window;
        float most = float.NegativeInfinity;
        for (; x <= window - TVec.Count; x += TVec.Count)
            most = MathF.Max(most, AddColumns<TVec>(slice + x, side, s + x, window));
        for (; x < window; x++) most = MathF.Max(most, AddColumns<Lanes1>(slice + x, side, s + x, window));
        return most;
    }

    /// <summary>The same for a vector of columns of all rows of keys, of which there are as many as a row is long.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float AddColumns<TVec>(float* slice, nint side, float* s, int window) where TVec : unmanaged, IVector<TVec>
    {
        TVec log2E = TVec.Broadcast(Attention.Log2E), most0 = TVec.Broadcast(float.NegativeInfinity), most1 = most0;
        int y = 0;
        for (; y <= window - 2; y += 2, slice += 2 * side, s += 2 * (nint)window)
        {
            most0 = TVec.Max(most0, Biased(s, slice, log2E));
            most1 = TVec.Max(most1, Biased(s + window, slice + side, log2E));
        }
        if (y < window) most0 = TVec.Max(most0, Biased(s, slice, log2E));
        return TVec.MaxAcross(TVec.Max(most0, most1));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVec Biased<TVec>(float* s, float* bias, TVec factor) where TVec : unmanaged, IVector<TVec>
    {
        TVec sum = TVec.MultiplyAdd(TVec.Load(bias), factor, TVec.Load(s));
        sum.Store(s);
        return sum;
    }

    /// <summary>The largest of n scores, n a multiple of two vectors. One chain of maxima would wait for itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Largest<TVec>(float* s, int n) where TVec : unmanaged, IVector<TVec>
    {
        TVec most0 = TVec.Load(s), most1 = TVec.Load(s + TVec.Count);
        for (int j = 2 * TVec.Count; j < n; j += 2 * TVec.Count)
        {
            most0 = TVec.Max(most0, TVec.Load(s + j));
            most1 = TVec.Max(most1, TVec.Load(s + j + TVec.Count));
        }
        return TVec.MaxAcross(TVec.Max(most0, most1));
    }

    /// <summary>
    /// s ← 2^(s - max), n a multiple of two vectors; returns the sum. Not divided yet: that is cheaper on the d outputs than
    /// on the n weights.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Weights<TVec>(float* s, int n, float max) where TVec : unmanaged, IVector<TVec>
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
}
