using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Weights;

namespace TinyZsad.Tests.Cli;

/// <summary>Tests the commands that work on files: inspect, embed and seed.</summary>
public sealed class ModelFileTests : InFolder
{
    [Test]
    public void Inspect_shows_what_a_model_is()
    {
        string model = Seeded();
        ToolRun run = ToolRun.Of("inspect", model);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        using SafetensorsFile file = SafetensorsFile.Open(model);
        Assert.That(run.Output, Does.Contain("LiZAD").And.Contain(file.ComputeSha256()).And.Contain("70 x 70"));
        Assert.That(run.Output, Does.Contain("any (text tower); none stored"));
        Assert.That(run.Output, Does.Match(@"image_size +70").And.Match(@"head +20 +14,832").And.Match(@"parameters +1,875,088"));
        Assert.That(run.Output, Does.Not.Contain("vision.embeddings.cls_token"));
        Assert.That(ToolRun.Of("inspect", model, "--tensors").Output,
            Does.Match(@"vision\.embeddings\.cls_token +F16 +\[1, 1, 64\] +128"));
    }

    [Test]
    public void Inspect_tells_everything_in_json()
    {
        JsonElement root = JsonDocument.Parse(ToolRun.Of("inspect", Seeded(), "--json").Output).RootElement;
        Assert.That(root.GetProperty("system").GetString(), Is.EqualTo("LiZAD"));
        Assert.That(root.GetProperty("tensors").GetArrayLength(), Is.EqualTo(121));
        Assert.That(root.GetProperty("tensors").EnumerateArray().Sum(t => t.GetProperty("bytes").GetInt64()),
            Is.LessThan(root.GetProperty("bytes").GetInt64()));
        Assert.That(root.GetProperty("metadata").GetProperty("format").GetString(), Is.EqualTo("tinyzsad"));
    }

    [Test]
    public void Inspect_shows_other_files_too_and_says_so()
    {
        string other = TestData.Path("lizad", "tiny", "expected.safetensors");
        ToolRun run = ToolRun.Of("inspect", other);
        Assert.That(run.Code, Is.Zero);
        Assert.That(run.Output, Does.Contain("not a TinyZsad model").And.Match(@"head +\d+"));
        JsonElement root = JsonDocument.Parse(ToolRun.Of("inspect", other, "--json").Output).RootElement;
        Assert.That(root.GetProperty("system").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(root.GetProperty("problem").GetString(),
            Does.StartWith("this is a safetensors file but not a TinyZsad model"), "the file is named beside it");
    }

    [Test]
    public void Inspect_refuses_what_is_no_safetensors_file()
    {
        ToolRun run = ToolRun.Of("inspect", ToolRun.Coffee);
        Assert.That((run.Code, run.Output), Is.EqualTo((ExitCode.BadInput, "")));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
    }

    [Test]
    public void Seed_writes_the_model_of_a_case()
    {
        string path = In("seeded.safetensors");
        ToolRun run = ToolRun.Of("seed", ToolRun.Tiny, "-o", path);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        Assert.That(run.Output, Does.Contain(path).And.Contain("3.6 MiB"));
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(File.ReadAllBytes(Seeded())));
    }

    [Test]
    public void Seed_refuses_cases_that_do_not_belong_together()
    {
        ToolRun run = ToolRun.Of("seed", ToolRun.Tiny, TestData.Path("lizad", "text"), "-o", In("x.safetensors"));
        Assert.That(run.Code, Is.EqualTo(ExitCode.BadInput));
        Assert.That(run.ErrorLines, Has.Length.EqualTo(1));
        Assert.That(run.Error, Does.Contain("do not belong together").And.Not.Contain("Parameter"));
        Assert.That(In("x.safetensors"), Does.Not.Exist);
    }

    [Test]
    public void An_embedded_model_scores_as_the_whole_one_does()
    {
        string model = Seeded(), small = In("small.safetensors"), picture = Picture("a.png");
        ToolRun embed = ToolRun.Of("embed", "-m", model, "--class", "metal nut", "brick", "-o", small, "--drop-text");
        Assert.That((embed.Code, embed.Error), Is.EqualTo((0, "")));
        Assert.That(embed.Output, Does.Contain("metal nut, brick").And.Contain(small));
        Assert.That(new FileInfo(small).Length, Is.LessThan(new FileInfo(model).Length / 2));
        JsonElement root = JsonDocument.Parse(ToolRun.Of("inspect", small, "--json").Output).RootElement;
        Assert.That(root.GetProperty("stored_classes").EnumerateArray().Select(c => c.GetString()),
            Is.EquivalentTo(new[] { "brick", "metal nut" }));
        Assert.That(root.GetProperty("any_class").GetBoolean(), Is.False);
        foreach (string name in new[] { "metal nut", "brick" })
            Assert.That(Score(small, name), Is.EqualTo(Score(model, name)));
        Assert.That(Score(model, "brick"), Is.Not.EqualTo(Score(model, "metal nut")));

        double Score(string from, string name) =>
            JsonDocument.Parse(ToolRun.Of("detect", "-m", from, "--class", name, "--format", "json", picture).Output)
                .RootElement.GetProperty("score").GetDouble();
    }

    [Test]
    public void An_embedded_model_can_keep_its_text_tower()
    {
        string kept = In("kept.safetensors");
        Assert.That(ToolRun.Of("embed", "-m", Seeded(), "--class", "brick", "--class", "nut", "-o", kept).Code, Is.Zero);
        Assert.That(ToolRun.Of("inspect", kept).Output, Does.Contain("any (text tower); stored: brick, nut"));
    }

    [Test]
    public void A_model_is_not_embedded_into_itself()
    {
        string model = Seeded();
        byte[] before = File.ReadAllBytes(model);
        ToolRun run = ToolRun.Of("embed", "-m", model, "--class", "brick", "-o", model);
        Assert.That(run.Code, Is.EqualTo(ExitCode.BadInput));
        Assert.That(run.Error, Does.Contain("loaded model itself"));
        Assert.That(File.ReadAllBytes(model), Is.EqualTo(before));
    }
}
