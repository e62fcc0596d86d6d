using System.Diagnostics;
using NUnit.Framework;
using TinyZsad.Imaging;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>The training program, and that the engine computes what a model it has just trained computes in PyTorch.</summary>
[TestFixture, Category("Training"), NonParallelizable]
public sealed class TrainingTests
{
    private static readonly string Root = Path.GetFullPath(Path.Combine(TestData.Path(), "..", ".."));

    /// <summary>The first Python that has what the training program needs.</summary>
    private static readonly Lazy<string?> Python = new(() =>
        new[] { "python3", "/usr/bin/python3" }.FirstOrDefault(
            python => Run(python, TimeSpan.FromMinutes(1), "-c", "import torch, numpy, PIL").Code == 0));

    [Test]
    public void ATrainedModelDetectsAsInPyTorch()
    {
        string folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        try
        {
            Succeeds("tools/train_edgezsad.py", "--smoke", "--out", folder);
            string path = Path.Combine(folder, "edgezsad.safetensors");
            string[] pictures = Directory.GetDirectories(Path.Combine(folder, "verify"));
            Assert.That(pictures, Is.Not.Empty);
            using AnomalyDetector detector = AnomalyDetector.Load(path);
            foreach (string picture in pictures)
            {
                Image image = Image.Load(Path.Combine(picture, "image.png"));
                string expected = Path.Combine(picture, "expected.safetensors");
                IReadOnlyList<TapComparison> rows = Verification.Run(
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

    [Test]
    public void TheTrainingProgramsOwnTestsPass() => Succeeds("-m", "unittest", "tests/tools/test_train_edgezsad.py");

    private static void Succeeds(params string[] arguments)
    {
        if (Python.Value is not { } python)
        {
            Assert.Ignore(
                "Training needs Python with PyTorch, NumPy and Pillow, which are not installed; on Debian: apt install " +
                "python3-torch python3-numpy python3-pil.");
            return;
        }
        (int code, string output) = Run(python, TimeSpan.FromMinutes(10), arguments);
        Assert.That(code, Is.Zero, output);
    }

    private static (int Code, string Output) Run(string program, TimeSpan limit, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            WorkingDirectory = Root, RedirectStandardOutput = true, RedirectStandardError = true
        };
        try
        {
            using Process process = Process.Start(start)!;
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(limit))
            {
                process.Kill(entireProcessTree: true);
                return (-1, $"{program} was stopped after {limit}.");
            }
            return (process.ExitCode, output.Result + errors.Result);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return (-1, $"{program}: {e.Message}");
        }
    }
}
