using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using Spectre.Console;
using TinyZsad.Cuda;
using TinyZsad.Kernels;

namespace TinyZsad.Cli;

/// <summary>The <c>devices</c> command: lists what can compute on this machine, and prints the kernels of the GPU.</summary>
internal static class DevicesCommand
{
    public static Documented Create(Terminal terminal)
    {
        Option<string?> ptx = new("--ptx")
        {
            Description = "Print a file of GPU kernels as the driver compiles it, after the preprocessor, instead.",
            HelpName = "NAME",
            CustomParser = result => Arguments.NotBlank(result, "--ptx"),
        };
        Option<bool> json = Arguments.Flag("--json", "Print JSON.");
        Command command = new("devices", "Lists the devices of this machine: the CPU and GPUs, or why there is no GPU.") { ptx, json };
        command.Validators.Add(result =>
        {
            if (result.GetResult(ptx) is not null && result.GetResult(json) is { Implicit: false })
                result.AddError("--ptx and --json exclude each other.");
        });
        command.SetAction(terminal, (parsed, _) =>
        {
            if (parsed.GetValue(ptx) is { } name) WritePtx(terminal, name);
            else if (parsed.GetValue(json)) WriteJson(terminal, CudaDevices.Survey());
            else WriteTable(terminal, CudaDevices.Survey());
            return ExitCode.Done;
        });
        return new Documented(command, ["devices", "devices --json", "devices --ptx matmul > matmul.ptx"]);
    }

    /// <summary>Prints the devices as a table.</summary>
    public static void WriteTable(Terminal terminal, GpuSurvey survey)
    {
        Table table = Tables.Of("device", "what it is", "notes");
        int threads = new DetectorOptions().ThreadCount;
        table.Add("cpu", $"{Units.Plural(threads, "thread")}, {VectorWidth.InstructionSet}, {Simd.Lanes} lanes of float32",
            VectorWidth.Limit ?? "");
        table.Add("reference", "the plain definitions in double precision, one thread", "slow, for checks");
        foreach ((int index, GpuProperties gpu, string? problem) in survey.Gpus)
        {
            table.Add($"cuda:{index}", $"{gpu.Name}, sm_{gpu.Major}{gpu.Minor}, {Units.Bytes(gpu.MemoryBytes)}, "
                + $"{Units.Plural(gpu.Multiprocessors, "multiprocessor")}, driver of CUDA {LibCuda.WordOf(gpu.DriverVersion)}",
                problem is null ? "" : $"cannot be used: {problem}");
        }
        if (survey.Gpus.Count == 0 && survey.Reason is { } reason) table.Add("cuda", "none", reason);
        terminal.Show(table);
    }

    /// <summary>Prints the devices as JSON.</summary>
    public static void WriteJson(Terminal terminal, GpuSurvey survey) => Json.WriteObject(terminal.Output, indented: true, json =>
    {
        json.WriteStartObject("cpu");
        json.WriteNumber("threads", new DetectorOptions().ThreadCount);
        json.WriteString("instruction_set", VectorWidth.InstructionSet);
        json.WriteString("instruction_set_limit", VectorWidth.Limit);
        json.WriteNumber("vector_bits", VectorWidth.Bits);
        json.WriteEndObject();
        json.WriteStartObject("reference");
        json.WriteNumber("threads", 1);
        json.WriteEndObject();
        json.WriteStartObject("cuda");
        json.WriteBoolean("available", survey.IsAvailable);
        json.WriteString("reason", survey.Reason);
        json.Array("gpus", survey.Gpus, gpu => WriteGpu(json, gpu));
        json.Array("ptx", KernelSource.Modules, json.WriteStringValue);
        json.WriteEndObject();
    });

    private static void WriteGpu(Utf8JsonWriter json, GpuInfo info)
    {
        GpuProperties gpu = info.Properties;
        json.WriteStartObject();
        json.WriteString("device", $"cuda:{info.Index}");
        json.WriteString("name", gpu.Name);
        json.WriteString("compute_capability", $"{gpu.Major}.{gpu.Minor}");
        json.WriteNumber("multiprocessors", gpu.Multiprocessors);
        json.WriteNumber("memory_bytes", gpu.MemoryBytes);
        json.WriteNumber("shared_bytes_per_block", gpu.SharedBytesPerBlock);
        json.WriteNumber("shared_bytes_per_multiprocessor", gpu.SharedBytesPerMultiprocessor);
        json.WriteString("driver_cuda", LibCuda.WordOf(gpu.DriverVersion));
        json.WriteString("problem", info.Problem);
        json.WriteEndObject();
    }

    private static void WritePtx(Terminal terminal, string name)
    {
        if (!KernelSource.Modules.Contains(name, StringComparer.Ordinal))
        {
            throw new UsageException(
                $"--ptx {name}: there is no such file of kernels; the files are {string.Join(", ", KernelSource.Modules)}.");
        }
        terminal.Output.Write(KernelSource.Ptx(name));
        terminal.Output.Flush();
    }
}
