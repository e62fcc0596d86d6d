using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using TinyZsad.KernelCases;
using TinyZsad.Kernels;

namespace TinyZsad.Benchmarks;

/// <summary>
/// Applies functions to 64 Ki numbers. The input and output are half a page apart: at nearly the same offset in a page, the
/// processor mistakes a store for the source of the next load and stalls (4K aliasing).
/// </summary>
public abstract unsafe class Competitors : IDisposable
{
    private const int Count = 1 << 16, HalfPage = 512;

    private readonly float* x = (float*)NativeMemory.AlignedAlloc((2 * Count + HalfPage) * sizeof(float), 4096);

    /// <summary>Fills the numbers, each computed from its index.</summary>
    protected Competitors(Func<int, double> value)
    {
        for (int i = 0; i < Count; i++) x[i] = (float)value(i);
    }

    /// <summary>Applies one of the functions.</summary>
    private protected void Run<TActivation>(TActivation activation) where TActivation : struct, IActivation =>
        Activate.Execute(x, x + Count + HalfPage, Count, activation);

    /// <summary>Frees the numbers.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        NativeMemory.AlignedFree(x);
        GC.SuppressFinalize(this);
    }
}

/// <summary>
/// GELU over 64 Ki numbers, in the variants that were tried. The engine uses the last one where vectors have 16 lanes. The
/// figures are cycles per vector of 16:
/// <list type="number">
/// <item>2^(x h(x)) for erfc, with h of degree 9 in odd and even halves: 24 on Zen 4. It has 28 constants and 23 multiplications,
/// on the pipes that multiply.</item>
/// <item>1 / p(x)^8 for erfc, with p of degree 8: 17 on Zen 4, and 16 on Emerald Rapids, limited by its divider. It has ten
/// multiplications fewer. The engine uses it where vectors are shorter.</item>
/// <item>Sixteen polynomials of degree 5, whose coefficients a permutation looks up: on Emerald Rapids 12 here, and 8 in a linear
/// layer, where clock rates are lower. It needs execution pipes that the other hardware thread of the core uses, too: next to a
/// busy one it is no faster than the second variant.</item>
/// </list>
/// </summary>
public class GeluCompetitors() : Competitors(i => Math.Sin(i) * 4)
{
    /// <summary>erfc as a power of two.</summary>
    [Benchmark(Baseline = true)]
    public void Gelu1PowerOfTwo() => Run(default(Gelu1));

    /// <summary>erfc as the eighth power of a reciprocal.</summary>
    [Benchmark]
    public void Gelu2EighthPower() => Run(default(Gelu2));

    /// <summary>The upper tail by a table of polynomials.</summary>
    [Benchmark]
    public void Gelu3Table() => Run(default(Gelu));

    private readonly struct Gelu1 : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
        {
            TVec minusHalf = TVec.Max(TVec.Broadcast(-8), TVec.Broadcast(-0.5f) * TVec.Abs(x)),
                z = TVec.Broadcast(-1.41421356f) * minusHalf, zz = z * z;
            TVec odd = TVec.Broadcast(-1.6041069e-07f), even = TVec.Broadcast(5.3573076e-06f);
            odd = TVec.MultiplyAdd(odd, zz, TVec.Broadcast(-7.078929e-05f));
            even = TVec.MultiplyAdd(even, zz, TVec.Broadcast(0.00046163515f));
            odd = TVec.MultiplyAdd(odd, zz, TVec.Broadcast(-0.0013596034f));
            even = TVec.MultiplyAdd(even, zz, TVec.Broadcast(-0.001106866f));
            odd = TVec.MultiplyAdd(odd, zz, TVec.Broadcast(0.02858446f));
            even = TVec.MultiplyAdd(even, zz, TVec.Broadcast(-0.14863457f));
            odd = TVec.MultiplyAdd(odd, zz, TVec.Broadcast(-0.91838586f));
            even = TVec.MultiplyAdd(even, zz, TVec.Broadcast(-1.6279105f));
            TVec tail = VectorMath.Exp2NonPositive(z * TVec.MultiplyAdd(odd, z, even));
            return TVec.MultiplyAdd(minusHalf, tail, TVec.Max(TVec.Zero, x));
        }

        public double Scalar(double x) => default(Gelu).Scalar(x);
    }

    private readonly struct Gelu2 : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec>
        {
            TVec magnitude = TVec.Min(TVec.Broadcast(1000), TVec.Abs(x));
            return TVec.MultiplyAdd(TVec.Broadcast(-0.5f) * magnitude, VectorMath.TwoTails(magnitude), TVec.Max(TVec.Zero, x));
        }

        public double Scalar(double x) => default(Gelu).Scalar(x);
    }
}

/// <summary>
/// The exponentials of a softmax over 64 Ki scores. The figures are cycles per vector of 16 on Zen 4 (those of the last item on
/// Emerald Rapids):
/// <list type="number">
/// <item>exp(x): 12.5. It splits ln 2 into two parts and needs a selection for results that would be subnormal.</item>
/// <item>2^x, with the factor log2 e included in the queries: 9.6. The engine uses it for scores of any size.</item>
/// <item>2^x with the exponent assembled by an integer shift and addition instead of vscalefps: 12.2. It was slower and is not
/// kept: it would need two more operations of every vector type.</item>
/// <item>2^x of numbers known to be above -126, without a clamp: 4.8 where the second takes 6.2. The engine uses it for small
/// scores.</item>
/// </list>
/// </summary>
public class ExponentialCompetitors() : Competitors(i => -8 - 8 * Math.Sin(i))
{
    /// <summary>e^x.</summary>
    [Benchmark(Baseline = true)]
    public void Exponential1OfE() => Run(default(ActivationCases.ExpNonPositiveFunction));

    /// <summary>2^x.</summary>
    [Benchmark]
    public void Exponential2OfTwo() => Run(default(ActivationCases.Exp2NonPositiveFunction));

    /// <summary>2^x without a clamp.</summary>
    [Benchmark]
    public void Exponential4OfTwoInRange() => Run(default(ActivationCases.Exp2Function));
}
