using System.Globalization;
using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.KernelCases;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Cli;

public sealed class KernelBenchTests
{
    [Test]
    public void It_times_kernels_without_a_model_in_any_culture()
    {
        CultureInfo before = CultureInfo.CurrentCulture, comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        comma.NumberFormat.NumberDecimalSeparator = ",";
        CultureInfo.CurrentCulture = comma;
        try
        {
            ToolRun run = ToolRun.Of("bench", "--kernels", "--filter", "layernorm [1029");
            Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
            Assert.That(run.Lines, Has.Some.Match($"^SIMD +{VectorWidth.InstructionSet}, {Simd.Lanes} lanes of float32$"));
            Assert.That(run.Lines, Has.Some.Match(@"^peak +\d+\.\d GFLOP/s").And.Some.Match(@"^\d+\.\d to \d+\.\d beside the cases$"));
            Assert.That(run.Lines, Has.Some.Match(@"^measured +1 of 1 case in \d+\.\d s$"));
            Assert.That(run.Lines[^1], Does.Match(@"^LayerNorm +1029 x 384, 0\.3 \+- 1 +\d+\.\d\d us +\d+\.\d +GB/s +\d+\.\d +\d+\.\d %$"));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Test]
    public void Figures_agree_with_the_cases_and_with_one_another()
    {
        ToolRun run = ToolRun.Of("bench", "--kernels", "--filter", "Tile", "--json");
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        JsonElement root = JsonDocument.Parse(run.Output).RootElement;
        Assert.That(root.GetProperty("simd_lanes").GetInt32(), Is.EqualTo(Simd.Lanes));
        JsonElement[] kernels = [.. root.GetProperty("kernels").EnumerateArray()];
        Assert.That(kernels.Select(k => $"{k.GetProperty("kernel")}, {k.GetProperty("unit")}"),
            Is.EqualTo(new[] { "Tile, GFLOP/s", "Int8Tile, Gop/s" }));
        foreach (JsonElement kernel in kernels)
        {
            KernelCase expected = KernelCase.All.Single(c => c.Name == $"{kernel.GetProperty("kernel")} [{kernel.GetProperty("shape")}]");
            double Value(string name) => kernel.GetProperty(name).GetDouble();
            Assert.That(Value("rate") * Value("minimum_ms") * 1e6, Is.EqualTo(expected.Flops).Within(1).Percent);
            Assert.That(Value("share"), Is.EqualTo(Value("rate") / Value("peak")).Within(0.01).Percent);
            Assert.That(Value("peak"), Is.InRange(root.GetProperty("lowest_peak_gflops").GetDouble(),
                root.GetProperty("peak_gflops").GetDouble()));
        }

        Assert.That(kernels[0].GetProperty("share").GetDouble(), Is.InRange(0.1, 1.05), "no kernel adds and multiplies faster");
    }

    /// <summary>What was measured before an interruption is printed.</summary>
    [Test]
    public void An_interruption_keeps_what_was_measured()
    {
        using CancellationTokenSource soon = new(TimeSpan.FromSeconds(2));
        ToolRun run = ToolRun.Of(["bench", "--kernels", "--json"], soon.Token);
        Assert.That(run.Code, Is.EqualTo(ExitCode.Cancelled));
        JsonElement root = JsonDocument.Parse(run.Output).RootElement;
        Assert.That(root.GetProperty("kernels").GetArrayLength(), Is.InRange(1, root.GetProperty("cases").GetInt32() - 1));
    }
}
