using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Kernels;

namespace TinyZsad.Cli;

/// <summary>The <c>bench</c> command: measures the speed of detection, or of the kernels, on this machine.</summary>
internal sealed class BenchCommand
{
    private readonly Terminal terminal;
    private readonly ModelSource source;
    private readonly PictureOptions reading;
    private readonly KernelBench kernels;
    private readonly Option<string?> image = new("--image")
    {
        Description = "The picture (default: a generated picture of 640 x 480 pixels).",
        HelpName = "PICTURE",
    };

    private readonly Option<string?> className = Arguments.ClassName("The class (default: one that the model knows).");
    private readonly Option<int> runs = Arguments.Whole("--runs", "Detections to measure.", 20, 1, 1_000_000);
    private readonly Option<int> warmup = Arguments.Whole("--warmup", "Detections to run before measuring, including the first.",
        3, 1, 1_000_000);
    private readonly Option<int> batch = Arguments.Whole("--batch",
        "Also measure batches of this many pictures, each picture on one thread; 0 measures none.", 0, 0, 10_000);
    private readonly Option<string?> cache = Arguments.Cache("off, so that embedding is measured");
    private readonly Option<int> threads = Arguments.Threads();
    private readonly Option<Precision> precision = Arguments.Precision();
    private readonly Option<string?> device = Arguments.Device();
    private readonly Option<bool> json = Arguments.Flag("--json", "Print JSON.");

    private readonly Option<string?> profile = new("--profile")
    {
        Description = "Also show where the time goes: per kind of operation, or with 'all' per operation.",
        HelpName = "all",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private BenchCommand(Terminal terminal, Command command)
    {
        this.terminal = terminal;
        kernels = new KernelBench(terminal, command, json, device);
        source = new ModelSource(command);
        profile.AcceptOnlyFromAmong("all");
        foreach (Option option in new Option[] { image, className, cache, runs, warmup, batch, threads, precision, device,
            json, profile })
        {
            command.Add(option);
        }
        reading = new PictureOptions(command, image);

        command.SetAction(terminal, (parsed, cancellationToken) =>
            kernels.IsAsked(parsed) ? kernels.Run(parsed, cancellationToken) : Run(parsed, cancellationToken));
    }

    public static Documented Create(Terminal terminal)
    {
        Command command = new("bench", "Measures how fast detection, or each kernel, is on this machine.");
        _ = new BenchCommand(terminal, command);
        return new Documented(command,
        [
            "bench -m lizad.safetensors",
            "bench -m lizad.safetensors --image nut.png --class \"metal nut\" --runs 100 --threads 4",
            "bench -m lizad.safetensors --batch 8",
            "bench --case tests/reference/lizad/vision-full --profile",
            "bench --case tests/reference/lizad/vision-full --precision int8 --json",
            "bench --kernels --filter Attention",
        ]);
    }

    private int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        Image picture = parsed.GetValue(image) is { } path ? Image.Load(path, reading.Of(parsed), cancellationToken) : Generated(640, 480);
        long start = Stopwatch.GetTimestamp();
        using AnomalyDetector detector = source.Load(parsed, terminal,
            new DetectorOptions
            {
                Threads = parsed.GetValue(threads), Precision = parsed.GetValue(precision), CacheFolder = parsed.GetValue(cache) ?? "",
                Device = parsed.GetValue(device) ?? DetectorOptions.DefaultDevice,
            });
        TimeSpan load = Stopwatch.GetElapsedTime(start);
        string? asked = source.CheckClass(parsed, detector.Model, parsed.GetValue(className) ?? Known(detector.Model));

        TimeSpan embedding = TimeSpan.Zero;
        if (asked is not null)
        {
            terminal.TrackShare("Embedding the class", report =>
            {
                start = Stopwatch.GetTimestamp();
                detector.Embed(asked, report, cancellationToken);
                embedding = Stopwatch.GetElapsedTime(start);
            });
        }
        start = Stopwatch.GetTimestamp();
        detector.Detect(picture, asked, cancellationToken);
        TimeSpan first = embedding + Stopwatch.GetElapsedTime(start);
        for (int i = 1; i < parsed.GetValue(warmup); i++) detector.Detect(picture, asked, cancellationToken);

        Image[] pictures = [.. Enumerable.Repeat(picture, parsed.GetValue(batch))];
        if (pictures.Length > 0) detector.DetectBatch(pictures, asked, cancellationToken);
        TimeSpan[] times = new TimeSpan[parsed.GetValue(runs)];
        TimeSpan[] batches = pictures.Length > 0 ? new TimeSpan[times.Length] : [];
        terminal.Track("Detecting", times.Length, resultsAsTheyCome: false, step =>
        {
            for (int i = 0; i < times.Length; i++)
            {
                start = Stopwatch.GetTimestamp();
                detector.Detect(picture, asked, cancellationToken);
                times[i] = Stopwatch.GetElapsedTime(start);
                if (batches.Length > 0)
                {
                    start = Stopwatch.GetTimestamp();
                    detector.DetectBatch(pictures, asked, cancellationToken);
                    batches[i] = Stopwatch.GetElapsedTime(start);
                }

                step();
            }
        });
        Array.Sort(times);
        Array.Sort(batches);

        IReadOnlyList<ProfileEntry>? entries = parsed.GetResult(profile) is null ? null
            : Profile(detector, asked, parsed.GetValue(profile) == "all", cancellationToken);
        Measurements measured = new(source.NameOf(parsed), detector.Device, detector.Model, picture, asked, detector.Threads,
            parsed.GetValue(precision), detector.Precision, load, first,
            embedding, times, pictures.Length, batches, PeakMemory(), entries);
        if (parsed.GetValue(json)) WriteJson(measured);
        else WriteTables(measured);
        return ExitCode.Done;
    }

    private sealed record Measurements(string Source, string Device, ModelInfo Model, Image Picture, string? ClassName, int Threads,
        Precision Asked, Precision Precision,
        TimeSpan Load, TimeSpan First, TimeSpan Embedding, TimeSpan[] Sorted, int BatchSize, TimeSpan[] SortedBatches, long PeakMemory,
        IReadOnlyList<ProfileEntry>? Profile)
    {
        public TimeSpan Median => MedianOf(Sorted);

        public TimeSpan BatchMedian => MedianOf(SortedBatches);

        public TimeSpan Minimum => Sorted[0];

        /// <summary>Gets the 95th percentile (nearest rank).</summary>
        public TimeSpan P95 => Sorted[(int)Math.Ceiling(0.95 * Sorted.Length) - 1];

        public double PicturesPerSecond => 1 / Median.TotalSeconds;

        private static TimeSpan MedianOf(TimeSpan[] sorted) =>
            (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>
    /// Gets a class that the model stores. The choice does not matter, because a class costs nothing once it is embedded.
    /// </summary>
    private static string? Known(ModelInfo model) => model.StoredClasses.Count > 0 ? model.StoredClasses[0] : null;

    /// <summary>Profiles the detector. Returns one entry per operation, or one per kind of operation, slowest first.</summary>
    private IReadOnlyList<ProfileEntry> Profile(
        AnomalyDetector detector, string? className, bool every, CancellationToken cancellationToken)
    {
        IReadOnlyList<ProfileEntry> entries = terminal.Wait(
            "Profiling", () => detector.Profile(className: className, cancellationToken: cancellationToken));
        return every ? entries : [.. entries.GroupBy(e => e.Kind)
            .Select(g => new ProfileEntry($"{g.Count()}", g.Key, TimeSpan.FromTicks(g.Sum(e => e.Time.Ticks)),
                g.Sum(e => e.Flops), g.Sum(e => e.Bytes)))
            .OrderByDescending(e => e.Time)];
    }

    private void WriteTables(Measurements m)
    {
        terminal.Show(Tables.OfPairs(
        [
            ("model", $"{m.Model.SystemName}, {m.Source}"),
            ("picture", $"{m.Picture.Width} x {m.Picture.Height}, brought to {m.Model.ImageSize} x {m.Model.ImageSize}"),
            .. m.ClassName is null ? Array.Empty<(string, string)>() : [("class", m.ClassName)],
            ("device", m.Device), ("threads", $"{m.Threads}"), ("precision", PrecisionOf(m)),
            ("SIMD", $"{VectorWidth.InstructionSet}, {Simd.Lanes} lanes of float32"),
            .. VectorWidth.Limit is { } limit ? [("", limit)] : Array.Empty<(string, string)>(),
            ("load", Units.Milliseconds(m.Load)),
            ("first detection", Units.Milliseconds(m.First)
                + (m.Embedding > TimeSpan.Zero ? $", {Units.Milliseconds(m.Embedding)} of it for the class" : "")),
            ("median", $"{Units.Milliseconds(m.Median)} of {m.Sorted.Length}"),
            ("minimum", Units.Milliseconds(m.Minimum)), ("95th percentile", Units.Milliseconds(m.P95)),
            ("pictures a second", $"{m.PicturesPerSecond:0.00}"),
            .. BatchOf(m), ("peak memory", Units.Bytes(m.PeakMemory)),
        ]));
        if (m.Profile is null) return;

        double total = m.Profile.Sum(e => e.Time.TotalSeconds);
        Table table = Tables.Of("operation", "in", ">time", ">share", ">GFLOP/s", ">bytes", ">GB/s");
        foreach (ProfileEntry e in m.Profile)
        {
            double seconds = e.Time.TotalSeconds;
            table.Add(e.Kind, e.Label, Units.Milliseconds(e.Time), $"{100 * seconds / total:0.0} %", Rate(e.Flops / seconds),
                Units.Bytes(e.Bytes), Rate(e.Bytes / seconds));
        }
        terminal.Space();
        terminal.Show(table);
    }

    private static (string, string)[] BatchOf(Measurements m) => m.BatchSize == 0 ? [] :
    [
        ($"batch of {m.BatchSize}", $"median {Units.Milliseconds(m.BatchMedian)}, minimum "
            + $"{Units.Milliseconds(m.SortedBatches[0])}; {m.BatchSize / m.BatchMedian.TotalSeconds:0.00} pictures a second"),
    ];

    private static string PrecisionOf(Measurements m) => m.Asked == Precision.Int8 && m.Precision == Precision.Float32
        ? $"{Arguments.WordOf(m.Precision)}, as {Arguments.WordOf(m.Asked)} is not faster on this processor" : Arguments.WordOf(m.Asked);

    private static string Rate(double perSecond) => double.IsFinite(perSecond) && perSecond > 0 ? $"{perSecond / 1e9:0.0}" : "-";

    private void WriteJson(Measurements m) => Json.WriteObject(terminal.Output, indented: true, json =>
    {
        json.WriteString("model", m.Source);
        json.WriteString("system", m.Model.SystemName);
        json.WriteNumber("width", m.Picture.Width);
        json.WriteNumber("height", m.Picture.Height);
        json.WriteString("class", m.ClassName);
        json.WriteString("device", m.Device);
        json.WriteNumber("threads", m.Threads);
        json.WriteString("precision", Arguments.WordOf(m.Asked));
        json.WriteString("precision_computed", Arguments.WordOf(m.Precision));
        json.WriteNumber("simd_lanes", Simd.Lanes);
        json.WriteString("instruction_set", VectorWidth.InstructionSet);
        json.WriteString("instruction_set_limit", VectorWidth.Limit);
        json.Milliseconds("load_ms", m.Load);
        json.Milliseconds("first_ms", m.First);
        json.Milliseconds("class_embedding_ms", m.Embedding);
        json.WriteNumber("runs", m.Sorted.Length);
        json.Milliseconds("median_ms", m.Median);
        json.Milliseconds("minimum_ms", m.Minimum);
        json.Milliseconds("p95_ms", m.P95);
        json.Number("pictures_per_second", m.PicturesPerSecond);
        if (m.BatchSize > 0)
        {
            json.WriteNumber("batch", m.BatchSize);
            json.Milliseconds("batch_median_ms", m.BatchMedian);
            json.Milliseconds("batch_minimum_ms", m.SortedBatches[0]);
        }

        json.WriteNumber("peak_memory_bytes", m.PeakMemory);
        if (m.Profile is not null)
        {
            json.Array("profile", m.Profile, e =>
            {
                json.WriteStartObject();
                json.WriteString("operation", e.Kind);
                json.WriteString("in", e.Label);
                json.Milliseconds("ms", e.Time);
                json.WriteNumber("flops", e.Flops);
                json.WriteNumber("bytes", e.Bytes);
                json.WriteEndObject();
            });
        }
    });

    /// <summary>Gets the peak resident memory of the process, including mapped weights.</summary>
    private static long PeakMemory()
    {
        const string Key = "VmHWM:";
        if (OperatingSystem.IsLinux())
        {
            string? line = File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith(Key, StringComparison.Ordinal));
            ReadOnlySpan<char> digits = line.AsSpan(line is null ? 0 : Key.Length).Trim().TrimEnd(" kB");
            if (long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long kibibytes))
                return kibibytes * 1024;
        }
        using Process process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    /// <summary>Generates a gradient with some noise. The content of a picture does not affect the time.</summary>
    private static Image Generated(int width, int height)
    {
        byte[] pixels = new byte[3 * width * height];
        for (int i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(96 + 64 * (i / 3 % width) / width + 64 * (i / 3 / width) / height
                + (byte)((uint)i * 2654435761u >> 27));
        }

        return Image.Create(width, height, pixels);
    }
}
