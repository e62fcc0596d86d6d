using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Converts a query's row of scores, in place, to weights between the two products of <see cref="Attention"/>. The weights are
/// powers of two, and their sum is returned. A softmax subtracts the largest score first, so that no power overflows. If the
/// scores are known to be small, neither the subtraction nor the search for the maximum is needed (<see cref="Powers"/>).
/// </summary>
internal static unsafe class Scores
{
    /// <summary>
    /// Multiplies the n biases of a head by a factor. Returns the largest magnitude of the products, or 0 if n is 0.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float ScaledBiases<TVec>(float* x, int n, float factor, float* y) where TVec : unmanaged, IVector<TVec>
    {
        TVec most = TVec.Zero;
        int i = 0;
        for (; i <= n - TVec.Count; i += TVec.Count)
        {
            TVec v = TVec.Load(x + i) * TVec.Broadcast(factor);
            v.Store(y + i);
            most = TVec.Max(most, TVec.Abs(v));
        }
        float largest = TVec.MaxAcross(most);
        for (; i < n; i++) largest = MathF.Max(largest, MathF.Abs(y[i] = x[i] * factor));
        return largest;
    }

    /// <summary>
    /// Finds the largest of n scores, where n is a multiple of two vectors. Two accumulators hide the latency of the maximum
    /// operation.
    /// </summary>
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
    /// Computes s ← 2^(s - max), where n is a multiple of two vectors, and returns the sum. The weights are not divided by the
    /// sum here: it is cheaper to divide the d outputs than the n weights.
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

    /// <summary>
    /// Computes s ← 2^s, where n is a multiple of two vectors and scores are from -126 to 127. Returns the sum.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Powers<TVec>(float* s, int n) where TVec : unmanaged, IVector<TVec>
    {
        TVec sum0 = TVec.Zero, sum1 = TVec.Zero;
        for (int j = 0; j < n; j += 2 * TVec.Count)
        {
            TVec e0 = VectorMath.Exp2(TVec.Load(s + j)), e1 = VectorMath.Exp2(TVec.Load(s + j + TVec.Count));
            e0.Store(s + j);
            e1.Store(s + j + TVec.Count);
            sum0 += e0;
            sum1 += e1;
        }
        return TVec.Sum(sum0 + sum1);
    }

    /// <summary>
    /// Finds the largest squared norm of a key. Keys have d elements and are the columns of panels
    /// [d][<see cref="Tile.Columns"/>].
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float LargestSquare<TVec>(float* panels, int count, int d) where TVec : unmanaged, IVector<TVec>
    {
        TVec most = TVec.Zero;
        for (; count > 0; count--)
        {
            TVec even0 = TVec.Zero, even1 = TVec.Zero, odd0 = TVec.Zero, odd1 = TVec.Zero, x, y;
            int c = 0;
            for (; c <= d - 2; c += 2, panels += 4 * TVec.Count)
            {
                x = TVec.Load(panels); even0.AddProduct(x, x);
                y = TVec.Load(panels + TVec.Count); even1.AddProduct(y, y);
                x = TVec.Load(panels + 2 * TVec.Count); odd0.AddProduct(x, x);
                y = TVec.Load(panels + 3 * TVec.Count); odd1.AddProduct(y, y);
            }
            if (c < d)
            {
                x = TVec.Load(panels); even0.AddProduct(x, x);
                y = TVec.Load(panels + TVec.Count); even1.AddProduct(y, y);
                panels += 2 * TVec.Count;
            }
            most = TVec.Max(TVec.Max(most, even0 + odd0), even1 + odd1);
        }
        return TVec.MaxAcross(most);
    }

    /// <summary>Finds the largest squared norm of a row. Rows have d elements and are contiguous.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float LargestSquareOfRows<TVec>(float* x, int rows, int d) where TVec : unmanaged, IVector<TVec>
    {
        float most = 0;
        for (; rows > 0; rows--, x += d)
        {
            TVec sum = TVec.Zero;
            int c = 0;
            for (; c <= d - TVec.Count; c += TVec.Count) sum.AddProduct(TVec.Load(x + c), TVec.Load(x + c));
            float square = TVec.Sum(sum);
            for (; c < d; c++) square += x[c] * x[c];
            most = MathF.Max(most, square);
        }
        return most;
    }
}
