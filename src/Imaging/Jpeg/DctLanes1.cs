using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Imaging;

/// <summary>Holds one block in 128-bit vectors, for any processor.</summary>
internal readonly unsafe struct DctLanes1 : IDctLanes<DctLanes1>
{
    private readonly Vector128<short> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private DctLanes1(Vector128<short> v) => this.v = v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private DctLanes1(Vector128<int> v) => this.v = v.AsInt16();

    public static int Blocks => 1;

    private Vector128<int> Wide => this.v.AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Load(short* row) => new(Vector128.Load(row));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Broadcast(short* row) => new(Vector128.Load(row));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Broadcast(int value) => new(Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 operator |(DctLanes1 a, DctLanes1 b) => new(a.v | b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Add16(DctLanes1 a, DctLanes1 b) => new(a.v + b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Subtract16(DctLanes1 a, DctLanes1 b) => new(a.v - b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Multiply16(DctLanes1 a, DctLanes1 b) => new(a.v * b.v);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Add32(DctLanes1 a, DctLanes1 b) => new(a.Wide + b.Wide);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Subtract32(DctLanes1 a, DctLanes1 b) => new(a.Wide - b.Wide);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ShiftLeft16(DctLanes1 a, int bits) => new(a.v << bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ShiftRight32(DctLanes1 a, int bits) => new(a.Wide >> bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 MultiplyPairs(DctLanes1 pairs, DctLanes1 constants) => new(Sse2.IsSupported
        ? Sse2.MultiplyAddAdjacent(pairs.v, constants.v)
        : (pairs.Wide << 16 >> 16) * (constants.Wide << 16 >> 16) + (pairs.Wide >> 16) * (constants.Wide >> 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ZipLow16(DctLanes1 a, DctLanes1 b) => new(Sse2.IsSupported ? Sse2.UnpackLow(a.v, b.v)
        : (Vector128.WidenLower(a.v.AsUInt16()) | Vector128.WidenLower(b.v.AsUInt16()) << 16).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ZipHigh16(DctLanes1 a, DctLanes1 b) => new(Sse2.IsSupported ? Sse2.UnpackHigh(a.v, b.v)
        : (Vector128.WidenUpper(a.v.AsUInt16()) | Vector128.WidenUpper(b.v.AsUInt16()) << 16).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ZipLow32(DctLanes1 a, DctLanes1 b) => new(Sse2.IsSupported ? Sse2.UnpackLow(a.Wide, b.Wide)
        : (Vector128.WidenLower(a.v.AsUInt32()) | Vector128.WidenLower(b.v.AsUInt32()) << 32).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ZipHigh32(DctLanes1 a, DctLanes1 b) => new(Sse2.IsSupported ? Sse2.UnpackHigh(a.Wide, b.Wide)
        : (Vector128.WidenUpper(a.v.AsUInt32()) | Vector128.WidenUpper(b.v.AsUInt32()) << 32).AsInt32());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ZipLow64(DctLanes1 a, DctLanes1 b) => new(Sse2.IsSupported
        ? Sse2.UnpackLow(a.v.AsInt64(), b.v.AsInt64()).AsInt16() : Vector128.Create(a.v.GetLower(), b.v.GetLower()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ZipHigh64(DctLanes1 a, DctLanes1 b) => new(Sse2.IsSupported
        ? Sse2.UnpackHigh(a.v.AsInt64(), b.v.AsInt64()).AsInt16() : Vector128.Create(a.v.GetUpper(), b.v.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 Narrow32(DctLanes1 low, DctLanes1 high) =>
        new(Vector128.NarrowWithSaturation(low.Wide, high.Wide));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 ToSamples(DctLanes1 low, DctLanes1 high) =>
        new((Vector128.NarrowWithSaturation(low.v, high.v) ^ Vector128.Create(sbyte.MinValue)).AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static DctLanes1 WhereZero(DctLanes1 test, DctLanes1 yes, DctLanes1 no) =>
        test.v == Vector128<short>.Zero ? yes : no;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreTwoRows(DctLanes1 samples, byte* row, nint stride)
    {
        samples.v.GetLower().AsByte().Store(row);
        samples.v.GetUpper().AsByte().Store(row + stride);
    }
}
