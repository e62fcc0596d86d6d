using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace TinyZsad.Kernels;

/// <summary>Holds 16 floats in a 512-bit vector.</summary>
internal unsafe struct Lanes16 : IVector<Lanes16>
{
    private Vector512<float> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes16(Vector512<float> v) => this.v = v;

    /// <inheritdoc/>
    public static int Count => 16;

    /// <inheritdoc/>
    public static Lanes16 Zero => default;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Broadcast(float x) => new(Vector512.Create(x));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Load(float* p) => new(Vector512.Load(p));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadHalf(ushort* p)
    {
        Vector512<int> h = Avx512F.ConvertToVector512Int32(Vector256.Load(p));
        // Shift the 15 magnitude bits into place and rebias the exponent. Infinity and NaN need an explicit exponent.
        Vector512<int> magnitude = (h & Vector512.Create(0x7FFF)) << 13;
        Vector512<int> sign = (h & Vector512.Create(0x8000)) << 16;
        Vector512<float> value = Rebiased(magnitude);
        Vector512<int> special = Vector512.GreaterThan(magnitude, Vector512.Create(0x0F7FFFFF)) & Vector512.Create(0x7F800000);
        return new((value.AsInt32() | special | sign).AsSingle());
    }

    /// <summary>
    /// Converts finite binary16 magnitudes, already shifted to the bit positions of a float, to floats. After rebiasing, a
    /// subnormal number has the exponent 2^-15 and becomes some value v; its true value is 2 v - 2^-14. For all other numbers v
    /// is correct, and it is the smaller of the two, so the result is the minimum. Rebiasing by a multiplication would take 100
    /// cycles or more whenever an operand is subnormal.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<float> Rebiased(Vector512<int> magnitude)
    {
        Vector512<float> y = (magnitude + Vector512.Create(112 << 23)).AsSingle();
        return Vector512.MinNative(y, Avx512F.FusedMultiplyAdd(y, Vector512.Create(2f), Vector512.Create(-6.1035156e-5f)));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadBFloat16(ushort* p)
    {
        Vector512<int> h = Avx512F.ConvertToVector512Int32(Vector256.Load(p));
        return new((h << 16).AsSingle());
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadBytes(byte* p)
    {
        return new(Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(p))));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadInts(int* p) => new(Vector512.ConvertToSingle(Vector512.Load(p)));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(float* p) => v.Store(p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreBytes(byte* p) => Avx512F.ConvertToVector128Byte(Vector512.ConvertToInt32Native(v)).Store(p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreShorts(short* p) => Avx512F.ConvertToVector256Int16(Vector512.ConvertToInt32Native(v)).Store(p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator +(Lanes16 a, Lanes16 b) => new(a.v + b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator -(Lanes16 a, Lanes16 b) => new(a.v - b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator *(Lanes16 a, Lanes16 b) => new(a.v * b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 operator /(Lanes16 a, Lanes16 b) => new(a.v / b.v);

    /// <inheritdoc/>
    /// <remarks>
    /// A table lookup gives 14 bits, and one Newton step refines them. This takes 4 cycles on Intel processors, whose divider
    /// takes 16 for a vector of this width.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Reciprocal(Lanes16 a)
    {
        Vector512<float> r = Avx512F.Reciprocal14(a.v);
        return new(Avx512F.FusedMultiplyAdd(r, Avx512F.FusedMultiplyAddNegated(a.v, r, Vector512.Create(1f)), r));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 MultiplyAdd(Lanes16 a, Lanes16 b, Lanes16 c) => new(Vector512.MultiplyAddEstimate(a.v, b.v, c.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddProduct(Lanes16 a, Lanes16 b) => v = Vector512.MultiplyAddEstimate(a.v, b.v, v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 LoadMultiplier(float* p) => Broadcast(*p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddMultiple(Lanes16 a, Lanes16 multiplier) => AddProduct(multiplier, a);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Min(Lanes16 a, Lanes16 b) => new(Vector512.MinNative(a.v, b.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Max(Lanes16 a, Lanes16 b) => new(Vector512.MaxNative(a.v, b.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Abs(Lanes16 a) => new(Vector512.Abs(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Sqrt(Lanes16 a) => new(Vector512.Sqrt(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 SelectLess(Lanes16 a, Lanes16 b, Lanes16 yes, Lanes16 no) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(a.v, b.v), yes.v, no.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Round(Lanes16 a) => new(Vector512.Round(a.v));

    /// <remarks>This is one instruction. The instruction of <see cref="Scale"/> computes the floor itself.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Fraction(Lanes16 a, out Lanes16 n)
    {
        const byte downwards = 1;    // keep no fraction bits, round toward minus infinity
        n = a;
        return new(Avx512DQ.Reduce(a.v, downwards));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes16 Scale(Lanes16 a, Lanes16 n) =>
        new(Avx512F.Scale(a.v, n.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes16 a)
    {
        Vector256<float> y = a.v.GetLower() + a.v.GetUpper();
        Vector128<float> z = y.GetLower() + y.GetUpper();
        Vector128<float> pair = z + Vector128.Shuffle(z, Vector128.Create(2, 3, 0, 1));
        return pair.ToScalar() + pair.GetElement(1);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(Lanes16 a)
    {
        Vector256<float> y = Vector256.MaxNative(a.v.GetLower(), a.v.GetUpper());
        Vector128<float> z = Vector128.MaxNative(y.GetLower(), y.GetUpper());
        Vector128<float> pair = Vector128.MaxNative(z, Vector128.Shuffle(z, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(pair.ToScalar(), pair.GetElement(1));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyNaN(Lanes16 a) => !Vector512.EqualsAll(a.v, a.v);
}
