using System.CommandLine;
using System.CommandLine.Parsing;
using TinyZsad.Verification;

namespace TinyZsad.Cli;

/// <summary>The options that say where the weights come from: a file, the rule of reference cases, or else the box.</summary>
internal sealed class ModelSource
{
    private readonly Option<string?> model = FileOption("The model, a .safetensors file (default: the one in the box, a try-out).");

    private readonly Option<string[]> cases = new("--case")
    {
        Description = "Take the made-up weights of a reference case instead of a model; several cases make one model together.",
        HelpName = "CASE",
    };

    /// <summary>The option of a model file alone.</summary>
    public static Option<string?> FileOption(string description, bool required = false) => new("--model", "-m")
    {
        Description = description,
        HelpName = "MODEL",
        Required = required,
    };

    /// <summary>Adds the options to a command, one of which may be given.</summary>
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
                "no -m given: this is the model in the box, trained on drawn surfaces only; a try-out, no substitute for a trained "
                + $"system (see {Tool.Name} inspect).");
        }

        return terminal.Wait("Loading the model", () =>
            path is not null ? AnomalyDetector.Load(path, options)
            : seeded.Length > 0 ? AnomalyDetector.Load(ReferenceCase.OpenModel([.. seeded.Select(ReferenceCase.Open)]), options)
            : AnomalyDetector.LoadDefault(options));
    }

    /// <summary>What the user named, or what is taken where nothing is named.</summary>
    public string NameOf(ParseResult parsed) =>
        parsed.GetValue(model) ?? (parsed.GetValue(cases) is { Length: > 0 } seeded
            ? string.Join(" + ", seeded)
            : AnomalyDetector.DefaultModelName);

    /// <summary>The class to ask about, once it is known that the model knows it.</summary>
    /// <returns>Null where the model takes none.</returns>
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
