using System.Runtime.CompilerServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Quantizes the A operand of <see cref="Int8Tile"/>: rows of x as 8-bit integers with one scale per row, x[r, p] ≈ scale[r] q[r,
/// p], where scale = max |x[r]| / 127. A stored row is its integers, in the format that the tile reads, with k rounded up to a
/// multiple of <see cref="Int8Tile.Group"/>, followed by its scale.
/// <para>|x - scale q| ≤ scale (1/2 + 2^-15). A row whose largest magnitude is below 1e-34 is treated as zeros. A row that
/// contains NaN or infinity gets the scale NaN, so that every result computed from it is NaN; invalid numbers are never
/// hidden.</para>
/// </summary>
internal static unsafe class Int8Rows
{
    /// <summary>The largest magnitude of an integer. -128 is not used, so that the range is symmetric.</summary>
    internal const float Most = 127;

    /// <summary>
    /// The smallest usable maximum of a row. Below it, the scale would lose precision and its reciprocal would overflow.
    /// </summary>
    public const float Least = 1e-34f;

    /// <summary>Rounds the number of inputs up to whole groups.</summary>
    internal static int Padded(int k) => (k + Int8Tile.Group - 1) / Int8Tile.Group * Int8Tile.Group;

    /// <summary>Computes the stride between rows in bytes.</summary>
    public static int Stride(int k) => checked(Padded(k) * Int8Tile.ElementSize + sizeof(float));

    /// <summary>
    /// Computes the number of rows that the buffer must have room for: the rows of x, and at least one whole tile.
    /// </summary>
    public static int Rows(int m) => Math.Max(m, Int8Tile.Rows);

    /// <summary>Gets the scale of a quantized row of <paramref name="k"/> elements.</summary>
    public static float ScaleOf(byte* row, int k) => Unsafe.ReadUnaligned<float>(row + (nint)Padded(k) * Int8Tile.ElementSize);

    /// <summary>Quantizes rows, each with its own scale.</summary>
    /// <param name="x">The input, [<paramref name="rows"/>, <paramref name="k"/>].</param>
    /// <param name="ldx">The row stride of x, in floats.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="k">The number of inputs, at least 1.</param>
    /// <param name="q">The output, <paramref name="rows"/> times <see cref="Stride"/> bytes. It must not overlap x.</param>
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
            // Zero times a finite number is zero. Zero times anything else is NaN, which stays in the sum.
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
        if (Int8Tile.ElementSize == 2) integers.StoreShorts((short*)q + p);
        else if (Int8Tile.Offset > 0) (integers + TVec.Broadcast(Int8Tile.Offset)).StoreBytes(q + p);
        else TVec.SelectLess(integers, TVec.Zero, integers + TVec.Broadcast(256), integers).StoreBytes(q + p);    // signed bytes
    }

    /// <summary>Computes the reference result from the definition.</summary>
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
