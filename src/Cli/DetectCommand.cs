using System.Buffers;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Models;

namespace TinyZsad.Cli;

/// <summary>The <c>detect</c> command: computes how anomalous pictures are, and where.</summary>
internal sealed class DetectCommand
{
    private readonly Terminal terminal;
    private readonly ModelSource source;

    private readonly Argument<string[]> pictures = new("PICTURE|DIR|GLOB")
    {
        Description = "Pictures, folders to search for pictures, or patterns "
            + "(* and ? match within a name, ** matches any folders).",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string?> className = Arguments.ClassName(
        $"What the pictures show, such as \"metal nut\", if the model takes a class (default: {AnomalyDetector.DefaultClassName}).");

    private readonly Option<string?> folder = new("--out", "-o")
    {
        Description = "The folder to save files in; created if it does not exist. Without --save, overlays are saved.",
        HelpName = "DIR",
    };

    private readonly Option<Artefact[]> save = Arguments.Choices("--save",
        "What to save for each picture: the map laid over the picture, the map in colors, a mask of the map at the threshold, "
            + "the map as float32 .npy.",
        ("overlay", Artefact.Overlay), ("map", Artefact.Map), ("mask", Artefact.Mask), ("raw", Artefact.Raw));

    private readonly Option<double?> threshold = Arguments.Number("--threshold",
        "Pictures with at least this score are anomalous. Pixels with at least this value belong to the mask and to the regions, "
            + "which overlays outline and JSON lists.");

    private readonly Option<int> minimumArea = Arguments.Whole("--min-area",
        "The fewest pixels of a region; smaller ones are left out.", 1, 1, int.MaxValue);

    private readonly Option<ImageScore> score = Arguments.Choice("--score", "How to compute the picture's score from the map",
        ("default", ImageScore.Default), ("maximum", ImageScore.Maximum),
        ("top-percent-mean", ImageScore.TopPercentMean), ("global-logit", ImageScore.GlobalLogit));

    private readonly Option<DetectionFormat> format = Arguments.Choice("--format", "A table, JSON with one object per line, or CSV",
        ("table", DetectionFormat.Table), ("json", DetectionFormat.Json), ("csv", DetectionFormat.Csv));

    private readonly Option<bool> exifOrientation = Arguments.Flag("--exif-orientation",
        "Rotate JPEG and PNG pictures by their Exif orientation (default: use them as stored).");

    private readonly Option<int> threads = Arguments.Threads();
    private readonly Option<Precision> precision = Arguments.Precision();

    private DetectCommand(Terminal terminal, Command command)
    {
        this.terminal = terminal;
        command.Add(pictures);
        source = new ModelSource(command);
        foreach (Option option in new Option[]
            { className, folder, save, threshold, minimumArea, score, format, exifOrientation, threads, precision })
        {
            command.Add(option);
        }

        command.Validators.Add(Check);
        command.SetAction(terminal, Run);
    }

    public static Documented Create(Terminal terminal)
    {
        Command command = new("detect", "Computes how anomalous pictures are, and where.");
        _ = new DetectCommand(terminal, command);
        return new Documented(command,
        [
            "detect --out results nut.png",
            "detect -m lizad.safetensors --class \"metal nut\" nut.png",
            "detect -m lizad.safetensors --class brick --out results --save overlay,raw samples",
            "detect -m lizad.safetensors --class screw --threshold 0.4 --out results --save overlay,mask \"parts/**/*.png\"",
            "detect -m lizad.safetensors --class screw --format csv parts > scores.csv",
            "detect --case tests/reference/lizad/vision-full --class \"metal nut\" samples",
        ]);
    }

    private void Check(CommandResult result)
    {
        if (result.GetResult(minimumArea) is { Implicit: false } && result.GetResult(threshold) is null)
            result.AddError("--min-area needs a value that regions reach: add --threshold X.");
        // Only the words are checked here. The values must not be requested yet, because they may be invalid.
        if (result.GetResult(save) is not { Tokens: var words }) return;
        if (result.GetResult(folder) is null) result.AddError("--save needs a folder to save in: add --out DIR.");
        else if (words.Any(w => w.Value.Split(',').Contains("mask")) && result.GetResult(threshold) is null)
            result.AddError("--save mask needs a value to cut the map at: add --threshold X.");
    }

    private int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        string? output = parsed.GetValue(folder);
        Artefact[] kinds = parsed.GetValue(save) is { Length: > 0 } given ? given : output is not null ? [Artefact.Overlay] : [];
        (IReadOnlyList<Picture> found, IReadOnlyList<string> problems) =
            PictureSearch.Find(parsed.GetValue(pictures)!, path => output is not null && OutputNames.IsOutput(output, path));
        foreach (string problem in problems) terminal.Complain(problem);
        if (found.Count == 0) return ExitCode.BadInput;

        DetectorOptions options = new()
        {
            Threads = parsed.GetValue(threads), Score = parsed.GetValue(score), Precision = parsed.GetValue(precision),
        };
        using AnomalyDetector detector = source.Load(parsed, terminal, options);
        string? asked = source.CheckClass(parsed, detector.Model, parsed.GetValue(className));
        if (asked is not null && parsed.GetResult(className) is null)
            terminal.Note($"no --class given: {detector.Model.SystemName} is asked about \"{asked}\".");
        else if (asked is null && parsed.GetResult(className) is not null)
            terminal.Note($"{detector.Model.SystemName} takes no class; --class is ignored.");

        OutputNames? names = output is null ? null : new OutputNames(output, found);
        bool verdict = parsed.GetValue(threshold) is not null;
        DetectionWriter writer = parsed.GetValue(format) switch
        {
            DetectionFormat.Json => new JsonWriter(terminal.Output),
            DetectionFormat.Csv => new CsvWriter(terminal.Output, verdict, kinds),
            _ => new TableWriter(terminal, verdict, kinds.Length > 0),
        };
        RegionOptions regions = new() { MinimumArea = parsed.GetValue(minimumArea) };
        bool failed = problems.Count > 0;
        try
        {
            terminal.Track("Examining pictures", found.Count, writer is not TableWriter, step =>
            {
                foreach (Picture picture in found)
                {
                    try
                    {
                        writer.Write(Examine(detector, picture, parsed.GetValue(exifOrientation), asked,
                            (float?)parsed.GetValue(threshold), regions, kinds, names?.Next(picture), cancellationToken));
                    }
                    catch (Exception e) when (e is ImageFormatException or IOException or UnauthorizedAccessException)
                    {
                        terminal.Complain(Tool.Explain(e));
                        failed = true;
                    }
                    step();
                }
            });
        }
        finally
        {
            writer.End();
        }
        return failed ? ExitCode.BadInput : ExitCode.Done;
    }

    private static DetectionRow Examine(AnomalyDetector detector, Picture picture, bool applyOrientation, string? asked,
        float? limit, RegionOptions options, Artefact[] kinds, Func<Artefact, string>? name, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        ImageLoadOptions loading = new() { ApplyExifOrientation = applyOrientation, Pool = ArrayPool<byte>.Shared };
        using Image image = Image.Load(picture.Path, loading, cancellationToken);
        AnomalyResult result = detector.Detect(image, asked, cancellationToken);
        // The class is embedded only once for all pictures, so its time is not counted.
        TimeSpan time = Stopwatch.GetElapsedTime(start) - result.Timings.ClassEmbedding;
        IReadOnlyList<AnomalyRegion>? regions = limit is { } least ? result.Regions(least, options) : null;
        (Artefact, string)[] saved = name is null ? [] : [.. kinds.Select(kind => (kind, name(kind)))];
        foreach ((Artefact kind, string path) in saved)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            Save(kind, path, image, result, limit, regions);
        }

        return new DetectionRow(picture.Path, result, time, limit is { } t ? result.Score >= t : null, regions, saved);
    }

    private static void Save(
        Artefact kind, string path, Image image, AnomalyResult result, float? limit, IReadOnlyList<AnomalyRegion>? regions)
    {
        AnomalyMap map = result.PictureMap;
        (float low, float high) = Range(map.Values);
        switch (kind)
        {
            case Artefact.Overlay:
                OverlayOptions options = new()
                {
                    Low = low, High = high, Score = result.Score, Boxes = [.. (regions ?? []).Select(r => r.Bounds)],
                };
                result.RenderOverlay(image.View, options).SavePng(path);
                break;
            case Artefact.Map:
                Heatmap.Render(map.Values, map.Width, map.Height, low, high).SavePng(path);
                break;
            case Artefact.Mask:
                Mask.SavePng(path, map.Values, map.Width, map.Height, limit!.Value);
                break;
            default:
                NpyWriter.Save(path, map.Values, map.Width, map.Height);
                break;
        }
    }

    /// <summary>
    /// Gets the value range of the colors: 0 to 1 for probabilities, so that pictures are comparable; otherwise extended to the
    /// values of the map.
    /// </summary>
    private static (float Low, float High) Range(ReadOnlySpan<float> map)
    {
        float low = 0, high = 1;
        foreach (float x in map)
        {
            if (x < low) low = x;
            if (x > high) high = x;
        }
        return (low, high);
    }
}
