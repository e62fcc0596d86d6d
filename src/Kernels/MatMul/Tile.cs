using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// Specifies what a tile prefetches for later work during its multiply-adds. It prefetches a few cache lines at a time, because
/// more at once would delay the tile's own loads.
/// </summary>
internal unsafe struct Ahead
{
    /// <summary>The memory for the result, <see cref="Tile.Rows"/> rows of <see cref="Tile.Columns"/>.</summary>
    public float* Result;

    /// <summary>The row stride of the result, in floats.</summary>
    public nint LdResult;

    /// <summary>The residual that is added to the result; null for none.</summary>
    public float* Residual;

    /// <summary>The row stride of the residual, in floats.</summary>
    public nint LdResidual;

    /// <summary>A block of memory that later tiles read.</summary>
    public byte* Run;

    /// <summary>The number of cache lines of <see cref="Run"/> to prefetch per row.</summary>
    public int Lines;

    /// <summary>The weights that are widened later.</summary>
    public byte* Weights;

    /// <summary>The number of cache lines of <see cref="Weights"/> to prefetch per row.</summary>
    public int WeightLines;

    /// <summary>The end of <see cref="Weights"/>.</summary>
    public byte* WeightsEnd;

    /// <summary>Prefetches one row and its share of <see cref="Run"/> and <see cref="Weights"/>, and advances.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Next()
    {
        if (!Sse.IsSupported) return;
        Sse.Prefetch0(Result);
        Sse.Prefetch0(Result + Simd.Lanes);
        Result += LdResult;
        if (Residual != null)
        {
            Sse.Prefetch0(Residual);
            Sse.Prefetch0(Residual + Simd.Lanes);
            Residual += LdResidual;
        }
        for (int i = 0; i < Lines; i++, Run += 64) Sse.Prefetch1(Run);
        if (Weights >= WeightsEnd) return;
        for (int i = 0; i < WeightLines; i++, Weights += 64) Sse.Prefetch1(Weights);
    }
}

/// <summary>Specifies the initial values of a tile's sums.</summary>
internal unsafe struct Start
{
    /// <summary>Pointers to <see cref="Tile.Rows"/> rows.</summary>
    public float** Rows;

    /// <summary>The offsets, in floats, of the two vectors of <see cref="Tile.Columns"/> in every row.</summary>
    public nint First, Second;
}

/// <summary>
/// Computes the innermost product of every matmul and attention: C[<see cref="Rows"/>, <see cref="Columns"/>] = A · B, with all
/// sums in registers for the whole of k (register blocking).
/// <para>A is read in place, row-major with row stride lda. One base pointer serves three rows, with lda and 2 lda as indexes, so
/// A is not packed and no register is spilled. B is a panel [k][<see cref="Columns"/>], two vectors per step. Each step takes one
/// broadcast (Arm64: one scalar load) and two multiply-adds per row, so the throughput of multiply-adds is the limit.</para>
/// <para>Two shapes cover all processors: 12 rows with 32 vector registers (AVX-512, Arm64), and 6 rows with 16 (AVX2, SSE). A
/// call inside the loop, or accumulators in an array, would halve the speed. The accumulators are therefore separate locals, which
/// <see cref="IVector{TSelf}.AddMultiple"/> updates in place: with an assigned result, the JIT compiler copied seven registers per
/// step. That, two steps per turn and one jump at its end take AVX2 from 94 % to 98 % of the peak (90 % to 94 % for k = 64). A test
/// compares the machine code of the loop with this description.</para>
/// </summary>
internal static unsafe class Tile
{
    /// <summary>
    /// The maximum number of steps of k between two prefetched rows. The branch predictor predicts the end of a loop of this
    /// length, but not of a longer one. Rows that are prefetched too early may also be evicted before they are used.
    /// </summary>
    private const int LongestPart = 32;

    /// <summary>Gets the number of rows of a tile on this processor.</summary>
    public static int Rows => Simd.Lanes == 16 || AdvSimd.IsSupported ? 12 : 6;

    /// <summary>Gets the number of columns of a tile on this processor: two vectors.</summary>
    public static int Columns => 2 * Simd.Lanes;

    /// <summary>Computes C = A · B, or C = start + A · B, for one whole tile.</summary>
    /// <param name="a">The operand A, [<see cref="Rows"/>, k] with row stride <paramref name="lda"/> floats.</param>
    /// <param name="lda">The row stride of A, in floats.</param>
    /// <param name="b">The operand B, [k, <see cref="Columns"/>], contiguous.</param>
    /// <param name="k">The length of the sums.</param>
    /// <param name="c">
    /// The result, [<see cref="Rows"/>, <see cref="Columns"/>] with row stride <paramref name="ldc"/>; overwritten. It must not
    /// overlap A or B.
    /// </param>
    /// <param name="ldc">The row stride of C, in floats.</param>
    /// <param name="ahead">What to prefetch; its pointers are advanced. Null for nothing.</param>
    /// <param name="start">What to add to the product; null for nothing.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Execute(float* a, nint lda, float* b, nint k, float* c, nint ldc, Ahead* ahead = null, Start* start = null)
    {
        if (Simd.Lanes == 16) Tile12<Lanes16>(a, lda, b, k, c, ldc, ahead, start);
        else if (Simd.Lanes == 8) Tile6<Lanes8>(a, lda, b, k, c, ldc, ahead, start);
        else if (AdvSimd.IsSupported) Tile12<Lanes4>(a, lda, b, k, c, ldc, ahead, start);
        else if (Simd.Lanes == 4) Tile6<Lanes4>(a, lda, b, k, c, ldc, ahead, start);
        else Tile6<Lanes1>(a, lda, b, k, c, ldc, ahead, start);
    }

    /// <summary>
    /// Computes the reference result from the definition: C[i, j] = start + sum over p of A[i, p] B[p, j], in double precision.
    /// </summary>
    public static void Scalar(float* a, nint lda, float* b, nint k, float* c, nint ldc, Start* start = null)
    {
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                nint at = start == null ? 0 : j < Columns / 2 ? start->First + j : start->Second + j - Columns / 2;
                double sum = start == null ? 0 : start->Rows[i][at];
                for (nint p = 0; p < k; p++) sum += (double)a[i * lda + p] * b[p * Columns + j];
                c[i * ldc + j] = (float)sum;
            }
        }
    }

    /// <summary>Computes a tile with 24 accumulators, 2 vectors of B and 1 broadcast: 27 of 32 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile12<TVec>(float* a, nint lda, float* b, nint k, float* c, nint ldc, Ahead* ahead, Start* start)
        where TVec : unmanaged, IVector<TVec>
    {
        nint n = TVec.Count;
        TVec c00 = TVec.Zero, c01 = TVec.Zero;
        TVec c10 = TVec.Zero, c11 = TVec.Zero;
        TVec c20 = TVec.Zero, c21 = TVec.Zero;
        TVec c30 = TVec.Zero, c31 = TVec.Zero;
        TVec c40 = TVec.Zero, c41 = TVec.Zero;
        TVec c50 = TVec.Zero, c51 = TVec.Zero;
        TVec c60 = TVec.Zero, c61 = TVec.Zero;
        TVec c70 = TVec.Zero, c71 = TVec.Zero;
        TVec c80 = TVec.Zero, c81 = TVec.Zero;
        TVec c90 = TVec.Zero, c91 = TVec.Zero;
        TVec c100 = TVec.Zero, c101 = TVec.Zero;
        TVec c110 = TVec.Zero, c111 = TVec.Zero;
        if (start != null)
        {
            float** rows = start->Rows;
            nint first = start->First, second = start->Second;
            c00 = TVec.Load(rows[0] + first); c01 = TVec.Load(rows[0] + second);
            c10 = TVec.Load(rows[1] + first); c11 = TVec.Load(rows[1] + second);
            c20 = TVec.Load(rows[2] + first); c21 = TVec.Load(rows[2] + second);
            c30 = TVec.Load(rows[3] + first); c31 = TVec.Load(rows[3] + second);
            c40 = TVec.Load(rows[4] + first); c41 = TVec.Load(rows[4] + second);
            c50 = TVec.Load(rows[5] + first); c51 = TVec.Load(rows[5] + second);
            c60 = TVec.Load(rows[6] + first); c61 = TVec.Load(rows[6] + second);
            c70 = TVec.Load(rows[7] + first); c71 = TVec.Load(rows[7] + second);
            c80 = TVec.Load(rows[8] + first); c81 = TVec.Load(rows[8] + second);
            c90 = TVec.Load(rows[9] + first); c91 = TVec.Load(rows[9] + second);
            c100 = TVec.Load(rows[10] + first); c101 = TVec.Load(rows[10] + second);
            c110 = TVec.Load(rows[11] + first); c111 = TVec.Load(rows[11] + second);
        }
        float* a0 = a;
        float* a1 = a + 3 * lda;
        float* a2 = a + 6 * lda;
        float* a3 = a + 9 * lda;
        // The steps are taken in pairs, which halves the cost of the loop itself. The last step of an odd k follows.
        float* end = b + 2 * n * k, pairs = end - 2 * n * (k & 1);
        // When prefetching, the last steps of k are divided into as many parts as there are rows.
        nint part = 0;
        float* stop = pairs;
        if (ahead != null)
        {
            part = 4 * n * Math.Min((k + 23) / 24, LongestPart / 2);
            stop -= 12 * part;
        }

        while (true)
        {
            if (b < stop)
            {
                do
                {
                    Step12(a0, a1, a2, a3, lda, b,
                        ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51, ref c60,
                        ref c61, ref c70, ref c71, ref c80, ref c81, ref c90, ref c91, ref c100, ref c101, ref c110, ref c111);
                    Step12(a0 + 1, a1 + 1, a2 + 1, a3 + 1, lda, b + 2 * n,
                        ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51, ref c60,
                        ref c61, ref c70, ref c71, ref c80, ref c81, ref c90, ref c91, ref c100, ref c101, ref c110, ref c111);
                    b += 4 * n;
                    a0 += 2; a1 += 2; a2 += 2; a3 += 2;
                }
                while (b < stop);
            }
            if (b >= pairs) break;
            ahead->Next();
            stop = (float*)Math.Min((nuint)pairs, (nuint)(b + part));
        }
        if (b < end)
        {
            Step12(a0, a1, a2, a3, lda, b,
                ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51, ref c60,
                ref c61, ref c70, ref c71, ref c80, ref c81, ref c90, ref c91, ref c100, ref c101, ref c110, ref c111);
        }
        c00.Store(c); c01.Store(c + n); c += ldc;
        c10.Store(c); c11.Store(c + n); c += ldc;
        c20.Store(c); c21.Store(c + n); c += ldc;
        c30.Store(c); c31.Store(c + n); c += ldc;
        c40.Store(c); c41.Store(c + n); c += ldc;
        c50.Store(c); c51.Store(c + n); c += ldc;
        c60.Store(c); c61.Store(c + n); c += ldc;
        c70.Store(c); c71.Store(c + n); c += ldc;
        c80.Store(c); c81.Store(c + n); c += ldc;
        c90.Store(c); c91.Store(c + n); c += ldc;
        c100.Store(c); c101.Store(c + n); c += ldc;
        c110.Store(c); c111.Store(c + n);
    }

    /// <summary>Adds the products of one step of k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step12<TVec>(float* a0, float* a1, float* a2, float* a3, nint lda, float* b,
        ref TVec c00, ref TVec c01, ref TVec c10, ref TVec c11, ref TVec c20, ref TVec c21,
        ref TVec c30, ref TVec c31, ref TVec c40, ref TVec c41, ref TVec c50, ref TVec c51,
        ref TVec c60, ref TVec c61, ref TVec c70, ref TVec c71, ref TVec c80, ref TVec c81,
        ref TVec c90, ref TVec c91, ref TVec c100, ref TVec c101, ref TVec c110, ref TVec c111)
        where TVec : unmanaged, IVector<TVec>
    {
        TVec b0 = TVec.Load(b), b1 = TVec.Load(b + TVec.Count), x;
        x = TVec.LoadMultiplier(a0); c00.AddMultiple(b0, x); c01.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a0 + lda); c10.AddMultiple(b0, x); c11.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a0 + 2 * lda); c20.AddMultiple(b0, x); c21.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a1); c30.AddMultiple(b0, x); c31.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a1 + lda); c40.AddMultiple(b0, x); c41.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a1 + 2 * lda); c50.AddMultiple(b0, x); c51.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a2); c60.AddMultiple(b0, x); c61.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a2 + lda); c70.AddMultiple(b0, x); c71.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a2 + 2 * lda); c80.AddMultiple(b0, x); c81.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a3); c90.AddMultiple(b0, x); c91.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a3 + lda); c100.AddMultiple(b0, x); c101.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a3 + 2 * lda); c110.AddMultiple(b0, x); c111.AddMultiple(b1, x);
    }

    /// <summary>Computes a tile with 12 accumulators, 2 vectors of B and 1 broadcast: 15 of 16 registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile6<TVec>(float* a, nint lda, float* b, nint k, float* c, nint ldc, Ahead* ahead, Start* start)
        where TVec : unmanaged, IVector<TVec>
    {
        nint n = TVec.Count;
        TVec c00 = TVec.Zero, c01 = TVec.Zero;
        TVec c10 = TVec.Zero, c11 = TVec.Zero;
        TVec c20 = TVec.Zero, c21 = TVec.Zero;
        TVec c30 = TVec.Zero, c31 = TVec.Zero;
        TVec c40 = TVec.Zero, c41 = TVec.Zero;
        TVec c50 = TVec.Zero, c51 = TVec.Zero;
        if (start != null)
        {
            float** rows = start->Rows;
            nint first = start->First, second = start->Second;
            c00 = TVec.Load(rows[0] + first); c01 = TVec.Load(rows[0] + second);
            c10 = TVec.Load(rows[1] + first); c11 = TVec.Load(rows[1] + second);
            c20 = TVec.Load(rows[2] + first); c21 = TVec.Load(rows[2] + second);
            c30 = TVec.Load(rows[3] + first); c31 = TVec.Load(rows[3] + second);
            c40 = TVec.Load(rows[4] + first); c41 = TVec.Load(rows[4] + second);
            c50 = TVec.Load(rows[5] + first); c51 = TVec.Load(rows[5] + second);
        }
        float* a0 = a;
        float* a1 = a + 3 * lda;
        // The steps are taken in pairs, which halves the cost of the loop itself. The last step of an odd k follows.
        float* end = b + 2 * n * k, pairs = end - 2 * n * (k & 1);
        // When prefetching, the last steps of k are divided into as many parts as there are rows.
        nint part = 0;
        float* stop = pairs;
        if (ahead != null)
        {
            part = 4 * n * Math.Min((k + 11) / 12, LongestPart / 2);
            stop -= 6 * part;
        }

        while (true)
        {
            if (b < stop)
            {
                do
                {
                    Step6(a0, a1, lda, b,
                        ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
                    Step6(a0 + 1, a1 + 1, lda, b + 2 * n,
                        ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
                    b += 4 * n;
                    a0 += 2; a1 += 2;
                }
                while (b < stop);
            }
            if (b >= pairs) break;
            ahead->Next();
            stop = (float*)Math.Min((nuint)pairs, (nuint)(b + part));
        }
        if (b < end)
        {
            Step6(a0, a1, lda, b,
                ref c00, ref c01, ref c10, ref c11, ref c20, ref c21, ref c30, ref c31, ref c40, ref c41, ref c50, ref c51);
        }
        c00.Store(c); c01.Store(c + n); c += ldc;
        c10.Store(c); c11.Store(c + n); c += ldc;
        c20.Store(c); c21.Store(c + n); c += ldc;
        c30.Store(c); c31.Store(c + n); c += ldc;
        c40.Store(c); c41.Store(c + n); c += ldc;
        c50.Store(c); c51.Store(c + n);
    }

    /// <summary>Adds the products of one step of k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step6<TVec>(float* a0, float* a1, nint lda, float* b,
        ref TVec c00, ref TVec c01, ref TVec c10, ref TVec c11, ref TVec c20, ref TVec c21,
        ref TVec c30, ref TVec c31, ref TVec c40, ref TVec c41, ref TVec c50, ref TVec c51)
        where TVec : unmanaged, IVector<TVec>
    {
        TVec b0 = TVec.Load(b), b1 = TVec.Load(b + TVec.Count), x;
        x = TVec.LoadMultiplier(a0); c00.AddMultiple(b0, x); c01.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a0 + lda); c10.AddMultiple(b0, x); c11.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a0 + 2 * lda); c20.AddMultiple(b0, x); c21.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a1); c30.AddMultiple(b0, x); c31.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a1 + lda); c40.AddMultiple(b0, x); c41.AddMultiple(b1, x);
        x = TVec.LoadMultiplier(a1 + 2 * lda); c50.AddMultiple(b0, x); c51.AddMultiple(b1, x);
    }
}
