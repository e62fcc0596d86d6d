using System.CommandLine;

namespace TinyZsad.Cli;

/// <summary>The <c>embed</c> command: creates a model file that contains the embeddings of some classes.</summary>
internal static class EmbedCommand
{
    public static Documented Create(Terminal terminal)
    {
        Option<string?> model = ModelSource.FileOption("The model. It must have a text tower.", required: true);
        Option<string[]> classes = new("--class")
        {
            Description = "The classes. Use the same names as in detection.",
            HelpName = "NAME",
            Required = true,
            AllowMultipleArgumentsPerToken = true,
        };
        Option<string> output = Arguments.OutputFile();
        Option<bool> dropText =
            Arguments.Flag("--drop-text", "Omit the text tower. The file is much smaller and knows only stored classes.");
        Option<string?> cache = Arguments.Cache();
        Command command = new("embed", "Stores the embeddings of classes in a copy of a model, ready for detection.")
        {
            model, classes, output, dropText, cache,
        };
        command.Validators.Add(result =>
        {
            if (result.GetResult(classes) is { Tokens: var names } && names.Any(t => string.IsNullOrWhiteSpace(t.Value)))
                result.AddError("--class is empty.");
        });
        command.SetAction(terminal, (parsed, cancellationToken) =>
        {
            string path = parsed.GetValue(output)!;
            string[] names = [.. parsed.GetValue(classes)!.Distinct()];
            using AnomalyDetector detector = AnomalyDetector.Load(
                parsed.GetValue(model)!, new DetectorOptions { CacheFolder = parsed.GetValue(cache) });
            terminal.TrackShare($"Embedding {(names.Length == 1 ? "1 class" : $"{names.Length} classes")}", report =>
                detector.SaveWithClasses(path, names, !parsed.GetValue(dropText), report, cancellationToken));
            terminal.Show(Tables.OfPairs(
            [
                ("wrote", path),
                ("size", $"{Units.Bytes(new FileInfo(path).Length)}; the model has {Units.Bytes(detector.Model.FileBytes)}"),
                ("classes", string.Join(", ", detector.Model.StoredClasses.Union(names))),
            ]));
            return ExitCode.Done;
        });
        return new Documented(command,
        [
            "embed -m lizad.safetensors --class \"metal nut\" screw -o parts.safetensors",
            "embed -m lizad.safetensors --class brick -o brick.safetensors --drop-text",
        ]);
    }
}
