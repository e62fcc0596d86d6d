using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Cli;

public sealed class BenchTests
{
    private static readonly string[] Short = ["bench", "--case", ToolRun.Tiny, "--runs", "5", "--threads", "1"];

    [Test]
    public void It_measures()
    {
        ToolRun run = ToolRun.Of([.. Short, "--image", ToolRun.Coffee, "--class", "nut"]);
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        foreach (string line in new[] { "median", "minimum", "95th percentile", "pictures a second", "load", "first detection",
            "peak memory", "threads", "SIMD" })
        {
            Assert.That(run.Lines, Has.Some.StartsWith(line));
        }

        Assert.That(run.Lines, Has.Some.Match("^picture +300 x 420").And.Some.Match("^class +nut$"));
        Assert.That(run.Lines, Has.Some.Match($"^SIMD +.+, {Simd.Lanes} lanes of float32$"));
        Assert.That(run.Lines, Has.Some.Match("^threads +1$").And.Some.Contains(" of 5"));
        Assert.That(run.Lines, Has.None.StartsWith("operation"));
    }

    [Test]
    public void Figures_agree_with_one_another()
    {
        JsonElement root = JsonDocument.Parse(ToolRun.Of([.. Short, "--json", "--profile", "all", "--batch", "3"]).Output).RootElement;
        double median = Value("median_ms");
        Assert.That((Value("runs"), Value("threads"), Value("width")), Is.EqualTo((5.0, 1.0, 640.0)));
        Assert.That(median, Is.InRange(Value("minimum_ms"), Value("p95_ms")));
        Assert.That(Value("pictures_per_second") * median, Is.EqualTo(1000).Within(0.1).Percent);
        Assert.That(Value("class_embedding_ms"), Is.InRange(1e-3, Value("first_ms")));
        Assert.That(Value("peak_memory_bytes"), Is.GreaterThan(1e7));
        Assert.That(Value("batch"), Is.EqualTo(3));
        Assert.That(Value("batch_minimum_ms"), Is.InRange(Value("minimum_ms"), Value("batch_median_ms")));
        JsonElement[] profile = [.. root.GetProperty("profile").EnumerateArray()];
        Assert.That(profile.Count(e => e.GetProperty("operation").GetString() == "Attention"), Is.EqualTo(4), "one a block");
        Assert.That(profile.Sum(e => e.GetProperty("flops").GetInt64()), Is.GreaterThan(1_000_000));

        double Value(string name) => root.GetProperty(name).GetDouble();
    }

    [Test]
    public void It_measures_integers_where_asked_to()
    {
        Assert.That(ToolRun.Of([.. Short, "--batch", "2"]).Lines, Has.Some.StartsWith("batch of 2"));
        string[] line = [.. Short, "--profile", "--json"];
        Assert.That(Kinds([.. line, "--precision", "forced-int8"]), Does.Contain("forced-int8 int8").And.Contain("Int8Linear"));
        Assert.That(Kinds([.. line, "--precision", "int8"]), Int8Benefit.Objection is null
            ? Does.Contain("int8 int8").And.Contain("Int8Linear") : Does.Contain("int8 float32").And.Not.Contain("Int8Linear"));
        Assert.That(Kinds(line), Does.Contain("float32 float32").And.Contain("Linear").And.Not.Contain("Int8Linear"));

        static string[] Kinds(string[] line)
        {
            JsonElement root = JsonDocument.Parse(ToolRun.Of(line).Output).RootElement;
            return [$"{root.GetProperty("precision").GetString()} {root.GetProperty("precision_computed").GetString()}",
                .. root.GetProperty("profile").EnumerateArray().Select(e => e.GetProperty("operation").GetString()!)];
        }
    }

    [Test]
    public void The_profile_is_by_kind_unless_all_is_asked_for()
    {
        string[] kinds = ToolRun.Of([.. Short, "--profile"]).Lines, all = ToolRun.Of([.. Short, "--profile", "all"]).Lines;
        Assert.That(kinds, Has.Some.StartsWith("operation"));
        Assert.That(kinds.Count(l => l.StartsWith("Attention ", StringComparison.Ordinal)), Is.EqualTo(1));
        Assert.That(all.Count(l => l.StartsWith("Attention ", StringComparison.Ordinal)), Is.EqualTo(4));
    }

    [Test]
    public void A_cancelled_bench_ends()
    {
        using CancellationTokenSource soon = new(TimeSpan.FromSeconds(1));
        Assert.That(ToolRun.Of(["bench", "--case", ToolRun.Tiny, "--runs", "1000000"], soon.Token).Code,
            Is.EqualTo(ExitCode.Cancelled));
    }
}
