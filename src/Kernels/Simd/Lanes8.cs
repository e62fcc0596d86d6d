using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>Holds 8 floats in a 256-bit vector.</summary>
internal unsafe struct Lanes8 : IVector<Lanes8>
{
    private Vector256<float> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes8(Vector256<float> v) => this.v = v;

    /// <inheritdoc/>
    public static int Count => 8;

    /// <inheritdoc/>
    public static Lanes8 Zero => default;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Broadcast(float x) => new(Vector256.Create(x));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Load(float* p) => new(Vector256.Load(p));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadHalf(ushort* p)
    {
        Vector256<int> h = Avx2.ConvertToVector256Int32(Vector128.Load(p));
        // Shift the 15 magnitude bits into place and rebias the exponent. Infinity and NaN need an explicit exponent.
        Vector256<int> magnitude = (h & Vector256.Create(0x7FFF)) << 13;
        Vector256<int> sign = (h & Vector256.Create(0x8000)) << 16;
        Vector256<float> value = Rebiased(magnitude);
        Vector256<int> special = Vector256.GreaterThan(magnitude, Vector256.Create(0x0F7FFFFF)) & Vector256.Create(0x7F800000);
        return new((value.AsInt32() | special | sign).AsSingle());
    }

    /// <summary>Converts finite binary16 magnitudes, already shifted, to floats, like <see cref="Lanes16.Rebiased"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> Rebiased(Vector256<int> magnitude)
    {
        Vector256<float> y = (magnitude + Vector256.Create(112 << 23)).AsSingle();
        return Vector256.MinNative(y, y + y - Vector256.Create(6.1035156e-5f));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadBFloat16(ushort* p)
    {
        Vector256<int> h = Avx2.ConvertToVector256Int32(Vector128.Load(p));
        return new((h << 16).AsSingle());
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadBytes(byte* p)
    {
        return new(Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(Vector128.CreateScalar(*(ulong*)p).AsByte())));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadInts(int* p) => new(Vector256.ConvertToSingle(Vector256.Load(p)));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(float* p) => v.Store(p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreBytes(byte* p)
    {
        Vector256<int> i = Vector256.ConvertToInt32Native(v);
        Vector128<ushort> s = Vector128.Narrow(i.GetLower(), i.GetUpper()).AsUInt16();
        *(long*)p = Vector128.Narrow(s, s).AsInt64().ToScalar();
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreShorts(short* p)
    {
        Vector256<int> i = Vector256.ConvertToInt32Native(v);
        Vector128.Narrow(i.GetLower(), i.GetUpper()).Store(p);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator +(Lanes8 a, Lanes8 b) => new(a.v + b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator -(Lanes8 a, Lanes8 b) => new(a.v - b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator *(Lanes8 a, Lanes8 b) => new(a.v * b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 operator /(Lanes8 a, Lanes8 b) => new(a.v / b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Reciprocal(Lanes8 a) => Broadcast(1) / a;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 MultiplyAdd(Lanes8 a, Lanes8 b, Lanes8 c) => new(Vector256.MultiplyAddEstimate(a.v, b.v, c.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddProduct(Lanes8 a, Lanes8 b) => v = Vector256.MultiplyAddEstimate(a.v, b.v, v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 LoadMultiplier(float* p) => Broadcast(*p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddMultiple(Lanes8 a, Lanes8 multiplier) => AddProduct(multiplier, a);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Min(Lanes8 a, Lanes8 b) => new(Vector256.MinNative(a.v, b.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Max(Lanes8 a, Lanes8 b) => new(Vector256.MaxNative(a.v, b.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Abs(Lanes8 a) => new(Vector256.Abs(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Sqrt(Lanes8 a) => new(Vector256.Sqrt(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 SelectLess(Lanes8 a, Lanes8 b, Lanes8 yes, Lanes8 no) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(a.v, b.v), yes.v, no.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Round(Lanes8 a) => new(Vector256.Round(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Fraction(Lanes8 a, out Lanes8 n)
    {
        n = new(Vector256.Floor(a.v));
        return a - n;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes8 Scale(Lanes8 a, Lanes8 n) =>
        new(a.v * ((Vector256.ConvertToInt32Native(n.v) + Vector256.Create(127)) << 23).AsSingle());

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes8 a)
    {
        Vector128<float> z = a.v.GetLower() + a.v.GetUpper();
        Vector128<float> pair = z + Vector128.Shuffle(z, Vector128.Create(2, 3, 0, 1));
        return pair.ToScalar() + pair.GetElement(1);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(Lanes8 a)
    {
        Vector128<float> z = Vector128.MaxNative(a.v.GetLower(), a.v.GetUpper());
        Vector128<float> pair = Vector128.MaxNative(z, Vector128.Shuffle(z, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(pair.ToScalar(), pair.GetElement(1));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyNaN(Lanes8 a) => !Vector256.EqualsAll(a.v, a.v);
}
