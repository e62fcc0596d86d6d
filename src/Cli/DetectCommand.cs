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
    private const string Description = """
        Computes how anomalous pictures are, and where.

        A folder stands for the pictures in it and in its subfolders, which are known by their extensions. Links to folders are followed,
        each picture is examined once, and names that start with a dot are passed over. Other files are counted and named. A picture that
        cannot be read is reported, and the others are examined. A score is printed even if a file of the picture cannot be saved.

        Exit codes: 0 every picture was examined; 1 a file could not be saved; 2 a picture, a folder or an argument was wrong;
        130 interrupted; 141 nobody reads the results any more.
        """;

    private readonly Terminal terminal;
    private readonly ModelSource source;

    private readonly Argument<string[]> pictures = new("PICTURE|DIR|GLOB")
    {
        Description = "Pictures, folders to search for pictures, patterns (* and ? match within a name, ** matches any folders), "
            + "or - to read one picture from standard input.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> list = new("--files-from")
    {
        Description = "A list of further pictures and folders, one a line or separated by zero bytes; - reads it from standard input.",
        HelpName = "FILE|-",
    };

    private readonly Option<string?> className = Arguments.ClassName(
        $"What the pictures show, such as \"metal nut\", if the model takes a class (default: {AnomalyDetector.DefaultClassName}).");

    private readonly Option<string?> folder = new("--out", "-o")
    {
        Description = "The folder to save files in; created if it does not exist. Without --save, overlays are saved.",
        HelpName = "DIR",
        CustomParser = result => Arguments.NotBlank(result, "--out"),
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

    private readonly PictureOptions reading;
    private readonly Option<string?> cache = Arguments.Cache();
    private readonly Option<int> threads = Arguments.Threads();
    private readonly Option<Precision> precision = Arguments.Precision();
    private readonly Option<string?> device = Arguments.Device();

    private DetectCommand(Terminal terminal, Command command)
    {
        this.terminal = terminal;
        command.Add(pictures);
        source = new ModelSource(command);
        foreach (Option option in new Option[]
            { list, className, cache, folder, save, threshold, minimumArea, score, format, threads, precision,
                device })
        {
            command.Add(option);
        }
        reading = new PictureOptions(command);

        command.Validators.Add(Check);
        command.SetAction(terminal, Run);
    }

    public static Documented Create(Terminal terminal)
    {
        Command command = new("detect", Description);
        _ = new DetectCommand(terminal, command);
        return new Documented(command,
        [
            "detect --out results nut.png",
            "detect -m lizad.safetensors --class \"metal nut\" nut.png",
            "detect -m lizad.safetensors --class brick --out results --save overlay,raw samples",
            "detect -m lizad.safetensors --class screw --threshold 0.4 --out results --save overlay,mask \"parts/**/*.png\"",
            "detect -m lizad.safetensors --class screw --format csv parts > scores.csv",
            "detect --case tests/reference/lizad/vision-full --class \"metal nut\" samples",
            "detect --format json - < nut.png",
            "detect --files-from list.txt --format csv > scores.csv",
        ]);
    }

    private void Check(CommandResult result)
    {
        string[] named = result.GetValue(pictures) ?? [];
        string? from = result.GetResult(list) is null ? null : result.GetValue(list);
        if (named.Length == 0 && from is null)
            result.AddError("No picture is named: name pictures, folders or patterns, - for standard input, or a list with --files-from.");
        else if (from == Picture.Dash && named.Contains(Picture.Dash))
            result.AddError("Standard input holds a picture (-) or a list (--files-from -), not both.");
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
        OutputNames? names = output is null ? null : new OutputNames(output);
        PictureSearch search = Find(parsed, names, cancellationToken);
        foreach (string problem in search.Problems) terminal.Complain(problem);
        foreach (string note in search.Notes()) terminal.Note(note);
        if (search.Pictures.Count == 0)
        {
            if (search.Problems.Count == 0) terminal.Complain("no picture is left to examine.");
            return ExitCode.BadInput;
        }
        DetectorOptions options = new()
        {
            Threads = parsed.GetValue(threads), Score = parsed.GetValue(score), Precision = parsed.GetValue(precision),
            CacheFolder = parsed.GetValue(cache), Device = parsed.GetValue(device) ?? DetectorOptions.DefaultDevice,
        };
        using AnomalyDetector detector = source.Load(parsed, terminal, options);
        string? asked = source.CheckClass(parsed, detector.Model, parsed.GetValue(className));
        if (asked is not null && parsed.GetResult(className) is null)
            terminal.Note($"no --class given: {detector.Model.SystemName} is asked about \"{asked}\".");
        else if (asked is null && parsed.GetResult(className) is not null)
            terminal.Note($"{detector.Model.SystemName} takes no class; --class is ignored.");

        names?.Reserve(search.Pictures);
        OutputFolder? saving = names is null ? null : new OutputFolder(names, kinds);
        bool verdict = parsed.GetValue(threshold) is not null;
        DetectionWriter writer = parsed.GetValue(format) switch
        {
            DetectionFormat.Json => new JsonWriter(terminal.Output),
            DetectionFormat.Csv => new CsvWriter(terminal.Output, verdict, kinds),
            _ => new TableWriter(terminal, verdict, kinds.Length > 0),
        };
        Examination examination = new(detector, reading.Of(parsed), reading.IsPageGiven(parsed), asked, (float?)parsed.GetValue(threshold),
            new RegionOptions { MinimumArea = parsed.GetValue(minimumArea) }, saving);
        bool failed = search.Problems.Count > 0, unsaved = false;
        try
        {
            terminal.Track("Examining pictures", search.Pictures.Count, writer is not TableWriter, step =>
            {
                foreach (Picture picture in search.Pictures)
                {
                    // What a picture causes is reported, and the others are examined. Errors of writing the results are not among it.
                    if (TryExamine(examination, picture, cancellationToken) is { } row)
                    {
                        writer.Write(row);
                        unsaved |= Report(row);
                    }
                    else
                    {
                        failed = true;
                    }
                    step();
                }
            });
        }
        finally
        {
            writer.End();
            foreach ((string kind, int count) in examination.Warnings.Where(w => w.Value > 1))
                terminal.Note($"{Units.Count(count)} pictures {kind}.");
        }
        return failed ? ExitCode.BadInput : unsaved ? ExitCode.CheckFailed : ExitCode.Done;
    }

    private PictureSearch Find(ParseResult parsed, OutputNames? names, CancellationToken cancellationToken)
    {
        string[] arguments = parsed.GetValue(pictures) ?? [];
        string? path = parsed.GetValue(list);
        bool standardInput = path == Picture.Dash;
        if (!standardInput && Directory.Exists(path))
            throw new UsageException($"--files-from {path}: this is a folder; name it as a picture, without --files-from.");
        using Stream? stream = path is null ? null : standardInput ? terminal.OpenInput() : File.OpenRead(path);
        return PictureSearch.Find(arguments, PictureOptions.Extensions, names, stream, standardInput ? "standard input" : path ?? "",
            cancellationToken);
    }

    private DetectionRow? TryExamine(Examination examination, Picture picture, CancellationToken cancellationToken)
    {
        try
        {
            return examination.Of(picture, terminal, cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            string reason = Tool.Explain(e);
            bool named = !ReferenceEquals(picture, Picture.StandardInput) && reason.Contains(picture.Path, StringComparison.Ordinal);
            terminal.Complain(named ? reason : $"{picture.Path}: {reason}");
            return null;
        }
    }

    /// <summary>Reports what could not be saved.</summary>
    /// <returns>True if there is any.</returns>
    private bool Report(DetectionRow row)
    {
        bool any = false;
        foreach (SavedFile file in row.Saved)
        {
            if (file.Problem is null) continue;
            terminal.Complain($"{row.Path}: {file.Path} is not saved: {file.Problem}");
            any = true;
        }
        return any;
    }

    /// <summary>What is done with every picture.</summary>
    private sealed record Examination(AnomalyDetector Detector, ImageLoadOptions Loading, bool IsPageGiven, string? ClassName,
        float? Threshold, RegionOptions RegionOptions, OutputFolder? Saving)
    {
        private bool embedded;

        /// <summary>Gets how many pictures each kind of warning concerns. Only the first of a kind is told in full.</summary>
        public Dictionary<string, int> Warnings { get; } = [];

        public DetectionRow Of(Picture picture, Terminal terminal, CancellationToken cancellationToken)
        {
            // Every picture has its names, so that they do not depend on which pictures can be examined.
            Func<Artefact, string>? name = Saving?.Next(picture);
            long start = Stopwatch.GetTimestamp();
            using Image image = Load(picture, terminal, cancellationToken);
            foreach ((string kind, string warning) in PictureOptions.Warnings(picture.Path, image, Loading, IsPageGiven))
            {
                int before = Warnings.GetValueOrDefault(kind);
                if (before == 0) terminal.Note(warning);
                Warnings[kind] = before + 1;
            }
            // The class is embedded only once for all pictures, so its time is not counted.
            TimeSpan embedding = Embed(terminal, cancellationToken);
            AnomalyResult result = Detector.Detect(image, ClassName, cancellationToken);
            TimeSpan time = Stopwatch.GetElapsedTime(start) - embedding;
            IReadOnlyList<AnomalyRegion>? regions = Threshold is { } least ? result.Regions(least, RegionOptions) : null;
            IReadOnlyList<SavedFile> saved = name is null ? []
                : Saving!.Save(name, image, result, Threshold, regions, cancellationToken);
            return new DetectionRow(picture.Path, result, time, Threshold is { } t ? result.Score >= t : null, regions, saved);
        }

        private static bool IsWithoutLength(FileSystemInfo file) =>
            (file.ResolveLinkTarget(returnFinalTarget: true) ?? file) is FileInfo { Exists: true, Length: 0 };

        /// <summary>Embeds the class before the first picture that can be read.</summary>
        /// <returns>The time that it takes.</returns>
        private TimeSpan Embed(Terminal terminal, CancellationToken cancellationToken)
        {
            if (ClassName is null || embedded) return TimeSpan.Zero;
            long start = Stopwatch.GetTimestamp();
            terminal.TrackShare($"Embedding \"{ClassName}\"", report => Detector.Embed(ClassName, report, cancellationToken));
            embedded = true;
            return Stopwatch.GetElapsedTime(start);
        }

        private Image Load(Picture picture, Terminal terminal, CancellationToken cancellationToken)
        {
            // Reading a pipe that nobody writes to would wait for ever. Pipes, sockets and devices have no length.
            if (!picture.IsNamed && IsWithoutLength(new FileInfo(picture.File!)))
                throw new UsageException($"{picture.Path}: this is no file, or it is empty; name it itself if it is to be read.");
            if (!ReferenceEquals(picture, Picture.StandardInput)) return Image.Load(picture.Path, Loading, cancellationToken);
            using Stream input = terminal.OpenInput();
            return Image.Load(input, Loading, cancellationToken);
        }
    }
}
