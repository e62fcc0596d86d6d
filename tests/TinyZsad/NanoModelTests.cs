using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Evaluation;
using TinyZsad.Imaging;
using TinyZsad.Models.Nano;
using TinyZsad.Tests.Cli;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>The model in the box: that it is the one on record, computes what PyTorch does, and finds defects it never saw.</summary>
public sealed class NanoModelTests : InFolder
{
    /// <summary>
    /// What the engine must reach on a part of the held-out pictures; a little below the figures on record, which are of more of them.
    /// </summary>
    private const double ImageAuroc = 0.92, PixelAuroc = 0.95, Aupro = 0.78;

    private static JsonElement Record() =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Python.Root, "models", "edgezsad-nano.json"))).RootElement;

    [Test]
    public void It_is_the_one_on_record()
    {
        using AnomalyDetector detector = AnomalyDetector.LoadDefault();
        ModelInfo model = detector.Model;
        Assert.That((model.SystemName, model.ImageSize, model.TakesClassName, model.Path),
            Is.EqualTo(("EdgeZSAD", 256, false, AnomalyDetector.DefaultModelName)));
        JsonElement record = Record();
        Assert.That(model.Sha256, Is.EqualTo(record.GetProperty("sha256").GetString()));
        Assert.That(model.FileBytes, Is.EqualTo(record.GetProperty("bytes").GetInt64()).And.AtMost(6_000_000));
        Assert.That(model.Parameters, Is.EqualTo(record.GetProperty("parameters").GetInt64()).And.AtMost(3_000_000));
        Assert.That(model.Metadata["variant"], Is.EqualTo("edgezsad-nano"));
        using SafetensorsFile file = SafetensorsFile.Open(NanoModel.Open(), NanoModel.Name);
        Assert.That(file.Tensors.Select(t => t.Type).Distinct(), Is.EqualTo(new[] { ElementType.F16 }));
    }

    [Test]
    public void It_says_what_it_is()
    {
        ToolRun run = ToolRun.Of("inspect");
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        // Lines may be broken anywhere between two words.
        string text = string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.That(text, Does.Contain("try-out").And.Contain("drawn surfaces").And.Contain("No substitute"));
        JsonElement figures = Record().GetProperty("figures");
        foreach (string set in new[] { "drawn", "photographs" })
            Assert.That(text, Does.Contain(figures.GetProperty(set).GetProperty("image_auroc").GetDouble().ToString("F3")[..4]));
    }

    [Test]
    public void The_tool_takes_it_where_no_model_is_given()
    {
        string picture = Picture("nut.png");
        ToolRun run = ToolRun.Of("detect", "--format", "json", "--out", In("results"), picture);
        Assert.That(run.Code, Is.Zero);
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
        Assert.That(run.Error, Does.StartWith("note: ").And.Contain("drawn surfaces only"));
        using AnomalyDetector detector = AnomalyDetector.LoadDefault();
        Assert.That(JsonDocument.Parse(run.Output).RootElement.GetProperty("score").GetSingle(),
            Is.EqualTo(detector.Detect(Image.Load(picture)).Score).Within(1e-6f));
        Assert.That(Directory.GetFiles(In("results")), Has.Length.EqualTo(1));
        Assert.That(ToolRun.Of("bench", "--runs", "1", "--warmup", "1").Output, Does.Contain(AnomalyDetector.DefaultModelName));
    }

    /// <summary>With the centre of the defect and how far it reaches, in pixels of the picture.</summary>
    [TestCase("drawn-knit-hole.png", "drawn-knit.png", 72, 32, 50)]
    [TestCase("drawn-leather-ring.png", "drawn-leather.png", 176, 173, 20)]
    [TestCase("drawn-wood-frayed.png", "drawn-wood.png", 142, 162, 45)]
    public void It_finds_the_defect_of_a_sample(string defective, string good, int x, int y, int reach)
    {
        using AnomalyDetector detector = AnomalyDetector.LoadDefault();
        AnomalyResult bad = Detect(defective), fine = Detect(good);
        Assert.That(bad.Score, Is.GreaterThan(0.5).And.GreaterThan(fine.Score + 0.25));
        AnomalyMap map = bad.PictureMap;
        int most = 0;
        for (int i = 0; i < map.Values.Length; i++)
            if (map.Values[i] > map.Values[most]) most = i;
        Assert.That((most % map.Width, most / map.Width), Is.EqualTo((x, y)).Using<(int X, int Y)>(
            (a, b) => Math.Abs(a.X - b.X) <= reach && Math.Abs(a.Y - b.Y) <= reach));

        AnomalyResult Detect(string name) => detector.Detect(Image.Load(Path.Combine(Python.Root, "samples", name)));
    }

    [Test, Category("Training")]
    public void The_engine_computes_what_pytorch_does_on_fifty_pictures()
    {
        Python.Succeeds("tests/tools/nano_expected.py", Folder);
        using SafetensorsFile expected = SafetensorsFile.Open(In("expected.safetensors"));
        using AnomalyDetector detector = AnomalyDetector.LoadDefault();
        float[] score = Values("score"), logit = Values("score.logit"), tokens = Values("local.logits"), map = Values("map.final");
        double worst = 0, largest = tokens.Max(Math.Abs);
        Assert.That(score, Has.Length.EqualTo(50));
        Assert.That(score.Max() - score.Min(), Is.GreaterThan(0.5));
        for (int i = 0; i < score.Length; i++)
        {
            AnomalyResult result = detector.Detect(Image.Load(In($"{i:00}.png")));
            Check(result.Score - score[i], 1, "score");
            Check(result.RawScore - logit[i], Math.Max(1, Math.Abs(logit[i])), "score.logit");
            int size = result.Map.Values.Length;
            for (int p = 0; p < size; p++) Check(result.Map.Values[p] - map[i * size + p], 1, "map.final");

            void Check(double difference, double scale, string what)
            {
                worst = Math.Max(worst, Math.Abs(difference) / scale);
                if (Math.Abs(difference) > 1e-5 * scale) Assert.Fail($"Picture {i}: {what} differs by {difference}.");
            }
        }
        TestContext.Out.WriteLine($"largest error {worst:0.0e+0}; logits up to {largest:0.0}");

        float[] Values(string name)
        {
            Assert.That(expected.TryGet(name, out TensorEntry? entry), name);
            return entry!.AsSpan<float>().ToArray();
        }
    }

    [Test, Category("Training")]
    public void It_finds_what_it_never_saw()
    {
        Python.Succeeds("tools/synthetic_surfaces.py", "folder", "--set", "heldout", "--group", "new", "--pairs", "16",
            "--seed", "7", "--out", Folder);
        using AnomalyDetector detector = AnomalyDetector.LoadDefault();
        IReadOnlyList<ClassMetrics> rows = DetectionEvaluation.Run(detector, Dataset.Load(In("meta.json")));
        Assert.That(rows, Has.Count.EqualTo(5));
        foreach (ClassMetrics row in rows)
            TestContext.Out.WriteLine($"{row.Name}: {row.Image.Auroc:F3} {row.Pixel.Auroc:F3} {row.Pro:F3}");
        Assert.Multiple(() =>
        {
            Assert.That(rows.Average(r => r.Image.Auroc), Is.GreaterThan(ImageAuroc));
            Assert.That(rows.Average(r => r.Pixel.Auroc), Is.GreaterThan(PixelAuroc));
            Assert.That(rows.Average(r => r.Pro), Is.GreaterThan(Aupro));
        });
    }
}
