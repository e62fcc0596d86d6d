using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace TinyZsad.Imaging;

/// <summary>Represents sixteen 32-bit sums of samples times weights, in vectors of some width.</summary>
internal interface ISampleSums<TSelf> where TSelf : unmanaged, ISampleSums<TSelf>
{
    /// <summary>Creates sixteen equal sums.</summary>
    static abstract TSelf Broadcast(int value);

    /// <summary>Loads sixteen numbers.</summary>
    static abstract unsafe TSelf Load(int* values);

    /// <summary>Stores the sums.</summary>
    unsafe void Store(int* values);

    /// <summary>Returns these sums plus samples times weights.</summary>
    TSelf MultiplyAdd(Vector128<byte> samples, TSelf weights);

    /// <summary>Treats the sums as four pixels of four channels and returns the sum of the pixels.</summary>
    Vector128<int> SumPixels();

    /// <summary>Returns the sums shifted by <see cref="ResampleAxis.FractionBits"/> and clamped to 0..255.</summary>
    Vector128<byte> ToBytes();
}

/// <summary>Holds the sums in four vectors of four.</summary>
internal readonly struct SampleSums128(Vector128<int> a, Vector128<int> b, Vector128<int> c, Vector128<int> d)
    : ISampleSums<SampleSums128>
{
    private readonly Vector128<int> a = a, b = b, c = c, d = d;

    public static SampleSums128 Broadcast(int value)
    {
        Vector128<int> v = Vector128.Create(value);
        return new(v, v, v, v);
    }

    public static unsafe SampleSums128 Load(int* values) => new(
        Vector128.Load(values), Vector128.Load(values + 4), Vector128.Load(values + 8), Vector128.Load(values + 12));

    public unsafe void Store(int* values)
    {
        this.a.Store(values);
        this.b.Store(values + 4);
        this.c.Store(values + 8);
        this.d.Store(values + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public SampleSums128 MultiplyAdd(Vector128<byte> samples, SampleSums128 weights)
    {
        (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(samples);
        (Vector128<uint> a, Vector128<uint> b) = Vector128.Widen(low);
        (Vector128<uint> c, Vector128<uint> d) = Vector128.Widen(high);
        return new(this.a + a.AsInt32() * weights.a, this.b + b.AsInt32() * weights.b,
            this.c + c.AsInt32() * weights.c, this.d + d.AsInt32() * weights.d);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector128<int> SumPixels() => this.a + this.b + (this.c + this.d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector128<byte> ToBytes() =>
        Vector128.Narrow(Vector128.Narrow(Level(this.a), Level(this.b)), Vector128.Narrow(Level(this.c), Level(this.d)));

    /// <summary>Shifts and clamps sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> Level(Vector128<int> sum) => Vector128.Min(
        Vector128.Max(sum >> ResampleAxis.FractionBits, Vector128<int>.Zero), Vector128.Create(255)).AsUInt32();
}

/// <summary>Holds the sums in two vectors of eight.</summary>
internal readonly struct SampleSums256(Vector256<int> a, Vector256<int> b) : ISampleSums<SampleSums256>
{
    private readonly Vector256<int> a = a, b = b;

    public static SampleSums256 Broadcast(int value) => new(Vector256.Create(value), Vector256.Create(value));

    public static unsafe SampleSums256 Load(int* values) => new(Vector256.Load(values), Vector256.Load(values + 8));

    public unsafe void Store(int* values)
    {
        this.a.Store(values);
        this.b.Store(values + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public SampleSums256 MultiplyAdd(Vector128<byte> samples, SampleSums256 weights)
    {
        (Vector256<uint> a, Vector256<uint> b) = Vector256.Widen(Vector256.WidenLower(samples.ToVector256Unsafe()));
        return new(this.a + a.AsInt32() * weights.a, this.b + b.AsInt32() * weights.b);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector128<int> SumPixels()
    {
        Vector256<int> sum = this.a + this.b;
        return sum.GetLower() + sum.GetUpper();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector128<byte> ToBytes() =>
        new SampleSums128(this.a.GetLower(), this.a.GetUpper(), this.b.GetLower(), this.b.GetUpper()).ToBytes();
}

/// <summary>Holds the sums in one vector of sixteen.</summary>
internal readonly struct SampleSums512(Vector512<int> all) : ISampleSums<SampleSums512>
{
    private readonly Vector512<int> all = all;

    public static SampleSums512 Broadcast(int value) => new(Vector512.Create(value));

    public static unsafe SampleSums512 Load(int* values) => new(Vector512.Load(values));

    public unsafe void Store(int* values) => this.all.Store(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public SampleSums512 MultiplyAdd(Vector128<byte> samples, SampleSums512 weights)
    {
        Vector256<ushort> wide = Vector256.WidenLower(samples.ToVector256Unsafe());
        return new(this.all + Vector512.WidenLower(wide.ToVector512Unsafe()).AsInt32() * weights.all);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector128<int> SumPixels()
    {
        Vector256<int> sum = this.all.GetLower() + this.all.GetUpper();
        return sum.GetLower() + sum.GetUpper();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector128<byte> ToBytes() => new SampleSums128(this.all.GetLower().GetLower(), this.all.GetLower().GetUpper(),
        this.all.GetUpper().GetLower(), this.all.GetUpper().GetUpper()).ToBytes();
}
