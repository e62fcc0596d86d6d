using System.Diagnostics.CodeAnalysis;
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
/// AVX512 is generated code (<see cref="Vnni512"/>); the 256-bit form of AvxVnni is in this class. Arm64's dot products multiply
/// signed bytes and need neither.</para>
/// <para>On other processors A and B are 16-bit integers, and adjacent products are added in pairs; each column then has two
/// partial sums, which are added at the end. Intermediate sums may wrap around. Only the result must fit in 32 bits, and
/// 127 * 127 * k does for k up to <see cref="MaxInputs"/>. Whether that is faster than floats is another question
/// (<see cref="Int8Benefit"/>).</para>
/// </summary>
internal static unsafe class Int8Tile
{
    /// <summary>
    /// Gets the number of rows of a tile on this processor. With two vectors per row, 12 sums, 2 vectors of B, 1 broadcast and 1
    /// product fit in 16 registers, all that a VEX-encoded instruction can address. Arm64 has 32.
    /// </summary>
    public static int Rows => Vnni512.IsSupported ? Vnni512.Rows : Dp.IsSupported ? 12 : 6;

    /// <summary>The largest k for which the sums cannot overflow.</summary>
    public const int MaxInputs = 1 << 17;

    /// <summary>k is a multiple of this: Arm64's tile takes two groups of four at a time.</summary>
    public const int Group = 8;

    /// <summary>Gets the number of columns of a tile on this processor.</summary>
    public static int Columns => Vnni512.IsSupported ? Vnni512.Columns : Math.Min(Tile.Columns, 16);

    private static bool MultipliesUnsigned => Vnni512.IsSupported || HasQuads;

    /// <summary>
    /// Gets whether <see cref="Quads"/> fits the panels. Vectors of floats can be narrower than those of the processor, and then the panels
    /// are as well.
    /// </summary>
    private static bool HasQuads => AvxVnni.IsSupported && Simd.Lanes >= 8;

    /// <summary>Gets whether the processor has instructions for dot products of bytes, and this class may use them.</summary>
    public static bool MultipliesBytes => MultipliesUnsigned || Dp.IsSupported;

    /// <summary>Gets the size of an element of A and B in bytes.</summary>
    public static int ElementSize => MultipliesBytes ? 1 : 2;

    /// <summary>Gets the number that is added to the elements of A when they are stored.</summary>
    public static int Offset => MultipliesUnsigned ? 128 : 0;

    /// <summary>Computes C = A · B for one whole tile.</summary>
    /// <param name="a">The operand A: <see cref="Rows"/> rows of k elements.</param>
    /// <param name="lda">The row stride of A, in bytes.</param>
    /// <param name="b">
    /// The operand B, [k / 4][<see cref="Columns"/>][4]: bytes, or the 16-bit integers of <see cref="Widen"/>.
    /// </param>
    /// <param name="k">The length of the sums, a multiple of <see cref="Group"/>, at least that.</param>
    /// <param name="correction">
    /// The corrections, [<see cref="Columns"/>]: minus <see cref="Offset"/> times the sum of each column of B.
    /// </param>
    /// <param name="c">
    /// The result, [<see cref="Rows"/>, <see cref="Columns"/>] with row stride <paramref name="ldc"/>; overwritten. It must not
    /// overlap A or B.
    /// </param>
    /// <param name="ldc">The row stride of C, in elements.</param>
    public static void Execute(byte* a, nint lda, void* b, int k, int* correction, int* c, nint ldc)
    {
        if (Vnni512.IsSupported) Vnni512.Execute(a, lda, (sbyte*)b, k, correction, c, ldc);
        else if (HasQuads) Quads(a, lda, (sbyte*)b, k, correction, c, ldc);
        else if (Dp.IsSupported) SignedQuads(a, lda, (sbyte*)b, k, c, ldc);
        else if (Simd.Lanes == 16) Pairs<Pairs512>(a, lda, (short*)b, k, c, ldc);
        else if (Simd.Lanes == 8) Pairs<Pairs256>(a, lda, (short*)b, k, c, ldc);
        else if (Simd.Lanes == 4 && (Sse2.IsSupported || AdvSimd.Arm64.IsSupported)) Pairs<Pairs128>(a, lda, (short*)b, k, c, ldc);
        else Scalar(a, lda, b, k, c, ldc);
    }

    /// <summary>
    /// Widens B for the tiles that multiply 16-bit integers. They read it many times, and on most processors one unit widens and
    /// multiplies or adds, so they do not widen it themselves.
    /// </summary>
    /// <param name="b">The operand B in bytes.</param>
    /// <param name="k">The length of the sums.</param>
    /// <param name="wide">The result, k * <see cref="Columns"/> numbers.</param>
    public static void Widen(sbyte* b, int k, short* wide)
    {
        for (nint i = 0; i < (nint)k * Columns; i += Vector128<sbyte>.Count)
        {
            (Vector128<short> low, Vector128<short> high) = Vector128.Widen(Vector128.Load(b + i));
            low.Store(wide + i);
            high.Store(wide + i + Vector128<short>.Count);
        }
    }

    /// <summary>Computes the reference result from the definition: C[i, j] = sum over p of A[i, p] B[p, j].</summary>
    public static void Scalar(byte* a, nint lda, void* b, int k, int* c, nint ldc)
    {
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                int sum = 0;
                for (int p = 0; p < k; p++)
                {
                    nint at = (nint)p / 4 * 4 * Columns + 4 * j + p % 4;
                    sum += ElementSize == 1 ? (sbyte)(a[i * lda + p] - Offset) * ((sbyte*)b)[at]
                        : ((short*)(a + i * lda))[p] * ((short*)b)[at];
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

    /// <summary>
    /// Computes a tile with 24 accumulators, 4 vectors of B and 1 of A: 29 of 32 registers. A row's vector holds two groups, which
    /// the dot products select, so that no instruction broadcasts them.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SignedQuads(byte* a, nint lda, sbyte* b, int k, int* c, nint ldc)
    {
        nint lda2 = 2 * lda;
        Vector128<int> c00 = default, c01 = default;
        Vector128<int> c10 = default, c11 = default;
        Vector128<int> c20 = default, c21 = default;
        Vector128<int> c30 = default, c31 = default;
        Vector128<int> c40 = default, c41 = default;
        Vector128<int> c50 = default, c51 = default;
        Vector128<int> c60 = default, c61 = default;
        Vector128<int> c70 = default, c71 = default;
        Vector128<int> c80 = default, c81 = default;
        Vector128<int> c90 = default, c91 = default;
        Vector128<int> c100 = default, c101 = default;
        Vector128<int> c110 = default, c111 = default;
        byte* a0 = a;
        byte* a1 = a + 3 * lda;
        byte* a2 = a + 6 * lda;
        byte* a3 = a + 9 * lda;
        sbyte* end = b + 8 * (nint)k;
        while (b < end)
        {
            Vector128<sbyte> b00 = Vector128.Load(b), b01 = Vector128.Load(b + 16);
            Vector128<sbyte> b10 = Vector128.Load(b + 32), b11 = Vector128.Load(b + 48);
            Vector64<sbyte> x;
            b += 64;
            x = Vector64.Load((sbyte*)a0);
            c00 = Dot(c00, b00, x, 0); c01 = Dot(c01, b01, x, 0); c00 = Dot(c00, b10, x, 1); c01 = Dot(c01, b11, x, 1);
            x = Vector64.Load((sbyte*)(a0 + lda));
            c10 = Dot(c10, b00, x, 0); c11 = Dot(c11, b01, x, 0); c10 = Dot(c10, b10, x, 1); c11 = Dot(c11, b11, x, 1);
            x = Vector64.Load((sbyte*)(a0 + lda2));
            c20 = Dot(c20, b00, x, 0); c21 = Dot(c21, b01, x, 0); c20 = Dot(c20, b10, x, 1); c21 = Dot(c21, b11, x, 1);
            x = Vector64.Load((sbyte*)a1);
            c30 = Dot(c30, b00, x, 0); c31 = Dot(c31, b01, x, 0); c30 = Dot(c30, b10, x, 1); c31 = Dot(c31, b11, x, 1);
            x = Vector64.Load((sbyte*)(a1 + lda));
            c40 = Dot(c40, b00, x, 0); c41 = Dot(c41, b01, x, 0); c40 = Dot(c40, b10, x, 1); c41 = Dot(c41, b11, x, 1);
            x = Vector64.Load((sbyte*)(a1 + lda2));
            c50 = Dot(c50, b00, x, 0); c51 = Dot(c51, b01, x, 0); c50 = Dot(c50, b10, x, 1); c51 = Dot(c51, b11, x, 1);
            x = Vector64.Load((sbyte*)a2);
            c60 = Dot(c60, b00, x, 0); c61 = Dot(c61, b01, x, 0); c60 = Dot(c60, b10, x, 1); c61 = Dot(c61, b11, x, 1);
            x = Vector64.Load((sbyte*)(a2 + lda));
            c70 = Dot(c70, b00, x, 0); c71 = Dot(c71, b01, x, 0); c70 = Dot(c70, b10, x, 1); c71 = Dot(c71, b11, x, 1);
            x = Vector64.Load((sbyte*)(a2 + lda2));
            c80 = Dot(c80, b00, x, 0); c81 = Dot(c81, b01, x, 0); c80 = Dot(c80, b10, x, 1); c81 = Dot(c81, b11, x, 1);
            x = Vector64.Load((sbyte*)a3);
            c90 = Dot(c90, b00, x, 0); c91 = Dot(c91, b01, x, 0); c90 = Dot(c90, b10, x, 1); c91 = Dot(c91, b11, x, 1);
            x = Vector64.Load((sbyte*)(a3 + lda));
            c100 = Dot(c100, b00, x, 0); c101 = Dot(c101, b01, x, 0); c100 = Dot(c100, b10, x, 1); c101 = Dot(c101, b11, x, 1);
            x = Vector64.Load((sbyte*)(a3 + lda2));
            c110 = Dot(c110, b00, x, 0); c111 = Dot(c111, b01, x, 0); c110 = Dot(c110, b10, x, 1); c111 = Dot(c111, b11, x, 1);
            a0 += 8; a1 += 8; a2 += 8; a3 += 8;
        }
        c00.Store(c); c01.Store(c + 4); c += ldc;
        c10.Store(c); c11.Store(c + 4); c += ldc;
        c20.Store(c); c21.Store(c + 4); c += ldc;
        c30.Store(c); c31.Store(c + 4); c += ldc;
        c40.Store(c); c41.Store(c + 4); c += ldc;
        c50.Store(c); c51.Store(c + 4); c += ldc;
        c60.Store(c); c61.Store(c + 4); c += ldc;
        c70.Store(c); c71.Store(c + 4); c += ldc;
        c80.Store(c); c81.Store(c + 4); c += ldc;
        c90.Store(c); c91.Store(c + 4); c += ldc;
        c100.Store(c); c101.Store(c + 4); c += ldc;
        c110.Store(c); c111.Store(c + 4);
    }

    /// <summary>Adds, in each lane, the dot product of four bytes of b with four bytes of x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<int> Dot(
        Vector128<int> sums, Vector128<sbyte> b, Vector64<sbyte> x, [ConstantExpected(Max = (byte)1)] byte group) =>
        Dp.DotProductBySelectedQuadruplet(sums, b, x, group);

    /// <summary>Computes a tile in column strips of two vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pairs<TVec>(byte* a, nint lda, short* b, int k, int* c, nint ldc) where TVec : unmanaged, IPairs<TVec>
    {
        // Columns may call a class constructor. A call while sums are live would move them from registers to memory for good.
        int n = TVec.Columns, columns = Columns;
        nint step = 4 * columns, lda2 = 2 * lda;
        for (int column = 0; column < columns; column += 2 * n)
        {
            TVec c00 = default, c01 = default;
            TVec c10 = default, c11 = default;
            TVec c20 = default, c21 = default;
            TVec c30 = default, c31 = default;
            TVec c40 = default, c41 = default;
            TVec c50 = default, c51 = default;
            byte* a0 = a;
            byte* a1 = a + 3 * lda;
            short* from = b + 4 * column, end = from + k * (nint)columns;
            while (from < end)
            {
                TVec b0 = TVec.Load(from), b1 = TVec.Load(from + 4 * n), x;
                from += step;
                x = TVec.Broadcast(a0); c00.AddProducts(x, b0); c01.AddProducts(x, b1);
                x = TVec.Broadcast(a0 + lda); c10.AddProducts(x, b0); c11.AddProducts(x, b1);
                x = TVec.Broadcast(a0 + lda2); c20.AddProducts(x, b0); c21.AddProducts(x, b1);
                x = TVec.Broadcast(a1); c30.AddProducts(x, b0); c31.AddProducts(x, b1);
                x = TVec.Broadcast(a1 + lda); c40.AddProducts(x, b0); c41.AddProducts(x, b1);
                x = TVec.Broadcast(a1 + lda2); c50.AddProducts(x, b0); c51.AddProducts(x, b1);
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

    /// <summary>Loads groups of B.</summary>
    static abstract TSelf Load(short* p);

    /// <summary>Broadcasts one group of A to every column.</summary>
    static abstract TSelf Broadcast(byte* p);

    /// <summary>
    /// Adds the sum of the products of each pair to this vector of sums. It changes the vector in place, so that the JIT compiler
    /// does not copy it.
    /// </summary>
    void AddProducts(TSelf a, TSelf b);

    /// <summary>Adds the two sums of each column and stores the results.</summary>
    void StoreSums(int* p);
}

internal unsafe struct Pairs512 : IPairs<Pairs512>
{
    private Vector512<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Pairs512(Vector512<short> v) => this.v = v;

    public static int Columns => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs512 Load(short* p) => new(Vector512.Load(p));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs512 Broadcast(byte* p) => new(Vector512.Create(*(long*)p).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddProducts(Pairs512 a, Pairs512 b) => v = (v.AsInt32() + Avx512BW.MultiplyAddAdjacent(a.v, b.v)).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreSums(int* p) =>
        Avx512F.ConvertToVector256Int32((v.AsInt32() + (v.AsInt64() >>> 32).AsInt32()).AsInt64()).Store(p);
}

internal unsafe struct Pairs256 : IPairs<Pairs256>
{
    private Vector256<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Pairs256(Vector256<short> v) => this.v = v;

    public static int Columns => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs256 Load(short* p) => new(Vector256.Load(p));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs256 Broadcast(byte* p) => new(Vector256.Create(*(long*)p).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddProducts(Pairs256 a, Pairs256 b) => v = (v.AsInt32() + Avx2.MultiplyAddAdjacent(a.v, b.v)).AsInt16();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreSums(int* p)
    {
        Vector256<long> sums = (v.AsInt32() + (v.AsInt64() >>> 32).AsInt32()).AsInt64();
        Vector128.Narrow(sums.GetLower(), sums.GetUpper()).Store(p);
    }
}

internal unsafe struct Pairs128 : IPairs<Pairs128>
{
    private Vector128<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Pairs128(Vector128<short> v) => this.v = v;

    public static int Columns => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs128 Load(short* p) => new(Vector128.Load(p));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pairs128 Broadcast(byte* p) => new(Vector128.Create(*(long*)p).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddProducts(Pairs128 a, Pairs128 b)
    {
        Vector128<int> pairs = Sse2.IsSupported ? Sse2.MultiplyAddAdjacent(a.v, b.v)
            : AdvSimd.Arm64.AddPairwise(AdvSimd.MultiplyWideningLower(a.v.GetLower(), b.v.GetLower()),
                AdvSimd.MultiplyWideningUpper(a.v, b.v));
        v = (v.AsInt32() + pairs).AsInt16();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreSums(int* p)
    {
        Vector128<long> sums = (v.AsInt32() + (v.AsInt64() >>> 32).AsInt32()).AsInt64();
        *(long*)p = Vector128.Narrow(sums, sums).AsInt64().ToScalar();
    }
}
