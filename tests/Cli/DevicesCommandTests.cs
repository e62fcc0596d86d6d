using System.Text.Json;
using NUnit.Framework;
using TinyZsad.Cli;
using TinyZsad.Cuda;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Cli;

[TestFixture]
internal sealed class DevicesCommandTests
{
    private static readonly GpuSurvey Two = new(
    [
        new GpuInfo(0, new GpuProperties("NVIDIA A100", 8, 0, 108, 40L << 30, 166912, 167936, 12040), null),
        new GpuInfo(1, new GpuProperties("Tesla T4", 7, 5, 40, 15L << 30, 65536, 65536, 12040), "Too old."),
    ], null);

    [Test]
    public void ItListsWhatThisMachineHas()
    {
        ToolRun run = ToolRun.Of("devices");
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        int threads = new DetectorOptions().ThreadCount;
        Assert.That(run.Lines[1], Does.Match($"^cpu +{threads} threads?, {VectorWidth.InstructionSet}, {Simd.Lanes} lanes of float32"));
        Assert.That(run.Lines[2], Does.StartWith("reference "));
        GpuSurvey survey = CudaDevices.Survey();
        if (survey.Gpus.Count == 0) Assert.That(run.Lines[3..], Is.EqualTo(new[] { $"cuda       none  {survey.Reason}" }).IgnoreWhiteSpace);
        else Assert.That(run.Lines[3..].Select(l => l.Split(' ')[0]), Is.EqualTo(survey.Gpus.Select(g => $"cuda:{g.Index}")));
    }

    [Test]
    public void JsonSaysTheSame()
    {
        ToolRun run = ToolRun.Of("devices", "--json");
        Assert.That((run.Code, run.Error), Is.EqualTo((0, "")));
        using JsonDocument json = JsonDocument.Parse(run.Output);
        JsonElement cpu = json.RootElement.GetProperty("cpu"), cuda = json.RootElement.GetProperty("cuda");
        GpuSurvey survey = CudaDevices.Survey();
        Assert.Multiple(() =>
        {
            Assert.That(cpu.GetProperty("threads").GetInt32(), Is.EqualTo(new DetectorOptions().ThreadCount));
            Assert.That(cpu.GetProperty("vector_bits").GetInt32(), Is.EqualTo(VectorWidth.Bits));
            Assert.That(cuda.GetProperty("available").GetBoolean(), Is.EqualTo(survey.IsAvailable));
            Assert.That(cuda.GetProperty("reason").GetString(), Is.EqualTo(survey.Reason));
            Assert.That(cuda.GetProperty("gpus").GetArrayLength(), Is.EqualTo(survey.Gpus.Count));
            Assert.That(cuda.GetProperty("ptx").EnumerateArray().Select(f => f.GetString()), Is.EqualTo(KernelSource.Modules));
        });
    }

    [Test]
    public void ItListsEveryGpuAndWhyOneCannotBeUsed()
    {
        using StringWriter output = new(), error = new();
        DevicesCommand.WriteTable(new Terminal(output, error), Two);
        Assert.That(output.ToString(), Does
            .Match("(?m)^cuda:0 +NVIDIA A100, sm_80, 40.00 GiB, 108 multiprocessors, driver of CUDA 12.4\r?$")
            .And.Match("(?m)^cuda:1 +Tesla T4, sm_75, 15.00 GiB, 40 multiprocessors, driver of CUDA 12.4 +cannot be used: Too old.\r?$")
            .And.Not.Contain("none"));
    }

    [Test]
    public void EveryGpuIsInJson()
    {
        using StringWriter output = new(), error = new();
        DevicesCommand.WriteJson(new Terminal(output, error), Two);
        using JsonDocument json = JsonDocument.Parse(output.ToString());
        JsonElement[] gpus = [.. json.RootElement.GetProperty("cuda").GetProperty("gpus").EnumerateArray()];
        Assert.That(gpus.Select(g => $"{g.GetProperty("device")} {g.GetProperty("name")} {g.GetProperty("compute_capability")} "
            + $"{g.GetProperty("multiprocessors")} {g.GetProperty("memory_bytes")} {g.GetProperty("shared_bytes_per_block")} "
            + $"{g.GetProperty("shared_bytes_per_multiprocessor")} {g.GetProperty("driver_cuda")} {g.GetProperty("problem")}"),
            Is.EqualTo(new[]
            {
                "cuda:0 NVIDIA A100 8.0 108 42949672960 166912 167936 12.4 ",
                "cuda:1 Tesla T4 7.5 40 16106127360 65536 65536 12.4 Too old.",
            }));
    }

    [Test]
    public void KernelsArePrintedAsTheDriverGetsThem()
    {
        foreach (string module in KernelSource.Modules)
        {
            ToolRun run = ToolRun.Of("devices", "--ptx", module);
            Assert.That((run.Code, run.Error, run.Output), Is.EqualTo((0, "", KernelSource.Ptx(module))));
        }
    }

    [Test]
    public void AnUnknownFileOfKernelsIsRefusedWithTheList([Values("nowhere", "../README", "NOWHERE")] string name)
    {
        ToolRun run = ToolRun.Of("devices", "--ptx", name);
        Assert.That((run.Code, run.Output), Is.EqualTo((ExitCode.BadInput, "")));
        Assert.That(run.Error.TrimEnd(), Is.EqualTo(
            $"error: --ptx {name}: there is no such file of kernels; the files are {string.Join(", ", KernelSource.Modules)}."));
    }

    [Test]
    public void ExamplesParse()
    {
        string[] examples = [.. ToolRun.Of("devices", "--help").Lines.SkipWhile(l => l != "Examples:").Skip(1)];
        Assert.That(examples, Has.Length.EqualTo(3));
        foreach (string example in examples)
        {
            string[] words = [.. example.Split(' ').Skip(1).TakeWhile(w => w != ">")];
            Assert.That(ToolRun.Of(words).Error, Does.Not.Contain("--help"), example);
            // The file of an example exists.
            if (words.Length > 2) Assert.That(KernelSource.Modules, Does.Contain(words[2]));
        }
    }
}
