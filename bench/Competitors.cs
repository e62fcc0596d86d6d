using System.Runtime.CompilerServices;
using BenchmarkDotNet.Attributes;
using TinyZsad.Kernels;
using TinyZsad.Tests.Kernels;

namespace TinyZsad.Benchmarks;

/// <summary>
/// GELU over 64 Ki numbers. What was tried, the last being what the engine uses; cycles a vector of 16 on Zen 4:
/// <list type="number">
/// <item>2^(x h(x)) for erfc, h of degree 9 in odd and even halves: 24. 28 constants and 23 multiplications, on the pipes that
/// multiply.</item>
/// <item>1 / p(x)^8 for erfc, p of degree 8: 17. Ten multiplications fewer; the division has a pipe of its own.</item>
/// </list>
/// </summary>
public class GeluCompetitors
{
    private readonly float[] x = [.. Enumerable.Range(0, 1 << 16).Select(i => (float)Math.Sin(i) * 4)], y = new float[1 << 16];

    /// <summary>erfc as a power of two.</summary>
    [Benchmark(Baseline = true)]
    public void Gelu1PowerOfTwo() => Run(default(Gelu1));

    /// <summary>erfc as the eighth power of a reciprocal.</summary>
    [Benchmark]
    public void Gelu2EighthPower() => Run(default(Gelu));

    private unsafe void Run<TActivation>(TActivation activation) where TActivation : struct, IActivation
    {
        fixed (float* from = x, to = y) Elementwise.Activate(from, to, x.Length, activation);
    }

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
}

/// <summary>
/// The exponentials of a softmax over 64 Ki scores; cycles a vector of 16 on Zen 4:
/// <list type="number">
/// <item>exp(x): 12.5. ln 2 in two parts, and a selection for what would be subnormal.</item>
/// <item>2^x, the factor log2 e being in the queries: 9.6. What the engine uses.</item>
/// <item>2^x with the exponent put together by a shift and an addition of integers instead of vscalefps: 12.2. Lost, and is not
/// kept: it would need two more operations of every vector type.</item>
/// </list>
/// </summary>
public class ExponentialCompetitors
{
    private readonly float[] x = [.. Enumerable.Range(0, 1 << 16).Select(i => -8 - 8 * (float)Math.Sin(i))],
        y = new float[1 << 16];

    /// <summary>e^x.</summary>
    [Benchmark(Baseline = true)]
    public void Exponential1OfE() => Run(default(ActivationCases.ExpNonPositiveFunction));

    /// <summary>2^x.</summary>
    [Benchmark]
    public void Exponential2OfTwo() => Run(default(ActivationCases.Exp2NonPositiveFunction));

    private unsafe void Run<TActivation>(TActivation activation) where TActivation : struct, IActivation
    {
        fixed (float* from = x, to = y) Elementwise.Activate(from, to, x.Length, activation);
    }
}
