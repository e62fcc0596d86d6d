using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using TinyZsad.Peer;

// One ONNX Runtime process for compare.py: loads a graph, runs it on a picture, prints one line of JSON.
//
//     TinyZsad.Peer GRAPH.onnx PICTURE.bytes --threads 2 --warmup 3 --runs 20 [--batch 8] [--callers 2] [--sessions 2] [--inter 1]
//         [--outputs FILE]
//
// A run computes --batch pictures, by --callers threads that each have a session of their own or share one. With --runs 0 the
// program does what one does that needs a single result. --outputs writes the graph's outputs, one after the other, as floats.
try
{
    Settings settings = Settings.Read(args);
    long start = Stopwatch.GetTimestamp();
    using Peer peer = new(settings);
    TimeSpan load = Stopwatch.GetElapsedTime(start);

    start = Stopwatch.GetTimestamp();
    peer.First();
    TimeSpan first = Stopwatch.GetElapsedTime(start);

    TimeSpan[] times = new TimeSpan[settings.Runs];
    if (settings.Runs > 0)
    {
        peer.Bind();
        for (int i = 1; i < settings.Warmup; i++) peer.Batch();
        for (int i = 0; i < times.Length; i++)
        {
            start = Stopwatch.GetTimestamp();
            peer.Batch();
            times[i] = Stopwatch.GetElapsedTime(start);
        }

        Array.Sort(times);
        if (settings.Outputs is { } path) peer.WriteOutputs(path);
    }

    using Stream output = Console.OpenStandardOutput();
    using Utf8JsonWriter json = new(output);
    json.WriteStartObject();
    json.WriteString("version", OrtEnv.Instance().GetVersionString());
    json.WriteNumber("load_ms", load.TotalMilliseconds);
    json.WriteNumber("first_ms", first.TotalMilliseconds);
    if (times.Length > 0)
    {
        json.WriteNumber("minimum_ms", times[0].TotalMilliseconds);
        json.WriteNumber("median_ms", (times[(times.Length - 1) / 2] + times[times.Length / 2]).TotalMilliseconds / 2);
    }

    json.WriteEndObject();
    return 0;
}
catch (Exception e) when (e is ArgumentException or IOException or OnnxRuntimeException or DllNotFoundException
    or TypeInitializationException)
{
    Console.Error.WriteLine($"error: {(e as TypeInitializationException)?.InnerException?.Message ?? e.Message}");
    return 1;
}
