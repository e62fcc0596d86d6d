using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// The A operand of <see cref="Int8Tile"/>: rows of x as 8-bit integers with one scale a row, x[r, p] ≈ scale[r] q[r, p], scale =
/// max |x[r]| / 127. A row is its integers, in the form the tile reads, k rounded up to whole groups of four, and then its scale.
/// <para>
/// |x - scale q| ≤ scale (1/2 + 2^-15). A row whose largest magnitude is below 1e-34 counts as zeros. A row that holds NaN or an
/// infinity has the scale NaN, so that every result made from it is NaN: what is not a number is passed on, not hidden.
/// </para>
/// </summary>
internal static unsafe class Int8Rows
{
    /// <summary>Largest magnitude of an integer: -128 is left out, so that the range is symmetric.</summary>
    internal const float Most = 127;

    /// <summary>Below this a scale would lose precision, and its reciprocal overflow.</summary>
    public const float Least = 1e-34f;

    /// <summary>Inputs, rounded up to whole groups.</summary>
    internal static int Padded(int k) => (k + 3) / 4 * 4;

    /// <summary>Bytes from one row to the next.</summary>
    public static int Stride(int k) => checked(Padded(k) * Int8Tile.ElementSize + sizeof(float));

    /// <summary>Rows that the buffer must have room for: those of x, or of a whole tile.</summary>
    public static int Rows(int m) => Math.Max(m, Int8Tile.Rows);

    /// <summary>The scale of a quantised row of <paramref name="k"/> numbers.</summary>
    public static float ScaleOf(byte* row, int k) => Unsafe.ReadUnaligned<float>(row + (nint)Padded(k) * Int8Tile.ElementSize);

    /// <summary>Quantises rows, each for itself.</summary>
    /// <param name="x">[<paramref name="rows"/>, <paramref name="k"/>].</param>
    /// <param name="ldx">Row stride of x, in floats.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="k">Inputs, at least 1.</param>
    /// <param name="q"><paramref name="rows"/> times <see cref="Stride"/> bytes; may not overlap x.</param>
    public static void Execute(float* x, nint ldx, int rows, int k, byte* q) =>
        Simd.Run(new Kernel(x, ldx, rows, k, q));

    private readonly struct Kernel(float* x, nint ldx, int rows, int k, byte* q) : IWideKernel
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec> => Execute<TVec>(x, ldx, rows, k, q);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Execute<TVec>(float* x, nint ldx, int rows, int k, byte* q) where TVec : unmanaged, IVector<TVec>
    {
        int stride = Stride(k);
        for (; rows > 0; rows--, x += ldx, q += stride)
        {
            // Zero times a finite number is zero; times any other it is NaN, and stays it in the sum.
            TVec largest = TVec.Zero, notFinite = TVec.Zero;
            int p = 0;
            for (; p <= k - TVec.Count; p += TVec.Count)
            {
                TVec v = TVec.Load(x + p);
                largest = TVec.Max(largest, TVec.Abs(v));
                notFinite = TVec.MultiplyAdd(v, TVec.Zero, notFinite);
            }
            float max = TVec.MaxAcross(largest), poison = TVec.Sum(notFinite);
            for (; p < k; p++)
            {
                max = MathF.Max(max, MathF.Abs(x[p]));
                poison += x[p] * 0;
            }
            // Both comparisons are false for NaN.
            float factor = poison == 0 && max >= Least ? Most / max : 0;
            if (factor == 0) Clear(q, k);
            else Round<TVec>(x, factor, k, q);
            Unsafe.WriteUnaligned(q + stride - sizeof(float), factor == 0 ? 0 * poison : max / Most);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Round<TVec>(float* x, float factor, int k, byte* q) where TVec : unmanaged, IVector<TVec>
    {
        int p = 0;
        for (; p <= k - TVec.Count; p += TVec.Count) Put(TVec.Round(TVec.Load(x + p) * TVec.Broadcast(factor)), q, p);
        for (; p < k; p++) Put(Lanes1.Round(Lanes1.Load(x + p) * Lanes1.Broadcast(factor)), q, p);
        for (; p < Padded(k); p++) Put(Lanes1.Zero, q, p);
    }

    private static void Clear(byte* q, int k)
    {
        for (int p = 0; p < Padded(k); p++) Put(Lanes1.Zero, q, p);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<TVec>(TVec integers, byte* q, int p) where TVec : unmanaged, IVector<TVec>
    {
        if (Int8Tile.ElementSize == 1) (integers + TVec.Broadcast(Int8Tile.Offset)).StoreBytes(q + p);
        else integers.StoreShorts((short*)q + p);
    }

    /// <summary>The definition.</summary>
    public static void Scalar(float* x, nint ldx, int rows, int k, byte* q)
    {
        for (int r = 0; r < rows; r++, x += ldx, q += Stride(k))
        {
            float max = 0;
            bool finite = true;
            for (int p = 0; p < k; p++)
            {
                finite &= float.IsFinite(x[p]);
                max = Math.Max(max, Math.Abs(x[p]));
            }
            bool zero = !finite || max < Least;
            for (int p = 0; p < Padded(k); p++)
            {
                int integer = zero || p >= k ? 0 : (int)Math.Round(x[p] * (Most / max), MidpointRounding.ToEven);
                if (Int8Tile.ElementSize == 1) q[p] = (byte)(integer + Int8Tile.Offset);
                else ((short*)q)[p] = (short)integer;
            }
            Unsafe.WriteUnaligned(q + Stride(k) - sizeof(float), !finite ? float.NaN : zero ? 0 : max / Most);
        }
    }
}
