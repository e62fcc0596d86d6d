using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>
/// Represents the comparison of a tap, an intermediate value of a network, with its expected values. Instances are immutable and thread
/// safe.
/// </summary>
/// <param name="Name">The name of the tap.</param>
/// <param name="Shape">The shape of the tap.</param>
/// <param name="MaxError">
/// The largest absolute error divided by the largest absolute expected value; for a single number, the absolute error. NaN if the tap
/// could not be compared.
/// </param>
/// <param name="RelativeL2">The L2 norm of the error divided by that of the expected values.</param>
/// <param name="NormError">The relative error of the L2 norm of the whole tap; null if the norm is not known.</param>
/// <param name="WorstIndex">The row-major index of the element with the largest error.</param>
/// <param name="WorstExpected">The expected value of that element.</param>
/// <param name="WorstActual">The computed value of that element.</param>
/// <param name="Tolerance">
/// The limit of <paramref name="MaxError"/> and <paramref name="NormError"/>; infinity for no limit.
/// </param>
/// <param name="Problem">The reason why the tap could not be compared; null if it was.</param>
public sealed record TapComparison(
    string Name, IReadOnlyList<int> Shape, double MaxError, double RelativeL2, double? NormError,
    long WorstIndex, float WorstExpected, float WorstActual, double Tolerance, string? Problem)
{
    /// <summary>
    /// Gets a value that indicates whether the tap was compared and is within the tolerance. An error that is not finite never passes.
    /// </summary>
    public bool Passed => Problem is null && double.IsFinite(MaxError) && MaxError <= Tolerance
        && (NormError is null || NormError <= Tolerance) && (L2Tolerance is null || RelativeL2 <= L2Tolerance);

    /// <summary>Gets the limit of <see cref="RelativeL2"/>, for devices that multiply halves; null for no limit.</summary>
    public double? L2Tolerance { get; init; }
}

/// <summary>
/// Compares the intermediate values of a network with expected values: those of reference cases, or activations from PyTorch.
/// </summary>
/// <remarks>
/// Values that exist in the plan of a detection are taken from that plan. Only values that fusion removes are computed by a second plan
/// without fusion. All members are thread safe.
/// </remarks>
public static class Verifier
{
    /// <summary>
    /// The default tolerance: ten times the typical difference between float32 and float64 in PyTorch.
    /// </summary>
    public const double DefaultTolerance = 2e-5;

    /// <summary>
    /// The limit of the relative L2 error of a tap on a device that multiplies halves (GPUs). A half has a relative error of 2^-11 / sqrt 3
    /// = 2.8e-4 (root mean square). A product rounds its input and, where the file does not hold halves, its weights; some fifty products
    /// one after the other, as in TinyViT, add to sqrt 100 times that. PyTorch's own halves are up to 2.5e-3 off.
    /// </summary>
    public const double HalfL2Tolerance = 3e-3;

    /// <summary>The limit of the largest error of a map or a score on a device that multiplies halves.</summary>
    public const double HalfMapTolerance = 5e-3;

    /// <summary>The limit of the largest error of the other taps on a device that multiplies halves.</summary>
    private const double HalfTolerance = 1e-2;

    /// <summary>Verifies a reference case.</summary>
    /// <param name="reference">The case.</param>
    /// <param name="file">The model; null for the generated weights of the case. This method closes the file.</param>
    /// <param name="tolerance">The tolerance of all taps; null for those of the case.</param>
    /// <param name="threads">The number of threads; 0 for one per processor.</param>
    /// <param name="precision">
    /// The precision of the linear layers. The tolerances of the case apply only to <see cref="Precision.Float32"/>; at another
    /// precision there is no limit unless <paramref name="tolerance"/> is given. Cases without a model ignore it.
    /// </param>
    /// <param name="device">The device; see <see cref="DetectorOptions.Device"/>.</param>
    /// <returns>A comparison for each tap, or for each array and number of the other kinds of cases.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="reference"/> is null.</exception>
    /// <exception cref="ArgumentException">An argument is out of range, or the device does not exist.</exception>
    /// <exception cref="FileNotFoundException">A file of the case does not exist.</exception>
    /// <exception cref="ModelFormatException">The case or the model is invalid.</exception>
    /// <exception cref="ImageFormatException">An image of the case cannot be decoded.</exception>
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
        // The text tower is always computed in float32.
        if (reference.Image is not null) tolerance ??= Unlimited(precision);
        List<TapComparison> rows = [];
        Dictionary<string, float[]> computed = [];
        file ??= ReferenceCase.OpenModel(reference);
        // A case of the text tower only has weights, but not a whole model.
        using AnomalySystem? system = reference.Image is null ? null : AnomalySystem.Load(file, computing);
        using WeightStore weights = system?.Weights ?? new WeightStore(file);

        if (reference.Strings is not null)
        {
            int[][] tokens = TokenisedStrings.Read(reference.Tokens!);
            rows.Add(TokenisedStrings.Compare(reference.Strings, tokens));
            ClassEncoder encoder = new(weights.Root, new ModelMetadata(file), computing);
            // Embeddings are computed from the stored ids, so that a tokenizer error affects only its own row.
            encoder.Trace(tokens, (tap, values) => computed[tap.Name] = values);
            ClassEmbedding embedding = encoder.Embed(reference.ClassName!, null, default);
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
        rows.AddRange(expected.Select(tap => Compare(Limited(tap, tolerance, computing), computed.GetValueOrDefault(tap.Name))));
        return rows;
    }

    /// <summary>Verifies a model on an image against activations from a file.</summary>
    /// <param name="file">The model. This method closes the file.</param>
    /// <param name="image">The image.</param>
    /// <param name="expectedPath">
    /// The path of a .safetensors file. Each tensor is F32, has the name of a tap and holds the whole tap in row-major order.
    /// </param>
    /// <param name="className">
    /// The class, for a model that takes one; null for <see cref="AnomalyDetector.DefaultClassName"/>.
    /// </param>
    /// <param name="tolerance">
    /// The tolerance of all taps; null for <see cref="DefaultTolerance"/>, or for no limit at a precision other than
    /// <see cref="Precision.Float32"/>.
    /// </param>
    /// <param name="threads">The number of threads; 0 for one per processor.</param>
    /// <param name="precision">The precision of the linear layers.</param>
    /// <param name="device">The device; see <see cref="DetectorOptions.Device"/>.</param>
    /// <returns>A comparison for each tensor of the file.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="image"/> is null.</exception>
    /// <exception cref="ArgumentException">An argument is out of range, or the device does not exist.</exception>
    /// <exception cref="FileNotFoundException">The file of activations does not exist.</exception>
    /// <exception cref="ModelFormatException">The model or the file of activations is invalid.</exception>
    /// <exception cref="UnknownClassException">The model cannot embed the class.</exception>
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
        return [.. expected.Tensors.Select(t => Compare(Limited(
            new ExpectedTap(t.Name, [.. t.Shape.Select(d => checked((int)d))], 1, null, t.AsSpan<float>().ToArray(),
                Unlimited(precision) ?? DefaultTolerance), tolerance, computing), computed.GetValueOrDefault(t.Name)))];
    }

    /// <summary>Sets the limits of a tap: the given one, or those of the device, or those that it has.</summary>
    internal static ExpectedTap Limited(ExpectedTap tap, double? tolerance, Device device) =>
        tolerance is { } given ? tap with { Tolerance = given }
        : !device.ComputesInHalf || tap.Tolerance == 0 ? tap
        : tap.Shape.All(d => d == 1) || tap.Name.Contains("map", StringComparison.Ordinal)
            ? tap with { Tolerance = HalfMapTolerance }
        : tap with { Tolerance = HalfTolerance, L2Tolerance = HalfL2Tolerance };

    /// <summary>Gets infinity for a precision to which the default tolerances do not apply; null for float32.</summary>
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
                AnomalyResult result = new(
                    system.Read(run, system.DefaultScore), system.ImageSize, picture.Width, picture.Height, device);
                computed["map.original"] = result.PictureMap.Values.ToArray();
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
            // NaN is the largest error.
            if (error > maxError || (double.IsNaN(error) && !double.IsNaN(maxError)))
                (maxError, worst) = (error, (long)i * tap.Stride);
            maxValue = Math.Max(maxValue, Math.Abs(e));
            errorSquares += error * error;
            squares += e * e;
        }
        foreach (float x in computed) norm += (double)x * x;
        // The error of a single number is absolute, because the number may be near 0.
        double scale = maxValue > 0 && (count > 1 || relative) ? maxValue : 1;
        return new TapComparison(tap.Name, tap.Shape, maxError / scale, Math.Sqrt(errorSquares / (squares > 0 ? squares : 1)),
            tap.Norm is > 0 && count > 1 ? Math.Abs(Math.Sqrt(norm) - tap.Norm.Value) / tap.Norm.Value : null,
            worst, tap.Expected.Length > 0 ? tap.Expected[worst / tap.Stride] : 0, tap.Expected.Length > 0 ? computed[worst] : 0,
                tap.Tolerance, null) { L2Tolerance = tap.L2Tolerance };
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
