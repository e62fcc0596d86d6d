using System.Runtime.CompilerServices;
using TinyZsad.Kernels;
using static TinyZsad.KernelCases.KernelCase;

namespace TinyZsad.KernelCases;

/// <summary>
/// Lists the cases of the activations, and of the functions of <see cref="VectorMath"/> wrapped as activations.
/// </summary>
internal static unsafe class ActivationCases
{
    public static IEnumerable<KernelCase> All =>
    [
        .. Of("ExpNonPositive", new ExpNonPositiveFunction(), Sweep(-100, 0), 3, (_, y) => y + Flushed,
            "2 e and the rounding of the definition; below 2^-126 it is 0"),
        .. Of("Exp2NonPositive", new Exp2NonPositiveFunction(), Sweep(-126, 0), 3, (_, y) => y,
            "2 e and the rounding of the definition"),
        .. Of("Exp2", new Exp2Function(), Sweep(-126, 127), 3, (_, y) => y, "2 e and the rounding of the definition"),
        .. Of("MinusUpperTail", new MinusUpperTailFunction(), Sweep(0, 6), 2e-7 / E, (x, _) => 1 / Math.Max(0.45, x),
            "4.5e-7 and 2e-7 / z, see MinusUpperTail"),
        One("MinusUpperTail", new MinusUpperTailFunction(), 20016, false, Sweep(0, 6), (_, _) => 1) with
        {
            Tolerance = (Simd.Lanes == 16 ? 4.2e-8 : 4.5e-7), Because = "whole vectors: 4.2e-8 with 16 lanes",
        },
        .. Of("Identity", new Identity(), Sweep(-6, 6), 0, (_, _) => 1, "exact"),
        .. Of("Gelu", new Gelu(), Sweep(-20, 20), 3e-7 / E, (x, _) => Math.Max(1, Math.Abs(x)), "3e-7 max(1, |x|), see Gelu"),
        One("Gelu", new Gelu(), 20016, false, Sweep(-8, 8), (x, _) => Math.Max(1, Math.Abs(x))) with
        {
            Tolerance = (Simd.Lanes == 16 ? 7e-8 : 3e-7) + E,
            Because = "whole vectors: 7e-8 max(1, |x|) with 16 lanes, and the rounding of the definition",
        },
        One("Gelu", new Gelu(), 240, false, i => -Math.Pow(10, 1.25 + i % 37), (_, _) => 1) with
        {
            Tolerance = 2e-31, Because = "far below zero, where the result is 0, at most 2e-31",
        },
        .. Of("QuickGelu", new QuickGelu(), Sweep(-20, 20), 5.5, (x, _) => Math.Abs(x),
            "0.4 e of the exponent, 0.5 e of the power, 2.5 e of sum and reciprocal, the product and the definition, times |x|"),
        .. Of("LeakyRelu", new LeakyRelu(0.01f), Sweep(-6, 6), 0, (_, _) => 1, "one rounding, as in the definition"),
        .. Of("Sigmoid", new Sigmoid(), Sweep(-100, 100), 5, (_, y) => y + Flushed,
            "4.2 e of Sigmoid and the rounding of the definition; below 2^-126 it is 0"),
        Special("ExpNonPositive", new ExpNonPositiveFunction(), float.NaN, float.NegativeInfinity, -1e30f, 0f, -0f),
        Special("MinusUpperTail", new MinusUpperTailFunction(), float.NaN, 0f),
        Special("Sigmoid", new Sigmoid(), float.NaN, float.NegativeInfinity, float.PositiveInfinity, -1e30f, 1e30f, 0f),
        Special("Gelu", new Gelu(), float.NaN, float.PositiveInfinity, 1e30f, 0f),
        Special("QuickGelu", new QuickGelu(), float.NaN, float.PositiveInfinity, 1e30f, 0f),
        Special("LeakyRelu", new LeakyRelu(0.5f), float.NaN, float.PositiveInfinity, float.NegativeInfinity, 0f),
    ];

    /// <summary>Corresponds to an absolute error of 2^-126, for a tolerance of at least 3 e.</summary>
    private static readonly double Flushed = Math.Pow(2, -126) / (3 * E);

    private static Func<nint, double> Sweep(double from, double to) => i => from + (to - from) * ((i * 0.6180339887) % 1);

    private static IEnumerable<KernelCase> Of<TActivation>(string name, TActivation f, Func<nint, double> input, double roundings,
        Func<double, double, double> unit, string because) where TActivation : struct, IActivation =>
        from n in (int[])[.. KernelCases.Lengths, 20011]
        from inPlace in (bool[])[false, true]
        select One(name, f, n, inPlace, input, unit) with { Tolerance = roundings * E, Because = because };

    private static KernelCase One<TActivation>(string name, TActivation f, int n, bool inPlace, Func<nint, double> input,
        Func<double, double, double> unit) where TActivation : struct, IActivation =>
        new($"Activate {name}", inPlace ? $"{n} in place" : $"{n}", workspace =>
        {
            float* x = workspace.Floats(n, i => input(i));
            float* mine = workspace.Result(x, n, inPlace), definition = workspace.Output(n);
            float* source = inPlace ? mine : x;
            return new(
                () => Activate.Execute(source, mine, n, f),
                () => Activate.Scalar(x, definition, n, f),
                () => Difference.Between(mine, definition, n, i => unit(x[i], Math.Abs(definition[i]))));
        })
        { Because = "", Bytes = 8.0 * n, Typical = n == 20011 && !inPlace };

    private static KernelCase Special<TActivation>(string name, TActivation f, params float[] values)
        where TActivation : struct, IActivation => new($"Activate {name}", "special values", workspace =>
    {
        nint n = 40 * values.Length;
        float* x = workspace.Floats(n, i => values[i % values.Length]);
        float* mine = workspace.Output(n), definition = workspace.Output(n);
        return new(
            () => Activate.Execute(x, mine, n, f),
            () => Activate.Scalar(x, definition, n, f),
            () => Difference.Exact(mine, definition, n));
    })
    { Because = "limits are exact, NaN stays NaN" };

    internal readonly struct ExpNonPositiveFunction : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => VectorMath.ExpNonPositive(x);

        public double Scalar(double x) => Math.Exp(x);
    }

    internal readonly struct Exp2NonPositiveFunction : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => VectorMath.Exp2NonPositive(x);

        public double Scalar(double x) => Math.Pow(2, x);
    }

    internal readonly struct Exp2Function : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => VectorMath.Exp2(x);

        public double Scalar(double x) => Math.Pow(2, x);
    }

    private readonly struct MinusUpperTailFunction : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVec Invoke<TVec>(TVec x) where TVec : unmanaged, IVector<TVec> => VectorMath.MinusUpperTail(x);

        public double Scalar(double x) => VectorMath.Erfc(x / Math.Sqrt(2)) / -2;
    }
}
