using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Conversion;
using TinyZsad.Tests.Cli;
using TinyZsad.Weights;

namespace TinyZsad.Tests;

/// <summary>
/// Checkpoints in their authors' structures, written by PyTorch (<c>tests/tools/make_checkpoints.py</c>), converted by the engine
/// and by <c>tools/convert_weights.py</c>: the same bytes; and what <c>tools/dump_reference.py</c> computes from the checkpoints,
/// the engine computes from the model.
/// </summary>
[TestFixture, Category("Conversion"), NonParallelizable]
public sealed class ConversionTests
{
    private string folder = "";

    [OneTimeSetUp]
    public void MakeCheckpoints()
    {
        folder = Directory.CreateTempSubdirectory("tinyzsad-").FullName;
        Python.Succeeds("-W", "ignore", "tests/tools/make_checkpoints.py", folder);
    }

    [OneTimeTearDown]
    public void DeleteCheckpoints() => Directory.Delete(folder, recursive: true);

    [TestCase("lizad-hugging-face", "LiZAD", 40)]
    [TestCase("lizad-meta", "LiZAD", 40)]
    [TestCase("edgezsad-timm", "EdgeZSAD", 16)]
    [TestCase("edgezsad-microsoft", "EdgeZSAD", 16)]
    [TestCase("edgezsad-trained", "EdgeZSAD", 16)]
    [TestCase("edgezsad-both", "EdgeZSAD", 16)]
    [TestCase("visualad-torchscript", "VisualAD", 33)]
    [TestCase("visualad-state", "VisualAD", 23)]
    [TestCase("visualad-dinov2", "VisualAD", 32)]
    [TestCase("visualad-dinov2-hugging-face", "VisualAD", 32)]
    public void A_checkpoint_converts_as_in_python_and_computes_as_in_pytorch(string scenario, string system, int taps)
    {
        string model = Convert(scenario, out ToolRun run);
        Assert.That(run.Output, Does.Match($@"system +{system}"));
        Assert.That(File.ReadAllBytes(model), Is.EqualTo(File.ReadAllBytes(In(scenario, "converted.safetensors"))));

        (string[] options, string image) = Verification(scenario);
        ToolRun verified = ToolRun.Of(
            ["verify", "-m", model, "--image", image, "--expected", In(scenario, "expected.safetensors"), "--json", .. options]);
        JsonElement rows = JsonDocument.Parse(verified.Output).RootElement.GetProperty("cases")[0].GetProperty("taps");
        Assert.That(rows.EnumerateArray().Where(r => !r.GetProperty("passed").GetBoolean()).Select(r => r.ToString()), Is.Empty);
        Assert.That((verified.Code, rows.GetArrayLength()), Is.EqualTo((0, taps)));
        TestContext.Out.WriteLine($"worst: {rows.EnumerateArray().MaxBy(r => r.GetProperty("max_error").GetDouble())}");
    }

    /// <summary>One readout, saved in the ways that people save checkpoints; torch.load gives the same tensors of each.</summary>
    [Test]
    public void Every_way_to_save_a_checkpoint_gives_the_same_model_and_the_bytes_of_python()
    {
        string[] variants = [.. Directory.GetFiles(In("variants"), "*.converted").Order(StringComparer.Ordinal)];
        Assert.That(variants, Has.Length.GreaterThan(60));
        using SafetensorsFile plain = SafetensorsFile.Open(In("variants", "plain.converted"));
        Assert.Multiple(() =>
        {
            foreach (string converted in variants)
            {
                string pth = Path.ChangeExtension(converted, "pth"), output = Path.ChangeExtension(converted, "ours");
                string head = File.Exists(pth) ? pth : Path.ChangeExtension(converted, "safetensors");
                ToolRun run = ToolRun.Of("convert", "edgezsad", "--tinyvit", In("variants", "tinyvit.safetensors"), "--head", head,
                    "--image-size", "64", "-o", output);
                Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
                if (run.Code != 0) continue;
                Assert.That(File.ReadAllBytes(output).AsSpan().SequenceEqual(File.ReadAllBytes(converted)), head);
                using SafetensorsFile ours = SafetensorsFile.Open(output);
                if (Path.GetFileName(head) is "expanded.pth" or "other-types.safetensors") continue; // of other values
                foreach ((TensorEntry a, TensorEntry b) in ours.Tensors.Zip(plain.Tensors))
                    Assert.That(a.Name == b.Name && a.AsBytes().SequenceEqual(b.AsBytes()), $"{head}: {a}");
            }
        });
    }

    /// <summary>Objects of unknown classes are skipped. If nothing is left, what was skipped is said, and what helps.</summary>
    [Test]
    public void A_pickled_module_is_told_as_such()
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(
            () => CheckpointConverter.EdgeZsad(In("variants", "tinyvit.safetensors"), In("module.pth"), In("none.safetensors")))!;
        Assert.That(error.Message, Does.Contain("no tensor at all").And.Contain("an object of 'torch.nn.modules.linear.Linear'")
            .And.Contain("torch.save(model.state_dict(), FILE)"));
        error = Assert.Throws<ModelFormatException>(
            () => CheckpointConverter.EdgeZsad(In("variants", "tinyvit.safetensors"), In("complex.pth"), In("none.safetensors"), 64))!;
        Assert.That(error.Tensor, Is.EqualTo("local.fc.bias"));
        Assert.That(error.Message, Does.Contain("'local.fc.bias: torch.ComplexFloatStorage [1]'").And.Contain("are not read"));
    }

    [Test]
    public void What_rounding_the_weights_costs_shows_against_exact_ones()
    {
        string model = Convert("visualad-dinov2", out _);
        (_, string image) = Verification("visualad-dinov2");
        string[] verify = ["verify", "-m", model, "--image", image, "--expected", In("visualad-dinov2", "exact.safetensors")];
        Assert.That(ToolRun.Of(verify).Code, Is.EqualTo(1));
        Assert.That(ToolRun.Of([.. verify, "--tolerance", "2e-2"]).Code, Is.Zero);
    }

    [Test]
    public void Baked_classes_are_those_of_python_and_everything_else_is_to_the_byte()
    {
        string model = Convert("lizad-classes", out _);
        using SafetensorsFile ours = SafetensorsFile.Open(model), theirs = SafetensorsFile.Open(In("lizad-classes",
            "converted.safetensors"));
        Assert.That(ours.Metadata, Is.EqualTo(theirs.Metadata));
        Assert.That(ours.Tensors.Select(t => t.ToString()), Is.EqualTo(theirs.Tensors.Select(t => t.ToString())));
        Assert.That(ours.Tensors.Count(t => t.Name.StartsWith("text.", StringComparison.Ordinal)), Is.EqualTo(2));
        foreach ((TensorEntry a, TensorEntry b) in ours.Tensors.Zip(theirs.Tensors))
        {
            if (a.Name.StartsWith("text.", StringComparison.Ordinal))
                Assert.That(a.AsSpan<float>().ToArray(), Is.EqualTo(b.AsSpan<float>().ToArray()).Within(2e-6f));
            else
                Assert.That(a.AsBytes().SequenceEqual(b.AsBytes()), a.Name);
        }

        using AnomalyDetector detector = AnomalyDetector.Load(model);
        Assert.That(detector.Model.StoredClasses, Is.EqualTo(new[] { "metal nut" }));
        Assert.That(detector.Model.AnyClass, Is.False);
    }

    [Test]
    public void The_report_says_what_was_read_kept_and_left_out()
    {
        string at = In("lizad-meta"), output = In("reported.safetensors");
        ConversionReport report = CheckpointConverter.LiZad(
            Path.Combine(at, "dinov3.pth"), Path.Combine(at, "model.safetensors.index.json"), Path.Combine(at,
                "head.pth"), output);
        Assert.That(report.Sources.Select(s => (s.Part, s.Format, s.Files.Count)), Is.EqualTo(new[]
        {
            ("vision", "PyTorch archive", 1), ("text", "safetensors in 3 files", 4), ("head", "PyTorch archive", 1),
        }));
        string hash = System.Convert.ToHexStringLower(
            System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(Path.Combine(at, "dinov3.pth"))));
        Assert.That(report.Metadata["vision_source"], Is.EqualTo($"dinov3.pth sha256:{hash}"));
        Assert.That(report.LeftOut.Select(l => (l.Part, l.Name, l.Tensors)), Is.EqualTo(new[]
        {
            ("vision", "mask_token", 1), ("vision", "rope_embed.periods", 1), ("vision", "blocks.11.*", 15), ("vision", "norm.*",
                2),
            ("text", "logit_scale", 1), ("text", "visual.trunk.stem.0.conv.weight", 1),
        }));
        Assert.That(report.Bytes, Is.EqualTo(new FileInfo(output).Length));

        Convert("lizad-hugging-face", out ToolRun optimizer);
        Assert.That(optimizer.Output, Does.Match(@"optimizer_state_dict\.\* +head +60 "));

        // Of q, k and v in one tensor, only k held a value that FP16 has no room for.
        HalfLoss k = report.KeptInFloat32.Single(l => l.Name == "vision.layer.1.attention.k_proj.weight");
        Assert.That((k.Flushed, k.Overflowing, k.FirstIndex), Is.EqualTo((1L, 0L, 3L * 64 + 4)));
        Assert.That(k.First, Is.EqualTo(1e-9).Within(1e-15));
        using SafetensorsFile file = SafetensorsFile.Open(output);
        Assert.That(file.Tensors.Where(t => t.Type == ElementType.F32).Select(t => t.Name),
            Is.EquivalentTo(report.KeptInFloat32.Select(l => l.Name)));
        Assert.That(file.Tensors.All(t => t.Type is ElementType.F32 or ElementType.F16));
    }

    [Test]
    public void Small_values_become_zero_where_that_is_wanted()
    {
        string at = In("lizad-meta"), output = In("flushed.safetensors");
        ConversionReport report = CheckpointConverter.LiZad(
            Path.Combine(at, "dinov3.pth"), Path.Combine(at, "model.safetensors.index.json"), Path.Combine(at,
                "head.pth"), output,
            options: new ConversionOptions { FlushToZero = true });
        Assert.That(report.FlushedToZero.Select(l => l.Name), Does.Contain("vision.layer.1.attention.k_proj.weight"));
        Assert.That(report.KeptInFloat32.All(l => l.Overflowing + l.Coarse > 0));
        using SafetensorsFile file = SafetensorsFile.Open(output);
        Assert.That(file.TryGet("vision.layer.1.attention.k_proj.weight", out TensorEntry? k));
        Assert.That((k!.Type, k.AsSpan<Half>()[3 * 64 + 4]), Is.EqualTo((ElementType.F16, (Half)0)));
    }

    [Test]
    public void An_overflow_stays_what_it_is()
    {
        string model = Convert("edgezsad-microsoft", out ToolRun run);
        Assert.That(run.Output, Does.Match(@"model\.head\.\* +vision +2 +1,290")
            .And.Match(@"model\.\*\.num_batches_tracked +vision +18 "));
        Assert.That(run.Output, Does.Match(@"vision\.stages\.2\.blocks\.0\.mlp\.fc2\.weight +[\d,]+ +1 .*70000 at"));
        using SafetensorsFile file = SafetensorsFile.Open(model);
        Assert.That(file.TryGet("vision.stages.2.blocks.0.mlp.fc2.weight", out TensorEntry? weight));
        Assert.That(weight!.AsSpan<float>().ToArray().Max(), Is.EqualTo(7e4f));
    }

    [Test]
    public void A_file_of_the_legacy_form_is_refused_by_name()
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => Checkpoint.Open(In("legacy.pth")))!;
        Assert.That(error.Message, Does.Contain("legacy format").And.Contain("before 1.6"));
    }

    [Test]
    public void Checkpoints_that_were_mixed_up_are_refused()
    {
        string at = In("lizad-hugging-face"), output = In("none.safetensors");
        string vision = Path.Combine(at, "model.safetensors"), text = Path.Combine(at,
            "mobileclip2_s0.pt"), head = Path.Combine(at, "head.pth");
        Refused(() => CheckpointConverter.LiZad(text, vision, head, output), text, "no checkpoint of DINOv3", "'logit_scale'");
        Refused(() => CheckpointConverter.LiZad(vision, vision, head, output), vision, "no checkpoint of MobileCLIP2");
        Refused(() => CheckpointConverter.LiZad(vision, text, text, output), text, "no checkpoint of LiZAD's head");
        Refused(() => CheckpointConverter.VisualAd(vision, false, head, output), vision, "CLIP's vision transformer");
        Refused(() => CheckpointConverter.VisualAd(vision, true, head, output), vision, "DINOv2");
        Refused(() => CheckpointConverter.EdgeZsad(vision, head, output), head, "EdgeZSAD's readout");
        Refused(() => CheckpointConverter.EdgeZsad(null, Path.Combine(In("edgezsad-timm"), "head.pth"), output), "head.pth",
            "without its backbone");
        Refused(() => CheckpointConverter.EdgeZsad(
                Path.Combine(In("edgezsad-timm"), "model.safetensors"), Path.Combine(In("edgezsad-both"),
                    "checkpoint.pt"), output),
            "checkpoint.pt", "is another");
        Refused(() => CheckpointConverter.EdgeZsad(
                Path.Combine(In("edgezsad-timm"), "model.safetensors"), Path.Combine(In("edgezsad-timm"), "head.pth"), output),
            "model.safetensors", "none of tiny_vit_5m_224");
        Assert.Throws<FileNotFoundException>(() => CheckpointConverter.LiZad(In("nowhere.pt"), text, head, output));
        Assert.Throws<ArgumentException>(() => CheckpointConverter.LiZad(vision, text, head, vision));
        Assert.Throws<ArgumentException>(() => CheckpointConverter.LiZad(vision, text, head, output, textTower: false));
        Assert.That(Directory.GetFiles(folder, "*.tmp"), Is.Empty);
        Assert.That(output, Does.Not.Exist);
    }

    [Test]
    public void A_checkpoint_of_another_network_is_refused()
    {
        string head = Path.Combine(In("visualad-dinov2-hugging-face"), "head.pth");
        Broken("a tensor less", "'encoder.layer.2.mlp.fc1.bias' is missing", t => t.Remove("encoder.layer.2.mlp.fc1.bias"));
        Broken("a tensor more", "does not belong to DINOv2", t =>
            t["encoder.layer.2.mlp.w12.weight"] = Of("encoder.layer.2.mlp.w12.weight", 1f, 2f));
        Broken("another shape", "together they make no model", t => t["layernorm.bias"] = Of("layernorm.bias", 1f, 2f));
        Broken("no number", "holds NaN at 1; weights must be finite",
            t => t["layernorm.bias"] = Of("layernorm.bias", [0f, float.NaN, .. new float[126]]));
        Broken("infinity", "holds -Infinity at 127", t => t["layernorm.bias"] = Of("layernorm.bias",
            [.. new float[127], float.NegativeInfinity]));
        Broken("whole numbers", "of whole numbers",
            t => t["layernorm.bias"] = TensorDeclaration.FromValues<long>("layernorm.bias", [128], new long[128]));
        Broken("nothing", "is empty", t => t["layernorm.bias"] = TensorDeclaration.FromValues<float>("layernorm.bias", [0],
            Array.Empty<float>()));
        Broken("parts of q, k and v", "should have the same shape", t => t["encoder.layer.0.attention.attention.key.bias"] =
            Of("encoder.layer.0.attention.attention.key.bias", 1f));

        void Broken(string what, string says, Action<Dictionary<string, TensorDeclaration>> change)
        {
            using SafetensorsFile good = SafetensorsFile.Open(In("visualad-dinov2-hugging-face", "model.safetensors"));
            Dictionary<string, TensorDeclaration> tensors =
                good.Tensors.ToDictionary(t => t.Name, t => new TensorDeclaration(t.Name, t.Type, t.Shape, t.CopyTo));
            change(tensors);
            string path = In("broken.safetensors");
            SafetensorsWriter.Write(path, tensors.Values);
            Refused(() => CheckpointConverter.VisualAd(path, true, head, In("none.safetensors")), path, says);
        }

        static TensorDeclaration Of(string name, params float[] values) =>
            TensorDeclaration.FromValues<float>(name, [values.Length], values);
    }

    [Test]
    public void The_python_tools_own_tests_pass() => Python.Succeeds("-m", "unittest", "tests/tools/test_checkpoints.py");

    private string In(params string[] parts) => Path.Combine([folder, .. parts]);

    private static void Refused(Func<ConversionReport> convert, string file, params string[] says)
    {
        ModelFormatException error = Assert.Throws<ModelFormatException>(() => convert())!;
        Assert.That(error.File, Does.Contain(file));
        Assert.That(error.Message, Does.Not.Contain(".tmp"), "what was at fault is no file that nobody gave");
        foreach (string part in says) Assert.That(error.Message, Does.Contain(part));
    }

    /// <summary>Converts a scenario's checkpoints with the tool.</summary>
    private string Convert(string scenario, out ToolRun run)
    {
        string[] arguments = [.. JsonOf(scenario).GetProperty("convert").EnumerateArray().Select(a => a.GetString()!)
            .Select(a => File.Exists(In(scenario, a)) ? In(scenario, a) : a)];
        string model = In($"{scenario}.safetensors");
        run = ToolRun.Of(["convert", .. arguments, "-o", model]);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        return model;
    }

    private (string[] Options, string Image) Verification(string scenario) =>
        ([.. JsonOf(scenario).GetProperty("verify").EnumerateArray().Select(a => a.GetString()!)],
            JsonOf(scenario).GetProperty("image").GetString()!);

    private JsonElement JsonOf(string scenario) =>
        JsonDocument.Parse(File.ReadAllBytes(In(scenario, "arguments.json"))).RootElement;
}
