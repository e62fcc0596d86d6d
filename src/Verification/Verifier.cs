using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>How one intermediate value compares with what was expected.</summary>
/// <param name="Name">The tap.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="MaxError">Largest absolute error over largest absolute expected value; of a single number, the absolute
/// error.</param>
/// <param name="RelativeL2">L2 norm of the error over that of the expected values.</param>
/// <param name="NormError">Relative error of the norm of the whole tap, where it is known.</param>
/// <param name="WorstIndex">Row-major index of the element with the largest error.</param>
/// <param name="WorstExpected">What was expected there.</param>
/// <param name="WorstActual">What was computed there.</param>
/// <param name="Tolerance">Limit on <paramref name="MaxError"/> and <paramref name="NormError"/>; infinite where there is
/// none.</param>
/// <param name="Problem">Why it could not be compared, or null.</param>
public sealed record TapComparison(
    string Name, IReadOnlyList<int> Shape, double MaxError, double RelativeL2, double? NormError,
    long WorstIndex, float WorstExpected, float WorstActual, double Tolerance, string? Problem)
{
    /// <summary>Whether it was there and near enough; what is not finite is near nothing, even where there is no limit.</summary>
    public bool Passed => Problem is null && double.IsFinite(MaxError) && MaxError <= Tolerance
        && (NormError is null || NormError <= Tolerance);
}

/// <summary>
/// Compares everything that a network computes on the way with expected values: the engine's own reference cases, or activations
/// that somebody dumped from PyTorch. Values that exist in the plan a detection runs are taken from that plan, so that what is
/// verified is what runs; only those that fusion does away with come from a second, unfused one.
/// </summary>
public static class Verifier
{
    /// <summary>The limit where none is given: ten times what PyTorch's own float32 typically differs from float64.</summary>
    public const double DefaultTolerance = 2e-5;

    /// <summary>Verifies a reference case: a row a tap, or a row an array and a number of the other kinds of cases.</summary>
    /// <param name="reference">The case.</param>
    /// <param name="file">The weights; null takes those that the case's rule makes. Closed by this method.</param>
    /// <param name="tolerance">A limit for all taps; null takes the manifest's.</param>
    /// <param name="threads">Threads; 0 for one a processor.</param>
    /// <param name="precision">
    /// How the model's linear layers are computed. At anything but <see cref="Precision.Float32"/> the limits of the case say
    /// nothing; without a tolerance of the caller's there is then none, and the rows tell what it costs. Of no effect on the
    /// cases that run no model.
    /// </param>
    /// <param name="device">What computes; see <see cref="DetectorOptions.Device"/>.</param>
    public static IReadOnlyList<TapComparison> Run(
        ReferenceCase reference, SafetensorsFile? file = null, double? tolerance = null, int threads = 0,
        Precision precision = Precision.Float32, string device = DetectorOptions.DefaultDevice)
    {
        ArgumentNullException.ThrowIfNull(reference);
        DetectorOptions options = new() { Threads = threads, Precision = precision, Device = device };
        using Device computing = Devices.Open(options);
        switch (reference.Kind)
        {
            case ReferenceCaseKind.Preprocessing:
                file?.Dispose();
                return CaseVerification.Preprocessing(reference, computing, tolerance);
            case ReferenceCaseKind.Metrics:
                file?.Dispose();
                return CaseVerification.Metrics(reference, tolerance);
            case ReferenceCaseKind.Operations:
                file?.Dispose();
                return OperationCases.Run(reference, computing, tolerance);
            case ReferenceCaseKind.Evaluation:
                return CaseVerification.Evaluation(reference, file ?? ReferenceCase.OpenModel(reference),
                    tolerance ?? Unlimited(precision), options);
        }
        IReadOnlyList<ExpectedTap> expected = reference.ExpectedTaps();
        // Text is always computed in floats.
        if (reference.Image is not null) tolerance ??= Unlimited(precision);
        List<TapComparison> rows = [];
        Dictionary<string, float[]> computed = [];
        file ??= ReferenceCase.OpenModel(reference);
        // A case of the text side alone describes no whole model: then the weights are all there is.
        using AnomalySystem? system = reference.Image is null ? null : AnomalySystem.Load(file, computing);
        using WeightStore weights = system?.Weights ?? new WeightStore(file);

        if (reference.Strings is not null)
        {
            int[][] tokens = TokenisedStrings.Read(reference.Tokens!);
            rows.Add(TokenisedStrings.Compare(reference.Strings, tokens));
            ClassEncoder encoder = new(weights.Root, new ModelMetadata(file), computing);
            // Embeddings are compared for the stored ids, so that a string tokenised differently shows in one row only.
            encoder.Trace(tokens, (tap, values) => computed[tap.Name] = values);
            ClassEmbedding embedding = encoder.Embed(reference.ClassName!, default);
            (computed["text.normal"], computed["text.abnormal"]) = (embedding.Normal, embedding.Abnormal);
        }
        if (system is not null)
        {
            Image picture = Image.Load(reference.Image!);
            byte[] pixels = Resize(picture, system.ImageSize);
            computed["resized"] = Array.ConvertAll(pixels, b => (float)b);
            if (reference.Resized is not null && !expected.Any(t => t.Name == "resized"))
            {
                rows.Add(CompareBytes("resized", pixels,
                    Image.Load(reference.Resized), system.ImageSize));
            }

            ClassEmbedding? prepared = computed.TryGetValue("text.normal", out float[]? normal)
                ? new ClassEmbedding(normal, computed["text.abnormal"])
                : system.TakesClassName ? system.Prepare(reference.ClassName, default) : null;
            Trace(system, picture, pixels, prepared, computing, precision, computed);
        }
        rows.AddRange(expected.Select(tap => Compare(tolerance is { } t ? tap with { Tolerance = t } : tap,
            computed.GetValueOrDefault(tap.Name))));
        return rows;
    }

    /// <summary>Verifies a model on a picture against activations dumped by tap name, whole and in row-major order.</summary>
    /// <param name="file">The model. Closed by this method.</param>
    /// <param name="image">The picture.</param>
    /// <param name="expectedPath">A .safetensors file of F32 tensors named as taps are.</param>
    /// <param name="className">The class, where the model takes one.</param>
    /// <param name="tolerance">The limit for all taps; <see cref="DefaultTolerance"/> if null.</param>
    /// <param name="threads">Threads; 0 for one a processor.</param>
    /// <param name="precision">How linear layers are computed. Without a tolerance there is no limit at anything but
    /// <see cref="Precision.Float32"/>.</param>
    /// <param name="device">What computes; see <see cref="DetectorOptions.Device"/>.</param>
    public static IReadOnlyList<TapComparison> Run(
        SafetensorsFile file, Image image, string expectedPath, string? className = null, double? tolerance = null,
        int threads = 0, Precision precision = Precision.Float32, string device = DetectorOptions.DefaultDevice)
    {
        ArgumentNullException.ThrowIfNull(image);
        using Device computing = Devices.Open(new DetectorOptions { Threads = threads, Precision = precision, Device = device });
        using AnomalySystem system = AnomalySystem.Load(file, computing);
        using SafetensorsFile expected = SafetensorsFile.Open(expectedPath);
        Dictionary<string, float[]> computed = [];
        Trace(system, image, Resize(image, system.ImageSize), system.TakesClassName
            ? system.Prepare(className ?? AnomalyDetector.DefaultClassName, default) : null, computing, precision, computed);
        return [.. expected.Tensors.Select(t => Compare(
            new ExpectedTap(t.Name, [.. t.Shape.Select(d => checked((int)d))], 1, null, t.AsSpan<float>().ToArray(),
                tolerance ?? Unlimited(precision) ?? DefaultTolerance), computed.GetValueOrDefault(t.Name)))];
    }

    /// <summary>The limits of cases and the default one are for floats.</summary>
    private static double? Unlimited(Precision precision) => precision == Precision.Float32 ? null : double.PositiveInfinity;

    private static void Trace(
        AnomalySystem system, Image picture, byte[] pixels, ClassEmbedding? prepared, Device device, Precision precision,
        Dictionary<string, float[]> computed)
    {
        ComputeGraph graph = system.DetectionGraph(system.DefaultScore);
        Execute(new CompileOptions { Surviving = true, Precision = precision });
        Execute(new CompileOptions { Demanded = tap => !computed.ContainsKey(tap.Name), Precision = precision });
        foreach ((string name, float[] values) in system.OtherTaps(computed).ToArray()) computed[name] = values;

        void Execute(CompileOptions options)
        {
            using Plan plan = device.Compile(graph, options);
            using Run run = plan.Rent();
            pixels.CopyTo(run.Bytes(AnomalySystem.Pixels));
            system.Bind(run, prepared);
            run.Execute((tap, values) => computed[tap.Name] = values);
            if (options.Surviving)
            {
                computed["map.original"] = MapResizer.Enlarge(
                    system.Read(run, system.DefaultScore), system.ImageSize, picture.Width, picture.Height);
            }
        }
    }

    internal static byte[] Resize(Image image, int size)
    {
        byte[] pixels = new byte[checked(3 * size * size)];
        Resampler.Resize(image.View, pixels, size, size);
        return pixels;
    }

    internal static TapComparison Compare(ExpectedTap tap, float[]? computed, bool relative = false)
    {
        TapComparison Failed(string problem) =>
            new(tap.Name, tap.Shape, double.NaN, double.NaN, null, 0, 0, 0, tap.Tolerance, problem);
        if (computed is null) return Failed("the engine has no tap of this name for this model");
        long count = tap.Shape.Aggregate(1L, (n, d) => n * d);
        if (computed.LongLength != count)
            return Failed($"the engine computes {computed.LongLength} values, and {count} are expected");
        if (tap.Expected.LongLength != (count + tap.Stride - 1) / tap.Stride)
        {
            return Failed($"{tap.Expected.LongLength} values are stored, "
                + $"where every {tap.Stride}th of {count} are {(count + tap.Stride - 1) / tap.Stride}");
        }

        double maxError = 0, maxValue = 0, errorSquares = 0, squares = 0, norm = 0;
        long worst = 0;
        for (int i = 0; i < tap.Expected.Length; i++)
        {
            double e = tap.Expected[i], error = Math.Abs(computed[(long)i * tap.Stride] - e);
            // A NaN is the worst that can be, and stays it.
            if (error > maxError || (double.IsNaN(error) && !double.IsNaN(maxError)))
                (maxError, worst) = (error, (long)i * tap.Stride);
            maxValue = Math.Max(maxValue, Math.Abs(e));
            errorSquares += error * error;
            squares += e * e;
        }
        foreach (float x in computed) norm += (double)x * x;
        // A single number has no others to be measured against, and may well come out near zero: its error is absolute.
        double scale = maxValue > 0 && (count > 1 || relative) ? maxValue : 1;
        return new TapComparison(tap.Name, tap.Shape, maxError / scale, Math.Sqrt(errorSquares / (squares > 0 ? squares : 1)),
            tap.Norm is > 0 && count > 1 ? Math.Abs(Math.Sqrt(norm) - tap.Norm.Value) / tap.Norm.Value : null,
            worst, tap.Expected.Length > 0 ? tap.Expected[worst / tap.Stride] : 0, tap.Expected.Length > 0 ? computed[worst] : 0,
                tap.Tolerance, null);
    }

    private static TapComparison CompareBytes(string name, byte[] actual, Image expected, int size)
    {
        ReadOnlySpan<byte> pixels = expected.Pixels;
        if (pixels.Length != actual.Length)
        {
            return new TapComparison(name, [size, size, 3], double.NaN, double.NaN, null, 0, 0, 0, 0,
                $"{pixels.Length} bytes are expected, and {actual.Length} computed");
        }

        int worst = 0;
        for (int i = 0; i < actual.Length; i++)
            if (Math.Abs(actual[i] - pixels[i]) > Math.Abs(actual[worst] - pixels[worst])) worst = i;
        double error = Math.Abs(actual[worst] - pixels[worst]) / 255.0;
        return new TapComparison(name, [size, size, 3], error, error, null, worst, pixels[worst], actual[worst], 0, null);
    }
}
