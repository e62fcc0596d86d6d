using System.Globalization;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Evaluation;
using TinyZsad.Imaging;
using TinyZsad.Verification;

namespace TinyZsad.Tests;

/// <summary>Metrics, masks, test sets, and the reference cases about them.</summary>
internal sealed class EvaluationTests
{
    [TestCase("metrics", ReferenceCaseKind.Metrics, 85)]
    [TestCase("preprocess", ReferenceCaseKind.Preprocessing, 36)]
    [TestCase("eval", ReferenceCaseKind.Evaluation, 44)]
    public void The_case_passes(string name, ReferenceCaseKind kind, int count)
    {
        ReferenceCase reference = ReferenceCase.Open(TestData.Path("visualad", name));
        Assert.That(reference.Kind, Is.EqualTo(kind));
        IReadOnlyList<TapComparison> rows = Verifier.Run(reference);
        Assert.That(rows, Has.Count.EqualTo(count));
        Assert.That(rows.Where(r => !r.Passed), Is.Empty);
    }

    /// <summary>The table that the authors' test.py prints. Its PRO column is 0.0, the call being commented out.</summary>
    [Test]
    public void The_table_is_the_published_one()
    {
        ReferenceCase reference = ReferenceCase.Open(TestData.Path("visualad", "eval"));
        using AnomalyDetector detector = AnomalyDetector.Load(ReferenceCase.OpenModel(reference));
        List<ClassMetrics> rows =
            [.. DetectionEvaluation.Run(detector, Dataset.Load(TestData.Path("visualad", "eval", "meta.json")))];
        rows.Add(ClassMetrics.Mean(rows));
        using JsonDocument manifest = JsonDocument.Parse(File.ReadAllBytes(TestData.Path("visualad", "eval", "manifest.json")));
        string[][] table = manifest.RootElement.GetProperty("official_table").Deserialize<string[][]>()!;
        Assert.That(table[0], Is.EqualTo(
            new[] { "Class", "Pixel-AUROC", "Pixel-F1", "Pixel-AP", "Pixel-AUPRO", "Sample-AUROC", "Sample-F1", "Sample-AP" }));
        string[][] actual = [.. rows.Select(
            r => new[] { r.Name, Percent(r.Pixel.Auroc), Percent(r.Pixel.F1Max), Percent(r.Pixel.AveragePrecision), "0.0",
            Percent(r.Image.Auroc), Percent(r.Image.F1Max), Percent(r.Image.AveragePrecision) })];
        Assert.That(actual, Is.EqualTo(table[1..]));

        static string Percent(double x) => (100 * x).ToString("F1", CultureInfo.InvariantCulture);
    }

    [Test]
    public void Rankings_by_hand()
    {
        RankingMetrics tie = RankingMetrics.Of([false, true], [1, 1]);
        Assert.That((tie.Auroc, tie.AveragePrecision), Is.EqualTo((0.5, 0.5)));
        Assert.That(tie.F1Max, Is.EqualTo(2.0 / 3).Within(1e-8));
        Assert.That(RankingMetrics.Of([true, true], [1, 2]).Auroc, Is.NaN);
        Assert.That(RankingMetrics.Of([false], [1]), Is.EqualTo(new RankingMetrics(double.NaN, 0, 0)));
        Assert.That(RankingMetrics.Of([], []), Is.EqualTo(RankingMetrics.Undefined));
        Assert.That(RankingMetrics.Of([false, true], [1, float.NaN]), Is.EqualTo(RankingMetrics.Undefined));
        Assert.That(() => RankingMetrics.Of([true], [1, 2]), Throws.ArgumentException);
    }

    /// <summary>The regions and their parts, counted threshold by threshold as the definition says.</summary>
    [Test]
    public void Pro_is_its_definition([Values(1, 2, 3)] int seed)
    {
        const int Width = 13, Height = 9;
        Random random = new(seed);
        bool[][] masks = [.. Enumerable.Range(0, 3)
            .Select(_ => Enumerable.Range(0, Width * Height).Select(_ => random.Next(7) == 0).ToArray())];
        float[][] maps = [.. masks.Select(m => m.Select(a => (float)(random.NextDouble() + (a ? 0.4 : 0))).ToArray())];
        float least = maps.Min(m => m.Min()), most = maps.Max(m => m.Max());
        List<int[]>[] regions = [.. masks.Select(Regions)];
        List<(double Fpr, double Overlap)> kept = [];
        for (int t = 0; t < 200; t++)
        {
            float threshold = (float)(least + t * ((double)(most - least) / 200));
            double overlap = regions.SelectMany(
                (list, i) => list.Select(r => r.Average(p => maps[i][p] > threshold ? 1.0 : 0))).Average();
            double fpr = maps.Zip(masks).SelectMany(p => p.First.Zip(p.Second)).Where(p => !p.Second)
                .Average(p => p.First > threshold ? 1.0 : 0);
            if (fpr <= 0.3) kept.Add((fpr, overlap));
        }
        double span = kept[0].Fpr - kept[^1].Fpr;
        double area = kept.Zip(kept.Skip(1), (a, b) => (a.Fpr - b.Fpr) / span * (a.Overlap + b.Overlap) / 2).Sum();
        Assert.That(PerRegionOverlap.Of(masks, maps, Width), Is.EqualTo(area).Within(1e-12));

        static List<int[]> Regions(bool[] mask)
        {
            // Joins pixels that touch until nothing changes.
            int[] label = [.. mask.Select((m, i) => m ? i : -1)];
            for (bool changed = true; changed;)
            {
                changed = false;
                for (int a = 0; a < mask.Length; a++)
                {
                    for (int b = 0; b < mask.Length; b++)
                    {
                        if (mask[a] && mask[b] && Math.Abs(a / Width - b / Width) <= 1
                            && Math.Abs(a % Width - b % Width) <= 1 && label[b] > label[a])
                        {
                            label[b] = label[a];
                            changed = true;
                        }
                    }
                }
            }
            return [.. Enumerable.Range(0, mask.Length).Where(p => mask[p]).GroupBy(p => label[p]).Select(r => r.ToArray())];
        }
    }

    [Test]
    public void Pro_without_an_answer()
    {
        Assert.That(PerRegionOverlap.Of([], [], 4), Is.NaN);
        Assert.That(PerRegionOverlap.Of([new bool[4]], [[1, 1, 1, 1]], 2), Is.NaN, "constant");
        Assert.That(PerRegionOverlap.Of([new bool[4]], [[1, float.NaN, 1, 2]], 2), Is.NaN);
        Assert.That(PerRegionOverlap.Of([new bool[10]], [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]], 2), Is.Zero, "no region");
        Assert.That(() => PerRegionOverlap.Of([new bool[4]], [[1, 2]], 2), Throws.ArgumentException);
        Assert.That(() => PerRegionOverlap.Of([], [[1, 2]], 2), Throws.ArgumentException);
    }

    [Test]
    public void The_mean_row_is_of_rounded_values_and_leaves_out_what_is_not_defined()
    {
        ClassMetrics Row(double auroc, double pro) => new("", new RankingMetrics(auroc, 1, 1), RankingMetrics.Undefined, pro);
        ClassMetrics mean = ClassMetrics.Mean([Row(0.12349, 0.5), Row(0.23449, double.NaN), Row(double.NaN, 0.7)]);
        Assert.That(mean.Image.Auroc, Is.EqualTo((0.123 + 0.234) / 2).Within(1e-12));
        Assert.That(mean.Pro, Is.EqualTo(0.6).Within(1e-12));
        Assert.That(mean.Pixel, Is.EqualTo(RankingMetrics.Undefined));
    }

    /// <summary>Any pixel that is not black counts; at another size, what is more than half inside.</summary>
    [Test]
    public void Masks_count_what_is_not_black()
    {
        Image mask = Image.Create(2, 2, [0, 0, 0, 3, 3, 3, 255, 0, 0, 0, 0, 0]);
        Assert.That(GroundTruth.From(mask, 2), Is.EqualTo(new[] { false, true, true, false }));
        Image half = Image.Create(4, 1, [0, 0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9]);
        Assert.That(GroundTruth.From(half, 8).Take(8), Is.EqualTo(new[] { false, false, false, false, true, true, true, true }));
    }

    [Test]
    public void A_test_set_is_read_and_refused_with_its_name()
    {
        Dataset dataset = Dataset.Load(TestData.Path("visualad", "eval", "meta.json"));
        Assert.That(dataset.Classes, Is.EqualTo(new[] { "01", "02", "03" }));
        Assert.That(dataset.Images.Count(i => i.Anomalous), Is.EqualTo(5));
        Assert.That(dataset.Images.Count(i => i.MaskPath is not null), Is.EqualTo(5));
        Assert.That(dataset.Images.Where(i => !i.Anomalous).SelectMany(i => i.Mask(7)),
            Has.None.True.And.Exactly(6 * 49).Items);
        Assert.That(new DatasetImage("x.png", "c", Anomalous: true, MaskPath: null).Mask(3), Has.Exactly(9).False);

        string path = Path.Combine(TestContext.CurrentContext.WorkDirectory, $"meta-{Guid.NewGuid():N}.json");
        foreach (string wrong in new[] { "", "{", "[]", "{\"train\": {}}", "{\"test\": {\"a\": [{\"anomaly\": 1}]}}",
            "{\"test\": {\"a\": [{\"img_path\": \"x\", \"anomaly\": \"yes\"}]}}" })
        {
            File.WriteAllText(path, wrong);
            Assert.That(() => Dataset.Load(path),
                Throws.InstanceOf<InvalidDataException>().With.Message.Contains("meta-"), wrong);
        }
        File.Delete(path);
    }

    [Test]
    public void A_class_without_pictures_has_no_answer()
    {
        DetectionEvaluation evaluation = new(2);
        AnomalyMap map = AnomalyMap.Create(2, 2, [0, 1, 2, 3]);
        evaluation.Add("a", true, 1, map, [false, false, false, true]);
        Assert.That(() => evaluation.Add("a", true, 1, map, [true]), Throws.ArgumentException);
        Assert.That(() => evaluation.Add("a", true, 1, AnomalyMap.Create(1, 1, [0]), [true]), Throws.ArgumentException);
        ClassMetrics row = evaluation.Measure().Single();
        Assert.That(row.Name, Is.EqualTo("a"));
        Assert.That(row.Pixel.Auroc, Is.EqualTo(1));
        Assert.That(row.Image.Auroc, Is.NaN);
    }

    [Test]
    public void A_folder_without_a_case_is_refused() =>
        Assert.That(() => ReferenceCase.Open(TestData.Path("visualad", "eval", "images")),
            Throws.InstanceOf<FileNotFoundException>());
}
