namespace TinyZsad.Kernels;

/// <summary>
/// A row of float lanes. A kernel is written once over <typeparamref name="TSelf"/> and compiled for 16, 8, 4 and 1 lanes
/// (<see cref="Lanes16"/>, <see cref="Lanes8"/>, <see cref="Lanes4"/>, <see cref="Lanes1"/>); the one-lane form also serves every
/// tail, so a tail's element is computed by the very operations its neighbours in full vectors are.
/// </summary>
internal unsafe interface IVector<TSelf> where TSelf : unmanaged, IVector<TSelf>
{
    /// <summary>How many floats it holds.</summary>
    static abstract int Count { get; }

    /// <summary>All lanes zero.</summary>
    static abstract TSelf Zero { get; }

    /// <summary>The same value in every lane.</summary>
    static abstract TSelf Broadcast(float x);

    /// <summary>Reads <see cref="Count"/> floats; no alignment is needed.</summary>
    static abstract TSelf Load(float* p);

    /// <summary>Reads <see cref="Count"/> IEEE binary16 values and widens them exactly, subnormals and infinities too.</summary>
    static abstract TSelf LoadHalf(ushort* p);

    /// <summary>Reads <see cref="Count"/> bfloat16 values and widens them exactly.</summary>
    static abstract TSelf LoadBFloat16(ushort* p);

    /// <summary>Reads <see cref="Count"/> bytes as the floats 0 to 255.</summary>
    static abstract TSelf LoadBytes(byte* p);

    /// <summary>Reads <see cref="Count"/> 32-bit integers as floats, rounded to the nearest.</summary>
    static abstract TSelf LoadInts(int* p);

    /// <summary>Writes <see cref="Count"/> floats; no alignment is needed.</summary>
    void Store(float* p);

    /// <summary>Writes <see cref="Count"/> bytes; the lanes are whole numbers from 0 to 255.</summary>
    void StoreBytes(byte* p);

    /// <summary>Writes <see cref="Count"/> 16-bit integers; the lanes are whole numbers in their range.</summary>
    void StoreShorts(short* p);

    /// <summary>Lane by lane.</summary>
    static abstract TSelf operator +(TSelf a, TSelf b);

    /// <summary>Lane by lane.</summary>
    static abstract TSelf operator -(TSelf a, TSelf b);

    /// <summary>Lane by lane.</summary>
    static abstract TSelf operator *(TSelf a, TSelf b);

    /// <summary>Lane by lane.</summary>
    static abstract TSelf operator /(TSelf a, TSelf b);

    /// <summary>
    /// 1 / a, within 1.1 * 2^-24 of it relatively, for |a| from 2^-126 to 2^126; 0 and infinity: unspecified. Quicker than a
    /// division where the processor divides slowly.
    /// </summary>
    static abstract TSelf Reciprocal(TSelf a);

    /// <summary>a * b + c, rounded once wherever the processor has a fused multiply-add.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf c);

    /// <summary>The smaller of each pair; NaN where b is NaN, unspecified where only a is.</summary>
    static abstract TSelf Min(TSelf a, TSelf b);

    /// <summary>The larger of each pair; NaN where b is NaN, unspecified where only a is.</summary>
    static abstract TSelf Max(TSelf a, TSelf b);

    /// <summary>Absolute values.</summary>
    static abstract TSelf Abs(TSelf a);

    /// <summary>Square roots, correctly rounded.</summary>
    static abstract TSelf Sqrt(TSelf a);

    /// <summary>Where a &lt; b the lane of <paramref name="yes"/>, else that of <paramref name="no"/>.</summary>
    static abstract TSelf SelectLess(TSelf a, TSelf b, TSelf yes, TSelf no);

    /// <summary>To the nearest integer, ties to even; |a| below 2^22.</summary>
    static abstract TSelf Round(TSelf a);

    /// <summary>a - floor(a), in [0, 1], rounded once, for |a| below 2^22.</summary>
    /// <param name="a">The number.</param>
    /// <param name="n">What <see cref="Scale"/> takes for floor(a): that, or a number above it by less than 1.</param>
    static abstract TSelf Fraction(TSelf a, out TSelf n);

    /// <summary>
    /// a * 2^n for n in -126 to 127 (so that 2^n itself is a normal number), integral or from <see cref="Fraction"/>.
    /// </summary>
    static abstract TSelf Scale(TSelf a, TSelf n);

    /// <summary>The sum of the lanes, added pairwise: lane i and lane i + Count/2 first, and so on down.</summary>
    static abstract float Sum(TSelf a);

    /// <summary>The largest lane.</summary>
    static abstract float MaxAcross(TSelf a);

    /// <summary>Whether any lane is NaN.</summary>
    static abstract bool AnyNaN(TSelf a);
}
