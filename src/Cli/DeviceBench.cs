using System.Diagnostics;
using Spectre.Console;
using TinyZsad.Cuda;
using TinyZsad.Graph;
using TinyZsad.Ptx;
using TinyZsad.Verification;

namespace TinyZsad.Cli;

/// <summary>
/// The part of <c>bench --kernels</c> for another device than the CPU: computes each operation on the device and on the CPU, compares the
/// results, and times the operation beside its predicted time.
/// </summary>
internal sealed class DeviceBench(Terminal terminal)
{
    /// <summary>The number of times that an operation of a network is repeated for its time.</summary>
    private const int Repeats = 50;

    /// <summary>Checks and times the operations.</summary>
    /// <param name="name">The device.</param>
    /// <param name="filter">What names must contain; null for all.</param>
    /// <param name="json">Whether to print JSON.</param>
    /// <param name="cancellationToken">Ends the measurement.</param>
    public int Run(string name, string? filter, bool json, CancellationToken cancellationToken)
    {
        DeviceCase[] cases =
            [.. DeviceCase.All.Where(c => filter is null || c.Name.Contains(filter, StringComparison.OrdinalIgnoreCase))];
        if (cases.Length == 0) throw new UsageException($"--filter {filter}: no operation has this in its name or shape.");
        using Device device = Devices.Open(new DetectorOptions { Device = name });
        using Device definition = Devices.Open(new DetectorOptions());
        GpuProperties? gpu = (device as CudaDevice)?.Driver.Properties;
        // An emulated GPU takes seconds for what a GPU does in microseconds, and its times say nothing.
        bool isTimed = device is not CudaDevice { Driver: EmulatedDriver };
        if (!isTimed) cases = [.. cases.Where(c => !c.Typical)];
        if (cases.Length == 0)
            throw new UsageException($"--filter {filter}: {name} computes small operations only, and none has this in its name or shape.");
        List<DeviceCaseResult> results = [];
        long start = Stopwatch.GetTimestamp();
        try
        {
            terminal.Track("Checking operations", cases.Length, resultsAsTheyCome: false, step =>
            {
                foreach (DeviceCase one in cases)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    results.Add(one.Run(device, definition, isTimed && one.Typical ? Repeats : 0));
                    step();
                }
            });
        }
        finally
        {
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            if (json) WriteJson(device, gpu, results, elapsed);
            else if (results.Count > 0) WriteTable(device, gpu, results, elapsed);
        }

        return results.All(r => r.Passed) ? ExitCode.Done : ExitCode.CheckFailed;
    }

    private void WriteTable(Device device, GpuProperties? gpu, List<DeviceCaseResult> results, TimeSpan elapsed)
    {
        Table table = Tables.Of("operation", ">time", ">predicted", ">TFLOP/s", ">GB/s", ">error", ">limit", "");
        foreach (DeviceCaseResult r in results)
        {
            double seconds = r.Time?.TotalSeconds ?? double.NaN;
            table.AddRow([.. new[]
            {
                r.Name, Microseconds(r.Time), Microseconds(r.Time is null ? null : gpu?.Predict(r.Flops, r.Bytes)),
                r.Time is null || r.Flops == 0 ? "-" : $"{r.Flops / seconds / 1e12:0.00}",
                r.Time is null ? "-" : $"{r.Bytes / seconds / 1e9:0}", Units.Error(r.Error), Units.Error(r.Tolerance),
            }.Select(c => Tables.Cell(c)),
                r.Passed ? Tables.Cell("pass", new Style(Color.Green)) : Tables.Cell("FAIL", new Style(Color.Red))]);
        }

        terminal.Show(table);
        int failures = results.Count(r => !r.Passed);
        terminal.Show($"{device.Name}{(gpu is null ? "" : $", {gpu.Name}")}: {Units.Plural(results.Count, "operation")} in "
            + $"{elapsed.TotalSeconds:0.0} s, {(failures == 0 ? "all passed" : $"{failures} failed")}.");
    }

    private void WriteJson(Device device, GpuProperties? gpu, List<DeviceCaseResult> results, TimeSpan elapsed) =>
        Json.WriteObject(terminal.Output, indented: true, json =>
        {
            json.WriteString("device", device.Name);
            json.WriteString("gpu", gpu?.Name);
            json.WriteBoolean("passed", results.All(r => r.Passed));
            json.Milliseconds("total_ms", elapsed);
            json.Array("cases", results, r =>
            {
                json.WriteStartObject();
                json.WriteString("name", r.Name);
                json.WriteBoolean("passed", r.Passed);
                json.Number("error", r.Error);
                json.Number("tolerance", r.Tolerance);
                if (r.Time is { } time)
                {
                    json.Number("microseconds", time.TotalMicroseconds);
                    json.Number("predicted_microseconds", gpu?.Predict(r.Flops, r.Bytes)?.TotalMicroseconds ?? double.NaN);
                }

                json.WriteEndObject();
            });
        });

    private static string Microseconds(TimeSpan? time) => time is { } t ? $"{t.TotalMicroseconds:0.0} us" : "-";
}
