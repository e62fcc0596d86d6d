using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>
/// Computes the innermost product of <see cref="Int8MatMul"/>: C[<see cref="Rows"/>, <see cref="Columns"/>] = A · B with 8-bit
/// integers. The sums are exact in 32 bits, so the result is the same on every processor, and they stay in registers for all of
/// k. k advances by groups of four, which are contiguous in A's rows (<see cref="Int8Rows"/>) and in B's columns
/// (<see cref="Int8Weights"/>).
/// <para>With VNNI, one instruction multiplies four unsigned bytes of A by four signed bytes of B in each lane. A is therefore
/// stored with <see cref="Offset"/> added, and the sums start from B's corrections, which subtract it again. The 512-bit form of
/// AVX512 is generated code (<see cref="Vnni512"/>); the 256-bit form of AvxVnni is in this class. On other processors A is
/// stored as 16-bit integers, B is widened to 16 bits, and adjacent products are added in pairs; each column then has two partial
/// sums, which are added at the end. Intermediate sums may wrap around. Only the result must fit in 32 bits, and 127 * 127 * k
/// does for k up to <see cref="MaxInputs"/>.</para>
/// </summary>
internal static unsafe class Int8Tile
{
    /// <summary>
    /// Gets the number of rows of a tile on this processor. With two vectors per row, 12 sums, 2 vectors of B and 1 broadcast fit
    /// in 16 registers, all that a VEX-encoded instruction can address.
    /// </summary>
    public static int Rows => Vnni512.IsSupported ? Vnni512.Rows : 6;

    /// <summary>The largest k for which the sums cannot overflow.</summary>
    public const int MaxInputs = 1 << 17;

    /// <summary>Gets the number of columns of a tile on this processor.</summary>
    public static int Columns => Vnni512.IsSupported ? Vnni512.Columns : Math.Min(Tile.Columns, 16);

    private static bool MultipliesBytes => Vnni512.IsSupported || AvxVnni.IsSupported;

    /// <summary>Gets the size of an element of A in bytes.</summary>
    public static int ElementSize => MultipliesBytes ? 1 : 2;

    /// <summary>Gets the number that is added to the elements of A when they are stored.</summary>
    public static int Offset => MultipliesBytes ? 128 : 0;

    /// <summary>Computes C = A · B for one whole tile.</summary>
    /// <param name="a">The operand A: <see cref="Rows"/> rows of k elements.</param>
    /// <param name="lda">The row stride of A, in bytes.</param>
    /// <param name="b">The operand B, [k / 4][<see cref="Columns"/>][4].</param>
    /// <param name="k">The length of the sums, a multiple of 4, at least 4.</param>
    /// <param name="correction">
    /// The corrections, [<see cref="Columns"/>]: minus <see cref="Offset"/> times the sum of each column of B.
    /// </param>
    /// <param name="c">
    /// The result, [<see cref="Rows"/>, <see cref="Columns"/>] with row stride <paramref name="ldc"/>; overwritten. It must not
    /// overlap A or B.
    /// </param>
    /// <param name="ldc">The row stride of C, in elements.</param>
    public static void Execute(byte* a, nint lda, sbyte* b, int k, int* correction, int* c, nint ldc)
    {
        if (Vnni512.IsSupported) Vnni512.Execute(a, lda, b, k, correction, c, ldc);
        else if (AvxVnni.IsSupported) Quads(a, lda, b, k, correction, c, ldc);
        else if (Simd.Lanes == 16) Pairs<Pairs512>(a, lda, b, k, c, ldc);
        else if (Simd.Lanes == 8) Pairs<Pairs256>(a, lda, b, k, c, ldc);
        else if (Simd.Lanes == 4 && (Sse2.IsSupported || AdvSimd.Arm64.IsSupported)) Pairs<Pairs128>(a, lda, b, k, c, ldc);
        else Scalar(a, lda, b, k, c, ldc);
    }

    /// <summary>Computes the reference result from the definition: C[i, j] = sum over p of A[i, p] B[p, j].</summary>
    public static void Scalar(byte* a, nint lda, sbyte* b, int k, int* c, nint ldc)
    {
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                int sum = 0;
                for (int p = 0; p < k; p++)
                {
                    sum += (ElementSize == 1 ? a[i * lda + p] - Offset
                        : ((short*)(a + i * lda))[p]) * b[(nint)p / 4 * 4 * Columns + 4 * j + p % 4];
                }

                c[i * ldc + j] = sum;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Quads(byte* a, nint lda, sbyte* b, int k, int* correction, int* c, nint ldc)
    {
        nint lda2 = 2 * lda;
        Vector256<int> c00 = Vector256.Load(correction), c01 = Vector256.Load(correction + 8);
        Vector256<int> c10 = c00, c11 = c01;
        Vector256<int> c20 = c00, c21 = c01;
        Vector256<int> c30 = c00, c31 = c01;
        Vector256<int> c40 = c00, c41 = c01;
        Vector256<int> c50 = c00, c51 = c01;
        byte* a0 = a;
        byte* a1 = a + 3 * lda;
        sbyte* end = b + 16 * (nint)k;
        while (b < end)
        {
            Vector256<sbyte> b0 = Vector256.Load(b), b1 = Vector256.Load(b + 32);
            b += 64;
            Vector256<byte> x;
            x = Vector256.Create(*(int*)a0).AsByte(); c00 = AvxVnni.MultiplyWideningAndAdd(c00, x,
                b0); c01 = AvxVnni.MultiplyWideningAndAdd(c01, x, b1);
            x = Vector256.Create(*(int*)(a0 + lda)).AsByte(); c10 = AvxVnni.MultiplyWideningAndAdd(c10, x,
                b0); c11 = AvxVnni.MultiplyWideningAndAdd(c11, x, b1);
            x = Vector256.Create(*(int*)(a0 + lda2)).AsByte(); c20 = AvxVnni.MultiplyWideningAndAdd(c20, x,
                b0); c21 = AvxVnni.MultiplyWideningAndAdd(c21, x, b1);
            x = Vector256.Create(*(int*)a1).AsByte(); c30 = AvxVnni.MultiplyWideningAndAdd(c30, x,
                b0); c31 = AvxVnni.MultiplyWideningAndAdd(c31, x, b1);
            x = Vector256.Create(*(int*)(a1 + lda)).AsByte(); c40 = AvxVnni.MultiplyWideningAndAdd(c40, x,
                b0); c41 = AvxVnni.MultiplyWideningAndAdd(c41, x, b1);
            x = Vector256.Create(*(int*)(a1 + lda2)).AsByte(); c50 = AvxVnni.MultiplyWideningAndAdd(c50, x,
                b0); c51 = AvxVnni.MultiplyWideningAndAdd(c51, x, b1);
            a0 += 4; a1 += 4;
        }
        c00.Store(c); c01.Store(c + 8); c += ldc;
        c10.Store(c); c11.Store(c + 8); c += ldc;
        c20.Store(c); c21.Store(c + 8); c += ldc;
        c30.Store(c); c31.Store(c + 8); c += ldc;
        c40.Store(c); c41.Store(c + 8); c += ldc;
        c50.Store(c); c51.Store(c + 8);
    }

    /// <summary>Computes a tile in column strips of two vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pairs<TVec>(byte* a, nint lda, sbyte* b, int k, int* c, nint ldc) where TVec : unmanaged, IPairs<TVec>
    {
        int n = TVec.Columns;
        nint step = 4 * Columns, lda2 = 2 * lda;
        for (int column = 0; column < Columns; column += 2 * n)
        {
            TVec c00 = default, c01 = default;
            TVec c10 = default, c11 = default;
            TVec c20 = default, c21 = default;
            TVec c30 = default, c31 = default;
            TVec c40 = default, c41 = default;
            TVec c50 = default, c51 = default;
            byte* a0 = a;
            byte* a1 = a + 3 * lda;
            sbyte* from = b + 4 * column, end = from + k * (nint)Columns;
            while (from < end)
            {
                TVec b0 = TVec.Load(from), b1 = TVec.Load(from + 4 * n), x;
                from += step;
                x = TVec.Broadcast(a0); c00 = TVec.MultiplyAdd(x, b0, c00); c01 = TVec.MultiplyAdd(x, b1, c01);
                x = TVec.Broadcast(a0 + lda); c10 = TVec.MultiplyAdd(x, b0, c10); c11 = TVec.MultiplyAdd(x, b1, c11);
                x = TVec.Broadcast(a0 + lda2); c20 = TVec.MultiplyAdd(x, b0, c20); c21 = TVec.MultiplyAdd(x, b1, c21);
                x = TVec.Broadcast(a1); c30 = TVec.MultiplyAdd(x, b0, c30); c31 = TVec.MultiplyAdd(x, b1, c31);
                x = TVec.Broadcast(a1 + lda); c40 = TVec.MultiplyAdd(x, b0, c40); c41 = TVec.MultiplyAdd(x, b1, c41);
                x = TVec.Broadcast(a1 + lda2); c50 = TVec.MultiplyAdd(x, b0, c50); c51 = TVec.MultiplyAdd(x, b1, c51);
                a0 += 8; a1 += 8;
            }
            int* to = c + column;
            c00.StoreSums(to); c01.StoreSums(to + n); to += ldc;
            c10.StoreSums(to); c11.StoreSums(to + n); to += ldc;
            c20.StoreSums(to); c21.StoreSums(to + n); to += ldc;
            c30.StoreSums(to); c31.StoreSums(to + n); to += ldc;
            c40.StoreSums(to); c41.StoreSums(to + n); to += ldc;
            c50.StoreSums(to); c51.StoreSums(to + n);
        }
    }
}

/// <summary>
/// Represents a vector of 16-bit integers, with a group of four for each column, or a vector of 32-bit sums of pairs, with two
/// for each column.
/// </summary>
internal unsafe interface IPairs<TSelf> where TSelf : unmanaged, IPairs<TSelf>
{
    /// <summary>Gets the number of columns in a vector.</summary>
    static abstract int Columns { get; }

    /// <summary>Loads groups of B and widens them.</summary>
    static abstract TSelf Load(sbyte* p);

    /// <summary>Broadcasts one group of A to every column.</summary>
    static abstract TSelf Broadcast(byte* p);

    /// <summary>Computes sums + the sum of the products of each pair.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf sums);

    /// <summary>Adds the two sums of each column and stores the results.</summary>
    void StoreSums(int* p);
}

internal readonly unsafe struct Pairs512 : IPairs<Pairs512>
{
    private readonly Vector512<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Pairs512(Vector512<short> v) => this.v = v;

    public static int Columns => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs512 Load(sbyte* p) => new(Avx512BW.ConvertToVector512Int16(Vector256.Load(p)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs512 Broadcast(byte* p) => new(Vector512.Create(*(long*)p).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs512 MultiplyAdd(Pairs512 a, Pairs512 b, Pairs512 sums) =>
        new((sums.v.AsInt32() + Avx512BW.MultiplyAddAdjacent(a.v, b.v)).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreSums(int* p) =>
        Avx512F.ConvertToVector256Int32((v.AsInt32() + (v.AsInt64() >>> 32).AsInt32()).AsInt64()).Store(p);
}

internal readonly unsafe struct Pairs256 : IPairs<Pairs256>
{
    private readonly Vector256<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Pairs256(Vector256<short> v) => this.v = v;

    public static int Columns => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs256 Load(sbyte* p) => new(Avx2.ConvertToVector256Int16(Vector128.Load(p)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs256 Broadcast(byte* p) => new(Vector256.Create(*(long*)p).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs256 MultiplyAdd(Pairs256 a, Pairs256 b, Pairs256 sums) =>
        new((sums.v.AsInt32() + Avx2.MultiplyAddAdjacent(a.v, b.v)).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreSums(int* p)
    {
        Vector256<long> sums = (v.AsInt32() + (v.AsInt64() >>> 32).AsInt32()).AsInt64();
        Vector128.Narrow(sums.GetLower(), sums.GetUpper()).Store(p);
    }
}

internal readonly unsafe struct Pairs128 : IPairs<Pairs128>
{
    private readonly Vector128<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Pairs128(Vector128<short> v) => this.v = v;

    public static int Columns => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs128 Load(sbyte* p) => new(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)p).AsSByte()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs128 Broadcast(byte* p) => new(Vector128.Create(*(long*)p).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs128 MultiplyAdd(Pairs128 a, Pairs128 b, Pairs128 sums)
    {
        Vector128<int> pairs = Sse2.IsSupported ? Sse2.MultiplyAddAdjacent(a.v, b.v)
            : AdvSimd.Arm64.AddPairwise(AdvSimd.MultiplyWideningLower(a.v.GetLower(), b.v.GetLower()),
                AdvSimd.MultiplyWideningUpper(a.v, b.v));
        return new((sums.v.AsInt32() + pairs).AsInt16());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void StoreSums(int* p)
    {
        Vector128<long> sums = (v.AsInt32() + (v.AsInt64() >>> 32).AsInt32()).AsInt64();
        *(long*)p = Vector128.Narrow(sums, sums).AsInt64().ToScalar();
    }
}
