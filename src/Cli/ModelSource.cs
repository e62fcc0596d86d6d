using System.CommandLine;
using System.CommandLine.Parsing;

namespace TinyZsad.Cli;

/// <summary>The options that say where the weights come from: a file, or the rule of reference cases.</summary>
internal sealed class ModelSource
{
    private readonly Option<string?> model = FileOption("The model, a .safetensors file.");

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

    /// <summary>Adds the options to a command, one of which must be given.</summary>
    public ModelSource(Command command)
    {
        command.Add(model);
        command.Add(cases);
        command.Validators.Add(Check);
    }

    /// <summary>Loads the detector.</summary>
    public AnomalyDetector Load(ParseResult parsed, Terminal terminal, DetectorOptions options) =>
        terminal.Wait("Loading the model", () =>
        parsed.GetValue(model) is { } path
            ? AnomalyDetector.Load(path, options)
            : AnomalyDetector.Load(ReferenceCase.OpenModel([.. parsed.GetValue(cases)!.Select(ReferenceCase.Open)]), options));

    /// <summary>What the user named.</summary>
    public string NameOf(ParseResult parsed) => parsed.GetValue(model) ?? string.Join(" + ", parsed.GetValue(cases)!);

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
        bool file = result.GetResult(model) is not null, seeded = result.GetResult(cases) is not null;
        if (file && seeded) result.AddError("--model and --case exclude each other.");
        else if (!file && !seeded)
            result.AddError("No model: give one with -m MODEL, or made-up weights with --case CASE.");
    }
}
