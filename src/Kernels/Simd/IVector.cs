namespace TinyZsad.Kernels;

/// <summary>
/// Represents a vector of float lanes. A kernel is written once over <typeparamref name="TSelf"/> and compiled for 16, 8, 4 and 1
/// lanes (<see cref="Lanes16"/>, <see cref="Lanes8"/>, <see cref="Lanes4"/>, <see cref="Lanes1"/>). The one-lane form also
/// processes the tail of every loop, so tail elements are computed by the same operations as full vectors.
/// </summary>
internal unsafe interface IVector<TSelf> where TSelf : unmanaged, IVector<TSelf>
{
    /// <summary>Gets the number of lanes.</summary>
    static abstract int Count { get; }

    /// <summary>Gets a vector of zeros.</summary>
    static abstract TSelf Zero { get; }

    /// <summary>Creates a vector with the same value in every lane.</summary>
    static abstract TSelf Broadcast(float x);

    /// <summary>Loads <see cref="Count"/> floats. No alignment is required.</summary>
    static abstract TSelf Load(float* p);

    /// <summary>
    /// Loads <see cref="Count"/> IEEE binary16 values and widens them exactly, including subnormals and infinities.
    /// </summary>
    static abstract TSelf LoadHalf(ushort* p);

    /// <summary>Loads <see cref="Count"/> bfloat16 values and widens them exactly.</summary>
    static abstract TSelf LoadBFloat16(ushort* p);

    /// <summary>Loads <see cref="Count"/> bytes as the floats 0 to 255.</summary>
    static abstract TSelf LoadBytes(byte* p);

    /// <summary>Loads <see cref="Count"/> 32-bit integers as floats, rounded to nearest.</summary>
    static abstract TSelf LoadInts(int* p);

    /// <summary>Stores <see cref="Count"/> floats. No alignment is required.</summary>
    void Store(float* p);

    /// <summary>Stores <see cref="Count"/> bytes. The lanes must be integers from 0 to 255.</summary>
    void StoreBytes(byte* p);

    /// <summary>
    /// Stores <see cref="Count"/> 16-bit integers. The lanes must be integers in the range of a 16-bit integer.
    /// </summary>
    void StoreShorts(short* p);

    /// <summary>Adds lane by lane.</summary>
    static abstract TSelf operator +(TSelf a, TSelf b);

    /// <summary>Subtracts lane by lane.</summary>
    static abstract TSelf operator -(TSelf a, TSelf b);

    /// <summary>Multiplies lane by lane.</summary>
    static abstract TSelf operator *(TSelf a, TSelf b);

    /// <summary>Divides lane by lane.</summary>
    static abstract TSelf operator /(TSelf a, TSelf b);

    /// <summary>
    /// Computes 1 / a with a relative error of at most 1.1 * 2^-24, for |a| from 2^-126 to 2^126. For 0 and infinity the result
    /// is unspecified. It is faster than a division on processors with slow dividers.
    /// </summary>
    static abstract TSelf Reciprocal(TSelf a);

    /// <summary>Computes a * b + c, rounded once if the processor has a fused multiply-add.</summary>
    static abstract TSelf MultiplyAdd(TSelf a, TSelf b, TSelf c);

    /// <summary>
    /// Adds a * b to this vector, rounded like <see cref="MultiplyAdd"/>. Sums that stay in registers are written with this method: the
    /// JIT compiler then updates them in place. For c = MultiplyAdd(a, b, c) it often computes the result in the register of an operand
    /// whose last use this is, and copies it.
    /// </summary>
    void AddProduct(TSelf a, TSelf b);

    /// <summary>
    /// Loads a number for <see cref="AddMultiple"/>: into every lane, or only into the first if the processor can multiply by one lane.
    /// </summary>
    static abstract TSelf LoadMultiplier(float* p);

    /// <summary>Adds a times the number that <see cref="LoadMultiplier"/> loaded, like <see cref="AddProduct"/>.</summary>
    void AddMultiple(TSelf a, TSelf multiplier);

    /// <summary>
    /// Computes the minimum of each pair of lanes. The result is NaN where b is NaN, and unspecified where only a is NaN.
    /// </summary>
    static abstract TSelf Min(TSelf a, TSelf b);

    /// <summary>
    /// Computes the maximum of each pair of lanes. The result is NaN where b is NaN, and unspecified where only a is NaN.
    /// </summary>
    static abstract TSelf Max(TSelf a, TSelf b);

    /// <summary>Computes absolute values.</summary>
    static abstract TSelf Abs(TSelf a);

    /// <summary>Computes square roots, correctly rounded.</summary>
    static abstract TSelf Sqrt(TSelf a);

    /// <summary>
    /// Selects the lane of <paramref name="yes"/> where a &lt; b, and the lane of <paramref name="no"/> elsewhere.
    /// </summary>
    static abstract TSelf SelectLess(TSelf a, TSelf b, TSelf yes, TSelf no);

    /// <summary>Rounds to the nearest integer, ties to even, for |a| below 2^22.</summary>
    static abstract TSelf Round(TSelf a);

    /// <summary>Computes a - floor(a), in [0, 1], rounded once, for |a| below 2^22.</summary>
    /// <param name="a">The number.</param>
    /// <param name="n">
    /// The value to pass to <see cref="Scale"/> for floor(a): floor(a) itself, or a number that exceeds it by less than 1.
    /// </param>
    static abstract TSelf Fraction(TSelf a, out TSelf n);

    /// <summary>
    /// Computes a * 2^n for n from -126 to 127, so that 2^n is a normal number. n is an integer or comes from
    /// <see cref="Fraction"/>.
    /// </summary>
    static abstract TSelf Scale(TSelf a, TSelf n);

    /// <summary>
    /// Computes the sum of the lanes by pairwise addition: first lane i and lane i + Count/2, then recursively.
    /// </summary>
    static abstract float Sum(TSelf a);

    /// <summary>Computes the maximum of the lanes.</summary>
    static abstract float MaxAcross(TSelf a);

    /// <summary>Determines whether any lane is NaN.</summary>
    static abstract bool AnyNaN(TSelf a);
}
