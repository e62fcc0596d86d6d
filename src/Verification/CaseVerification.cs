using TinyZsad.Evaluation;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>Verifies reference cases other than a network on one image.</summary>
internal static class CaseVerification
{
    /// <summary>The tolerance of metrics of given values, which can differ only in the order of sums.</summary>
    private const double MetricTolerance = 1e-6;

    /// <summary>
    /// The tolerances of metrics of computed maps: a small error can change a ranking at a tie, and PRO at a threshold by more.
    /// </summary>
    private const double RankingTolerance = 1e-3, ProTolerance = 1e-2;

    /// <summary>The maximum width and height of a resized image.</summary>
    private const int MaxSize = 4096;

    /// <summary>Verifies resized images, byte by byte, and normalized ones.</summary>
    public static IReadOnlyList<TapComparison> Preprocessing(ReferenceCase reference, Device device, double? tolerance)
    {
        float[] mean = Numbers("mean"), std = Numbers("std");
        Dictionary<string, float[]> computed = [];
        List<TapComparison> rows = [];
        foreach (ReferencePicture picture in reference.Pictures("inputs"))
        {
            int size = picture.Content["size"].Int(1, MaxSize);
            byte[] pixels = Verifier.Resize(Image.Load(picture.Path), size);
            string[] taps = [.. picture.Content["taps"].Items().Select(t => t.Text())];
            if (taps.Length != 2) throw picture.Content["taps"].Error("two names");
            rows.Add(Number(
                $"{taps[0]}.sum", picture.Content["byte_sum"].Number(), pixels.Sum(b => (double)b), 0));
            computed[taps[0]] = Array.ConvertAll(pixels, b => (float)b);

            ComputeGraph g = new();
            Value input = g.NormalizeImage(g.Input(AnomalySystem.Pixels, size * size, 3, ValueKind.Byte), mean, std);
            g.Tap(taps[1], input, [3, size, size], TapLayout.ChannelsFirst);
            g.Output("input", input);
            using Plan plan = device.Compile(g, new CompileOptions { Surviving = true });
            using Run run = plan.Rent();
            pixels.CopyTo(run.Bytes(AnomalySystem.Pixels));
            run.Execute((tap, values) => computed[tap.Name] = values);
        }
        return [.. rows, .. Taps(reference, computed, tolerance)];

        float[] Numbers(string key)
        {
            float[] numbers = [.. reference.Content[key].Items().Select(n => (float)n.Number())];
            return numbers.Length == 3 ? numbers : throw reference.Content[key].Error("three numbers");
        }
    }

    /// <summary>Verifies the maps, masks, scores and metrics of a test set.</summary>
    public static IReadOnlyList<TapComparison> Evaluation(
        ReferenceCase reference, SafetensorsFile file, double? tolerance, DetectorOptions options)
    {
        using AnomalyDetector detector = AnomalyDetector.Load(file, options);
        Dataset dataset = Dataset.Load(reference.PathOf("dataset")!);
        Dictionary<string, double> scores = reference.Pictures("images")
            .DistinctBy(p => p.Path).ToDictionary(p => p.Path, p => p.Content["score"].Number());
        Dictionary<string, float[]> computed = [];
        List<float> expectedScores = [], actualScores = [];
        List<TapComparison> rows = [];
        IReadOnlyList<ClassMetrics> metrics = DetectionEvaluation.Run(detector, dataset, (item, result) =>
        {
            string name = Path.GetFileNameWithoutExtension(item.Path);
            computed[$"{name}.map"] = result.Map.Values.ToArray();
            computed[$"{name}.mask"] = [.. item.Mask(detector.Model.ImageSize).Select(m => m ? 1f : 0f)];
            expectedScores.Add(scores.TryGetValue(Path.GetFullPath(item.Path), out double score) ? (float)score : float.NaN);
            actualScores.Add(result.Score);
        });
        rows.Add(Verifier.Compare(
            new ExpectedTap(
                "scores", [expectedScores.Count], 1, null, [.. expectedScores], tolerance ?? reference.ToleranceOf("scores")),
            [.. actualScores]));
        foreach ((string name, ManifestValue expected) in reference.Content["metrics"].Members())
        {
            ClassMetrics? actual = metrics.FirstOrDefault(m => m.Name == name);
            RankingMetrics undefined = RankingMetrics.Undefined;
            rows.AddRange(Ranking(
                $"{name}.image", expected["image"], actual?.Image ?? undefined,
                tolerance ?? RankingTolerance));
            rows.AddRange(Ranking(
                $"{name}.pixel", expected["pixel"], actual?.Pixel ?? undefined,
                tolerance ?? RankingTolerance));
            rows.Add(Number(
                $"{name}.pixel.pro", Expected(expected["pixel"]["pro"]),
                actual?.Pro ?? double.NaN, tolerance ?? ProTolerance));
        }
        return [.. Taps(reference, computed, tolerance), .. rows];
    }

    /// <summary>Verifies the metrics of given scores and maps, including ties and undefined metrics.</summary>
    public static IReadOnlyList<TapComparison> Metrics(ReferenceCase reference, double? tolerance)
    {
        double limit = tolerance ?? MetricTolerance;
        List<TapComparison> rows = [];
        using SafetensorsFile arrays = reference.OpenArrays();
        foreach ((string name, ManifestValue expected) in reference.Content["image"].Members())
        {
            rows.AddRange(Ranking($"image.{name}", expected,
                RankingMetrics.Of(Labels(name, "image", "labels", Array($"image.{name}.scores")),
                    Array($"image.{name}.scores").AsSpan<float>()), limit));
        }

        foreach ((string name, ManifestValue expected) in reference.Content["pixel"].Members())
        {
            TensorEntry maps = Array($"pixel.{name}.maps");
            if (maps.Shape.Length != 3 || maps.Shape.Contains(0) || maps.ElementCount > int.MaxValue)
                throw Error(maps.Name, $"{maps} must be [maps, height, width], none of them 0");
            bool[] masks = Labels(name, "pixel", "masks", maps);
            rows.AddRange(Ranking(
                $"pixel.{name}", expected, RankingMetrics.Of(masks, maps.AsSpan<float>()), limit));
            int pixels = (int)(maps.Shape[1] * maps.Shape[2]);
            double pro = PerRegionOverlap.Of(
                [.. masks.Chunk(pixels)], [.. maps.AsSpan<float>().ToArray().Chunk(pixels)], (int)maps.Shape[2]);
            rows.Add(Number($"pixel.{name}.pro", Expected(expected["pro"]), pro, limit));
        }
        return rows;

        TensorEntry Array(string name) =>
            arrays.TryGet(name, out TensorEntry? entry)
                ? entry
                : throw Error(name, $"tensor '{name}' is missing");

        bool[] Labels(string name, string kind, string what, TensorEntry values)
        {
            TensorEntry labels = Array($"{kind}.{name}.{what}");
            return labels.ElementCount == values.ElementCount
                ? System.Array.ConvertAll(labels.AsSpan<int>().ToArray(), l => l != 0)
                : throw Error(labels.Name, $"{labels} and {values} must have as many elements");
        }

        ModelFormatException Error(string tensor, string what) => new(arrays.Name, $"{what}.") { Tensor = tensor };
    }

    private static IEnumerable<TapComparison> Taps(
        ReferenceCase reference, Dictionary<string, float[]> computed, double? tolerance) =>
        reference.ExpectedTaps().Select(
            tap =>
            Verifier.Compare(tolerance is { } t ? tap with { Tolerance = t } : tap, computed.GetValueOrDefault(tap.Name)));

    private static IEnumerable<TapComparison> Ranking(
        string name, ManifestValue expected, RankingMetrics actual, double tolerance) =>
    [
        Number($"{name}.auroc", Expected(expected["auroc"]), actual.Auroc, tolerance),
        Number($"{name}.ap", Expected(expected["ap"]), actual.AveragePrecision, tolerance),
        Number($"{name}.f1_max", Expected(expected["f1_max"]), actual.F1Max, tolerance),
    ];

    /// <summary>Gets a number; NaN if the official code gives NaN or fails.</summary>
    private static double Expected(ManifestValue value) => value.IsNumber ? value.Number() : double.NaN;

    private static TapComparison Number(string name, double expected, double actual, double tolerance)
    {
        double error = double.IsNaN(expected) && double.IsNaN(actual) ? 0 : Math.Abs(expected - actual);
        if (double.IsNaN(error)) error = double.PositiveInfinity;
        return new TapComparison(name, [1], error, error, null, 0, (float)expected, (float)actual, tolerance, null);
    }
}
