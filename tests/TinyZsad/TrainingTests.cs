using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>The training program, and that the engine computes what a model it has just trained computes in PyTorch.</summary>
[TestFixture, Category("Training"), NonParallelizable]
public sealed class TrainingTests
{
    [Test]
    public void ATrainedModelDetectsAsInPyTorch()
    {
        string folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        try
        {
            Python.Succeeds("tools/train_edgezsad.py", "--smoke", "--out", folder);
            string path = Path.Combine(folder, "edgezsad.safetensors");
            string[] pictures = Directory.GetDirectories(Path.Combine(folder, "verify"));
            Assert.That(pictures, Is.Not.Empty);
            using AnomalyDetector detector = AnomalyDetector.Load(path);
            foreach (string picture in pictures)
            {
                Image image = Image.Load(Path.Combine(picture, "image.png"));
                string expected = Path.Combine(picture, "expected.safetensors");
                IReadOnlyList<TapComparison> rows = Verifier.Run(
                    SafetensorsFile.Open(path), image, expected, tolerance: 1e-5);
                Assert.That(rows.Select(r => r.Name),
                    Is.SupersetOf((string[])["score", "score.logit", "local.logits", "map.final"]));
                Assert.Multiple(() =>
                {
                    foreach (TapComparison row in rows) Assert.That(row.Passed, $"{Path.GetFileName(picture)}: {row}");
                });
                AnomalyResult result = detector.Detect(image);
                Assert.That(result.RawScore, Is.EqualTo(rows.Single(r => r.Name == "score.logit").WorstExpected).Within(1e-5));
                Assert.That(result.Score, Is.EqualTo(rows.Single(r => r.Name == "score").WorstExpected).Within(1e-5));
                TestContext.Out.WriteLine(
                    $"{Path.GetFileName(picture)}: score {result.Score}, worst {rows.MaxBy(r => r.MaxError)}");
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestCase("test_train_edgezsad")]
    [TestCase("test_synthetic_surfaces")]
    public void TheProgramsOwnTestsPass(string name) => Python.Succeeds("-m", "unittest", $"tests/tools/{name}.py");
}
