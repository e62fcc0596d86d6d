using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Cli;

public sealed class VerifyTests : InFolder
{
    [Test]
    public void A_case_passes()
    {
        ToolRun run = ToolRun.Of("verify", ToolRun.Tiny, "--threads", "1");
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        Assert.That(run.Lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries),
            Has.Member("tap").And.Member("shape").And.Member("limit"));
        Assert.That(run.Output, Does.Match(@"(?m)^head\.map +\[70, 70\] .* pass").And.Contain("43 taps, all passed"));
    }

    [Test]
    public void Json_says_the_same()
    {
        ToolRun run = ToolRun.Of("verify", ToolRun.Tiny, "-m", Seeded(), "--json");
        JsonElement root = JsonDocument.Parse(run.Output).RootElement;
        Assert.That(run.Code, Is.Zero);
        Assert.That(root.GetProperty("passed").GetBoolean());
        JsonElement taps = root.GetProperty("cases")[0].GetProperty("taps");
        Assert.That(taps.GetArrayLength(), Is.EqualTo(43));
        Assert.That(taps.EnumerateArray().Select(t => t.GetProperty("max_error").GetDouble()), Has.All.LessThan(2e-5));
    }

    [Test]
    public void No_tolerance_is_met_by_no_rounding()
    {
        ToolRun run = ToolRun.Of("verify", ToolRun.Tiny, "--tolerance", "0");
        Assert.That((run.Code, run.Error), Is.EqualTo((ExitCode.CheckFailed, "")));
        Assert.That(run.Output, Does.Match(@"(?m)^head\.map .* FAIL$").And.Match(@"\d+ of 43 taps failed"));
    }

    [TestCase("int8")]
    [TestCase("forced-int8", Description = "A check always computes what it is asked to, so both words mean the same.")]
    public void At_int8_errors_are_shown_and_only_a_tolerance_judges_them(string word)
    {
        string[] line = ["verify", ToolRun.Tiny, "--precision", word];
        ToolRun shown = ToolRun.Of(line), strict = ToolRun.Of([.. line, "--tolerance", "1e-3"]),
            loose = ToolRun.Of([.. line, "--tolerance", "0.2"]);
        Assert.That((shown.Code, shown.Error), Is.EqualTo((ExitCode.Done, "")));
        Assert.That(shown.Output,
            Does.Match(@"(?m)^head\.map .*\de-2 .* none *$").And.Contain("there is no limit").And.Not.Contain("all passed"));
        Assert.That(strict.Code, Is.EqualTo(ExitCode.CheckFailed));
        Assert.That(strict.Output, Does.Match(@"(?m)^head\.map .* FAIL$"));
        Assert.That(loose.Code, Is.Zero);
        Assert.That(loose.Output, Does.Contain("43 taps, all passed"));
        JsonElement map = JsonDocument.Parse(ToolRun.Of([.. line,
            "--json"]).Output).RootElement.GetProperty("cases")[0].GetProperty("taps")
            .EnumerateArray().Single(t => t.GetProperty("tap").GetString() == "head.map");
        Assert.That(map.GetProperty("tolerance").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(ToolRun.Of("verify", ToolRun.Tiny, "--precision", "int4").Error,
            Does.Contain("'int4' is none of float32, int8, forced-int8"));
    }

    [Test]
    public void A_changed_expectation_fails_in_its_place()
    {
        string copy = CopyOfTiny(tensors =>
        {
            float[] map = tensors["vision.hidden2"];
            map[3 * 64 + 5] += 1;
        });
        ToolRun run = ToolRun.Of("verify", copy);
        Assert.That(run.Code, Is.EqualTo(ExitCode.CheckFailed));
        Assert.That(run.Output, Does.Match(@"(?m)^vision\.hidden2 .*\[0, 3, 5\].* FAIL$").And.Contain("1 of 43 taps failed"));
    }

    [Test]
    public void Dumped_activations_are_verified_and_missing_taps_fail()
    {
        string model = Seeded(), dump = In("dump.safetensors");
        TensorDeclaration[] taps = [.. ReferenceCase.Open(ToolRun.Tiny).ExpectedTaps()
            .Where(t => t.Stride == 1 && (t.Name.StartsWith("vision.hidden", StringComparison.Ordinal) || t.Name == "head.map"))
            .Select(t => TensorDeclaration.FromValues<float>(t.Name, [.. t.Shape.Select(d => (long)d)], t.Expected))];
        Assert.That(taps.Select(t => t.Name), Does.Contain("head.map"), "what depends on the class");
        SafetensorsWriter.Write(dump, taps);
        string[] line = ["verify", "-m", model, "--image", ToolRun.Coffee, "--expected", dump];
        ToolRun right = ToolRun.Of([.. line, "--class", "metal nut"]), wrong = ToolRun.Of([.. line, "--class", "screw"]);
        Assert.That(right.Code, Is.Zero, right.Output + right.Error);
        Assert.That(wrong.Code, Is.EqualTo(ExitCode.CheckFailed));

        SafetensorsWriter.Write(dump, [.. taps, TensorDeclaration.FromValues<float>("vision.nonsense", [1], new float[1])]);
        ToolRun missing = ToolRun.Of([.. line, "--class", "metal nut"]);
        Assert.That(missing.Code, Is.EqualTo(ExitCode.CheckFailed));
        Assert.That(missing.Output, Does.Match("(?m)^vision.nonsense .* FAIL: .*no tap of this name"));
    }

    private string CopyOfTiny(Action<Dictionary<string, float[]>> change)
    {
        string copy = In("case", "copy");
        Directory.CreateDirectory(copy);
        foreach (string file in Directory.GetFiles(ToolRun.Tiny))
        {
            if (Path.GetFileName(file) is "strings.json" or "prompts.json" or "tokens.safetensors")
                File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        string images = TestData.Path("images").Replace('\\', '/');
        File.WriteAllText(Path.Combine(copy, "manifest.json"), File.ReadAllText(Path.Combine(ToolRun.Tiny, "manifest.json"))
            .Replace("../../images", images));

        using SafetensorsFile expected = SafetensorsFile.Open(Path.Combine(ToolRun.Tiny, "expected.safetensors"));
        Dictionary<string, float[]> tensors = expected.Tensors.ToDictionary(t => t.Name, t => t.AsSpan<float>().ToArray());
        change(tensors);
        SafetensorsWriter.Write(Path.Combine(copy, "expected.safetensors"),
            expected.Tensors.Select(t => TensorDeclaration.FromValues<float>(t.Name, t.Shape, tensors[t.Name])));
        return copy;
    }
}
