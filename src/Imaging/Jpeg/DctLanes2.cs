using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Imaging;

/// <summary>Holds two blocks in 256-bit vectors, one in each half, for processors with AVX2.</summary>
internal readonly unsafe struct DctLanes2 : IDctLanes<DctLanes2>
{
    private readonly Vector256<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private DctLanes2(Vector256<short> v) => this.v = v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private DctLanes2(Vector256<int> v) => this.v = v.AsInt16();

    public static int Blocks => 2;

    private Vector256<int> Wide => this.v.AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Load(short* row) => new(Vector256.Create(Vector128.Load(row), Vector128.Load(row + 64)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Broadcast(short* row) => new(Vector256.Create(Vector128.Load(row)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Broadcast(int value) => new(Vector256.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 operator |(DctLanes2 a, DctLanes2 b) => new(a.v | b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Add16(DctLanes2 a, DctLanes2 b) => new(a.v + b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Subtract16(DctLanes2 a, DctLanes2 b) => new(a.v - b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Multiply16(DctLanes2 a, DctLanes2 b) => new(a.v * b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Add32(DctLanes2 a, DctLanes2 b) => new(a.Wide + b.Wide);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Subtract32(DctLanes2 a, DctLanes2 b) => new(a.Wide - b.Wide);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ShiftLeft16(DctLanes2 a, int bits) => new(a.v << bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ShiftRight32(DctLanes2 a, int bits) => new(a.Wide >> bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 MultiplyPairs(DctLanes2 pairs, DctLanes2 constants) =>
        new(Avx2.MultiplyAddAdjacent(pairs.v, constants.v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ZipLow16(DctLanes2 a, DctLanes2 b) => new(Avx2.UnpackLow(a.v, b.v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ZipHigh16(DctLanes2 a, DctLanes2 b) => new(Avx2.UnpackHigh(a.v, b.v));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ZipLow32(DctLanes2 a, DctLanes2 b) => new(Avx2.UnpackLow(a.Wide, b.Wide));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ZipHigh32(DctLanes2 a, DctLanes2 b) => new(Avx2.UnpackHigh(a.Wide, b.Wide));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ZipLow64(DctLanes2 a, DctLanes2 b) =>
        new(Avx2.UnpackLow(a.v.AsInt64(), b.v.AsInt64()).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ZipHigh64(DctLanes2 a, DctLanes2 b) =>
        new(Avx2.UnpackHigh(a.v.AsInt64(), b.v.AsInt64()).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 Narrow32(DctLanes2 low, DctLanes2 high) => new(Avx2.PackSignedSaturate(low.Wide, high.Wide));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 ToSamples(DctLanes2 low, DctLanes2 high) =>
        new((Avx2.PackSignedSaturate(low.v, high.v) ^ Vector256.Create(sbyte.MinValue)).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes2 WhereZero(DctLanes2 test, DctLanes2 yes, DctLanes2 no)
    {
        Vector256<long> zero = Vector256.Equals(test.v.AsInt64(), Vector256<long>.Zero);
        Vector256<long> both = Avx2.UnpackLow(zero, zero) & Avx2.UnpackHigh(zero, zero);
        return new(Vector256.ConditionalSelect(both.AsInt16(), yes.v, no.v));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreTwoRows(DctLanes2 samples, byte* row, nint stride)
    {
        Vector256<byte> rows = Avx2.Permute4x64(samples.v.AsInt64(), 0b11_01_10_00).AsByte();
        rows.GetLower().Store(row);
        rows.GetUpper().Store(row + stride);
    }
}
