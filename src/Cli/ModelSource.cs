using System.CommandLine;
using System.CommandLine.Parsing;
using TinyZsad.Verification;

namespace TinyZsad.Cli;

/// <summary>
/// Handles the options that select the weights: a model file, reference cases, or by default the built-in model.
/// </summary>
internal sealed class ModelSource
{
    private readonly Option<string?> model = FileOption("The model, a .safetensors file (default: the built-in try-out model).");

    private readonly Option<string[]> cases = new("--case")
    {
        Description = "Use the generated weights of a reference case instead of a model. Several cases form one model.",
        HelpName = "CASE",
    };

    /// <summary>Creates the option for a model file.</summary>
    public static Option<string?> FileOption(string description, bool required = false) => new("--model", "-m")
    {
        Description = description,
        HelpName = "MODEL",
        Required = required,
    };

    /// <summary>Adds the options to a command. At most one of them may be given.</summary>
    public ModelSource(Command command)
    {
        command.Add(model);
        command.Add(cases);
        command.Validators.Add(Check);
    }

    /// <summary>Loads the detector.</summary>
    public AnomalyDetector Load(ParseResult parsed, Terminal terminal, DetectorOptions options)
    {
        string? path = parsed.GetValue(model);
        string[] seeded = parsed.GetValue(cases) ?? [];
        if (path is null && seeded.Length == 0)
        {
            terminal.Note(
                "no -m given: this is the built-in model, trained on drawn surfaces only; a try-out, no substitute for a trained "
                + $"system (see {Tool.Name} inspect).");
        }

        AnomalyDetector detector = terminal.Wait("Loading the model", () =>
            path is not null ? AnomalyDetector.Load(path, options)
            : seeded.Length > 0 ? AnomalyDetector.Load(ReferenceCase.OpenModel([.. seeded.Select(ReferenceCase.Open)]), options)
            : AnomalyDetector.LoadDefault(options));
        if (detector.PrecisionNote is { } note) terminal.Note($"{note} --precision {Arguments.WordOf(Precision.ForcedInt8)} forces int8.");
        return detector;
    }

    /// <summary>Gets the name of the selected model.</summary>
    public string NameOf(ParseResult parsed) =>
        parsed.GetValue(model) ?? (parsed.GetValue(cases) is { Length: > 0 } seeded
            ? string.Join(" + ", seeded)
            : AnomalyDetector.DefaultModelName);

    /// <summary>Checks that the model knows a class and returns the class to detect.</summary>
    /// <returns>The class, or null if the model takes no class.</returns>
    public string? CheckClass(ParseResult parsed, ModelInfo info, string? className)
    {
        if (!info.TakesClassName) return null;
        string asked = className ?? AnomalyDetector.DefaultClassName;
        if (info.AnyClass || info.StoredClasses.Contains(asked)) return asked;
        string known = info.StoredClasses.Count == 0 ? "none" : string.Join(", ", info.StoredClasses.Select(c => $"'{c}'"));
        throw new UsageException(
            $"{NameOf(parsed)}: it has no text tower and knows only the classes stored in it ({known}), not '{asked}'; "
            + "name one of them with --class.");
    }

    private void Check(CommandResult result)
    {
        if (result.GetResult(model) is not null && result.GetResult(cases) is not null)
            result.AddError("--model and --case exclude each other.");
    }
}
