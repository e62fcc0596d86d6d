using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;

namespace TinyZsad.Kernels;

/// <summary>Holds 4 floats in a 128-bit vector.</summary>
internal unsafe struct Lanes4 : IVector<Lanes4>
{
    private Vector128<float> v;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes4(Vector128<float> v) => this.v = v;

    /// <inheritdoc/>
    public static int Count => 4;

    /// <inheritdoc/>
    public static Lanes4 Zero => default;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Broadcast(float x) => new(Vector128.Create(x));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Load(float* p) => new(Vector128.Load(p));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadHalf(ushort* p)
    {
        Vector128<int> h = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)p).AsUInt16()).AsInt32();
        // Shift the 15 magnitude bits into place and rebias the exponent. A subnormal number then has the exponent 2^-15 and
        // becomes some value v; its true value is 2 v - 2^-14. For all other numbers v is correct, and it is the smaller of the
        // two, so the result is the minimum. Rebiasing by a multiplication would take 100 cycles or more whenever an operand is
        // subnormal. Infinity and NaN need an explicit exponent.
        Vector128<int> magnitude = (h & Vector128.Create(0x7FFF)) << 13;
        Vector128<int> sign = (h & Vector128.Create(0x8000)) << 16;
        Vector128<float> rebiased = (magnitude + Vector128.Create(112 << 23)).AsSingle();
        Vector128<float> value = Vector128.MinNative(rebiased, rebiased + rebiased - Vector128.Create(6.1035156e-5f));
        Vector128<int> special = Vector128.GreaterThan(magnitude, Vector128.Create(0x0F7FFFFF)) & Vector128.Create(0x7F800000);
        return new((value.AsInt32() | special | sign).AsSingle());
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadBFloat16(ushort* p)
    {
        Vector128<int> h = Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)p).AsUInt16()).AsInt32();
        return new((h << 16).AsSingle());
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadBytes(byte* p)
    {
        Vector128<ushort> pairs = Vector128.WidenLower(Vector128.CreateScalar(*(uint*)p).AsByte());
        return new(Vector128.ConvertToSingle(Vector128.WidenLower(pairs).AsInt32()));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadInts(int* p) => new(Vector128.ConvertToSingle(Vector128.Load(p)));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Store(float* p) => v.Store(p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreBytes(byte* p)
    {
        Vector128<int> i = Vector128.ConvertToInt32Native(v);
        Vector128<ushort> s = Vector128.Narrow(i, i).AsUInt16();
        *(int*)p = Vector128.Narrow(s, s).AsInt32().ToScalar();
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void StoreShorts(short* p)
    {
        Vector128<int> i = Vector128.ConvertToInt32Native(v);
        *(long*)p = Vector128.Narrow(i, i).AsInt64().ToScalar();
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator +(Lanes4 a, Lanes4 b) => new(a.v + b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator -(Lanes4 a, Lanes4 b) => new(a.v - b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator *(Lanes4 a, Lanes4 b) => new(a.v * b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 operator /(Lanes4 a, Lanes4 b) => new(a.v / b.v);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Reciprocal(Lanes4 a) => Broadcast(1) / a;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 MultiplyAdd(Lanes4 a, Lanes4 b, Lanes4 c) => new(Vector128.MultiplyAddEstimate(a.v, b.v, c.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddProduct(Lanes4 a, Lanes4 b) => v = Vector128.MultiplyAddEstimate(a.v, b.v, v);

    /// <remarks>Arm64 multiplies by one lane. A broadcast would take one of its two vector pipelines for a third of the time.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 LoadMultiplier(float* p) =>
        AdvSimd.Arm64.IsSupported ? new(Vector128.CreateScalarUnsafe(*p)) : Broadcast(*p);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void AddMultiple(Lanes4 a, Lanes4 multiplier)
    {
        if (AdvSimd.Arm64.IsSupported) v = AdvSimd.Arm64.FusedMultiplyAddBySelectedScalar(v, a.v, multiplier.v, 0);
        else AddProduct(multiplier, a);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Min(Lanes4 a, Lanes4 b) => new(Vector128.MinNative(a.v, b.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Max(Lanes4 a, Lanes4 b) => new(Vector128.MaxNative(a.v, b.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Abs(Lanes4 a) => new(Vector128.Abs(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Sqrt(Lanes4 a) => new(Vector128.Sqrt(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 SelectLess(Lanes4 a, Lanes4 b, Lanes4 yes, Lanes4 no) =>
        new(Vector128.ConditionalSelect(Vector128.LessThan(a.v, b.v), yes.v, no.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Round(Lanes4 a) => new(Vector128.Round(a.v));

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Fraction(Lanes4 a, out Lanes4 n)
    {
        n = new(Vector128.Floor(a.v));
        return a - n;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes4 Scale(Lanes4 a, Lanes4 n) =>
        new(a.v * ((Vector128.ConvertToInt32Native(n.v) + Vector128.Create(127)) << 23).AsSingle());

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes4 a)
    {
        Vector128<float> pair = a.v + Vector128.Shuffle(a.v, Vector128.Create(2, 3, 0, 1));
        return pair.ToScalar() + pair.GetElement(1);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MaxAcross(Lanes4 a)
    {
        Vector128<float> pair = Vector128.MaxNative(a.v, Vector128.Shuffle(a.v, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(pair.ToScalar(), pair.GetElement(1));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool AnyNaN(Lanes4 a) => !Vector128.EqualsAll(a.v, a.v);
}
