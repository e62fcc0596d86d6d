using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using Spectre.Console;
using TinyZsad.KernelCases;
using TinyZsad.Kernels;

namespace TinyZsad.Cli;

/// <summary>The part of the <c>bench</c> command that needs no model: times the kernels beside the peaks of the processor.</summary>
internal sealed class KernelBench
{
    private readonly Terminal terminal;
    private readonly Option<bool> json;
    private readonly Option<string?> device;
    private readonly Option<bool> kernels = Arguments.Flag("--kernels",
        "Measure the kernels instead of detections: each on the shapes of the models, on one thread, beside the processor's peak. "
            + "With another --device, check and time its operations.");

    private readonly Option<string?> filter = new("--filter")
    {
        Description = "With --kernels: only those with this in their name or shape.",
        HelpName = "NAME",
        CustomParser = result => Arguments.NotBlank(result, "--filter"),
    };

    /// <summary>Adds the options to a command, all other options of which are for detections.</summary>
    /// <param name="terminal">The terminal.</param>
    /// <param name="command">The command.</param>
    /// <param name="json">The option for JSON, which is for both.</param>
    /// <param name="device">The option for the device, which is for both.</param>
    public KernelBench(Terminal terminal, Command command, Option<bool> json, Option<string?> device)
    {
        this.device = device;
        this.terminal = terminal;
        this.json = json;
        command.Add(kernels);
        command.Add(filter);
        command.Validators.Add(Check);
    }

    /// <summary>Determines whether the user asks for the kernels.</summary>
    public bool IsAsked(ParseResult parsed) => parsed.GetValue(kernels);

    /// <summary>Times the kernels and prints the times, also those before an interruption.</summary>
    public int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        if (parsed.GetValue(device) is { } name and not DetectorOptions.DefaultDevice)
            return new DeviceBench(terminal).Run(name, parsed.GetValue(filter), parsed.GetValue(json), cancellationToken);
        KernelCase[] cases = Chosen(parsed.GetValue(filter));
        List<KernelTime> times = [];
        long start = Stopwatch.GetTimestamp();
        try
        {
            using KernelTimer timer = new();
            terminal.Track("Timing kernels", cases.Length, resultsAsTheyCome: false, step =>
            {
                foreach (KernelCase kernel in cases)
                {
                    times.Add(timer.Time(kernel, cancellationToken));
                    step();
                }
            });
        }
        finally
        {
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            if (parsed.GetValue(json)) WriteJson(times, cases.Length, elapsed);
            else if (times.Count > 0) WriteTables(times, cases.Length, elapsed);
        }

        return ExitCode.Done;
    }

    private void Check(CommandResult result)
    {
        if (!result.GetValue(kernels))
        {
            if (result.GetResult(filter) is not null) result.AddError("--filter chooses among the kernels: add --kernels.");
        }
        else if (result.Command.Options.Except([kernels, filter, json, device])
            .FirstOrDefault(o => result.GetResult(o) is { Implicit: false }) is { } given)
        {
            result.AddError(
                $"{given.Name} is for detections, and --kernels measures none: it goes with --filter, --device and --json alone.");
        }
    }

    private static KernelCase[] Chosen(string? part)
    {
        KernelCase[] all = [.. KernelCase.All.Where(c => c.Typical)];
        KernelCase[] chosen = part is null ? all : [.. all.Where(c => c.Name.Contains(part, StringComparison.OrdinalIgnoreCase))];
        return chosen.Length > 0 ? chosen : throw new UsageException(
            $"--filter {part}: no kernel has this in its name or shape; the kernels are "
            + $"{string.Join(", ", all.Select(c => c.Kernel).Distinct().Order(StringComparer.Ordinal))}.");
    }

    private void WriteTables(List<KernelTime> times, int cases, TimeSpan elapsed)
    {
        terminal.Show(Tables.OfPairs(
        [
            ("SIMD", $"{VectorWidth.InstructionSet}, {Simd.Lanes} lanes of float32"),
            .. VectorWidth.Limit is { } limit ? [("", limit)] : Array.Empty<(string, string)>(),
            ("threads", "1"),
            ("peak", $"{Billions(times.Max(t => t.PeakFlops))} GFLOP/s of multiply-adds in registers"),
            ("", $"{Billions(times.Min(t => t.PeakFlops))} to {Billions(times.Max(t => t.PeakFlops))} beside the cases"),
            ("measured", $"{times.Count} of {Units.Plural(cases, "case")} in {elapsed.TotalSeconds:0.0} s"),
        ]));
        Table table = Tables.Of("kernel", "shape", ">time", ">rate", "", ">peak", ">share");
        foreach (KernelTime t in times)
        {
            table.Add(t.Case.Kernel, t.Case.Shape, $"{1e6 * t.Seconds:0.00} us", Billions(t.Rate), Unit(t), Billions(t.Peak),
                t.Case.OfIntegers && !t.IsBoundByMemory ? $"{t.Share:0.00} x float" : $"{100 * t.Share:0.0} %");
        }
        terminal.Space();
        terminal.Show(table);
    }

    private static string Unit(KernelTime t) => t.IsBoundByMemory ? "GB/s" : t.Case.OfIntegers ? "Gop/s" : "GFLOP/s";

    private static string Billions(double perSecond) => $"{perSecond / 1e9:0.0}";

    private void WriteJson(List<KernelTime> times, int cases, TimeSpan elapsed) => Json.WriteObject(terminal.Output, indented: true, json =>
    {
        json.WriteNumber("simd_lanes", Simd.Lanes);
        json.WriteString("instruction_set", VectorWidth.InstructionSet);
        json.WriteString("instruction_set_limit", VectorWidth.Limit);
        json.WriteNumber("threads", 1);
        json.Number("peak_gflops", times.Select(t => t.PeakFlops).DefaultIfEmpty(double.NaN).Max() / 1e9);
        json.Number("lowest_peak_gflops", times.Select(t => t.PeakFlops).DefaultIfEmpty(double.NaN).Min() / 1e9);
        json.WriteNumber("cases", cases);
        json.Milliseconds("total_ms", elapsed);
        json.Array("kernels", times, t =>
        {
            json.WriteStartObject();
            json.WriteString("kernel", t.Case.Kernel);
            json.WriteString("shape", t.Case.Shape);
            json.WriteNumber("minimum_ms", Math.Round(1e3 * t.Seconds, 6));
            json.WriteString("unit", Unit(t));
            json.Number("rate", t.Rate / 1e9);
            json.Number("peak", t.Peak / 1e9);
            json.Number("share", t.Share);
            json.WriteEndObject();
        });
    });
}
