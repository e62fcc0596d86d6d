using System.CommandLine;
using System.CommandLine.Parsing;
using Spectre.Console;
using TinyZsad.Graph;
using TinyZsad.Imaging;
using TinyZsad.Verification;
using TinyZsad.Weights;

namespace TinyZsad.Cli;

/// <summary>The <c>verify</c> command: checks value by value that the engine computes the same as PyTorch.</summary>
internal sealed class VerifyCommand
{
    private readonly Terminal terminal;

    private readonly Argument<string[]> cases = new("CASE")
    {
        Description = "Reference cases: folders with a manifest.json.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string?> model =
        ModelSource.FileOption("Use the weights in this file instead of the generated weights of the case.");

    private readonly Option<string?> image = new("--image")
    {
        Description = "Without a case: the picture.",
        HelpName = "PICTURE",
    };

    private readonly Option<string?> expected = new("--expected")
    {
        Description = "Without a case: a .safetensors file of float32 activations, named like the taps.",
        HelpName = "FILE",
    };

    private readonly Option<string?> className =
        Arguments.ClassName($"Without a case: the class (default: {AnomalyDetector.DefaultClassName}).");

    private readonly Option<double?> tolerance = Arguments.Number("--tolerance",
        "The limit for all taps on the largest error divided by the largest value "
            + $"(default: the case's own; without a case {Verifier.DefaultTolerance:0e+0}; with --precision int8 none).",
                min: 0);

    private readonly Option<bool> json = Arguments.Flag("--json", "Print JSON.");
    private readonly Option<int> threads = Arguments.Threads();
    private readonly Option<Precision> precision = Arguments.CheckedPrecision();
    private readonly Option<string?> device = Arguments.Device();
    private readonly PictureOptions reading;

    private VerifyCommand(Terminal terminal, Command command)
    {
        this.terminal = terminal;
        command.Add(cases);
        foreach (Option option in new Option[] { model, image, expected, className, tolerance, json, threads, precision, device })
            command.Add(option);
        reading = new PictureOptions(command, image);
        command.Validators.Add(Check);
        command.SetAction(terminal, Run);
    }

    public static Documented Create(Terminal terminal)
    {
        Command command = new("verify", "Compares the engine's intermediate values with expected values, tap by tap.");
        _ = new VerifyCommand(terminal, command);
        return new Documented(command,
        [
            "verify tests/reference/lizad/tiny",
            "verify tests/reference/lizad/vision-full tests/reference/lizad/text",
            "verify tests/reference/lizad/tiny --tolerance 1e-6 --json",
            "verify tests/reference/lizad/vision-full --precision int8",
            "verify tests/reference/lizad/tiny --device reference",
            "verify -m lizad.safetensors --image nut.png --class \"metal nut\" --expected dumped.safetensors",
        ]);
    }

    private void Check(CommandResult result)
    {
        bool some = result.GetResult(cases) is { Tokens.Count: > 0 };
        bool dumped = result.GetResult(image) is not null || result.GetResult(expected) is not null
            || result.GetResult(className) is not null;
        if (some && dumped)
        {
            result.AddError("--image, --expected and --class are for a verification without a case, which has its own.");
        }
        else if (!some && !dumped)
        {
            result.AddError("Nothing to verify: name a reference case, or give -m MODEL, --image PICTURE and --expected FILE.");
        }
        else if (dumped && Array.Find<Option>([model, image, expected], o => result.GetResult(o) is null) is { } missing)
        {
            result.AddError(
                $"{missing.Name} is missing: without a case, -m MODEL, --image PICTURE and --expected FILE are needed.");
        }
    }

    private int Run(ParseResult parsed, CancellationToken cancellationToken)
    {
        List<(string Name, IReadOnlyList<TapComparison> Taps)> runs = [];
        foreach ((string name, Func<IReadOnlyList<TapComparison>> compare) in Comparisons(parsed))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (runs.Count > 0 && !parsed.GetValue(json)) terminal.Space();
            runs.Add((name, terminal.Wait($"Verifying {name}", compare)));
            if (!parsed.GetValue(json)) WriteTable(runs[^1].Name, runs[^1].Taps);
        }
        bool passed = runs.All(r => r.Taps.Count > 0 && r.Taps.All(t => t.Passed));
        if (parsed.GetValue(json)) WriteJson(runs, passed);
        return passed ? ExitCode.Done : ExitCode.CheckFailed;
    }

    private IEnumerable<(string Name, Func<IReadOnlyList<TapComparison>> Compare)> Comparisons(ParseResult parsed)
    {
        double? limit = parsed.GetValue(tolerance);
        int team = parsed.GetValue(threads);
        Precision how = parsed.GetValue(precision);
        string computing = parsed.GetValue(device) ?? DetectorOptions.DefaultDevice;
        foreach (string folder in parsed.GetValue(cases)!)
        {
            yield return (folder, () =>
            {
                ReferenceCase reference = ReferenceCase.Open(folder);
                SafetensorsFile? weights = parsed.GetValue(model) is { } path ? SafetensorsFile.Open(path) : null;
                return Verifier.Run(reference, weights, limit, team, how, computing);
            });
        }

        if (parsed.GetValue(expected) is { } dump)
        {
            yield return (dump, () =>
            {
                Image picture = Image.Load(parsed.GetValue(image)!, reading.Of(parsed));
                SafetensorsFile weights = SafetensorsFile.Open(parsed.GetValue(model)!);
                return Verifier.Run(weights, picture, dump, parsed.GetValue(className), limit, team, how, computing);
            });
        }
    }

    private void WriteTable(string name, IReadOnlyList<TapComparison> taps)
    {
        Table table = Tables.Of("tap", "shape", ">max error", ">rel. L2", "worst at", ">expected", ">actual", ">limit", "");
        foreach (TapComparison t in taps)
        {
            Text outcome = t.Passed && Unlimited(t) ? Tables.Cell("") : t.Passed ? Tables.Cell("pass", new Style(Color.Green))
                : Tables.Cell(Failure(t), new Style(Color.Red));
            string[] cells = t.Problem is not null
                ? [t.Name, Units.Shape(t.Shape), "-", "-", "-", "-", "-", Limit(t)]
                : [t.Name, Units.Shape(t.Shape), Units.Error(t.MaxError), Units.Error(t.RelativeL2), Units.Shape(Position(t)),
                    $"{t.WorstExpected:g6}", $"{t.WorstActual:g6}", Limit(t)];
            table.AddRow([.. cells.Select(c => Tables.Cell(c)), outcome]);
        }
        if (taps.Count > 0) terminal.Show(table);

        int failures = taps.Count(t => !t.Passed);
        (string verdict, Color colour) = (taps.Count, failures) switch
        {
            (0, _) => ("it expects nothing, so nothing was verified.", Color.Red),
            (_, > 0) => ($"{failures} of {Units.Plural(taps.Count, "tap")} failed.", Color.Red),
            _ when taps.Any(Unlimited) =>
                ($"{Units.Plural(taps.Count, "tap")}, largest error {Units.Error(taps.Max(t => t.MaxError))}; "
                    + "at this precision there is no limit unless --tolerance sets one, so only what is missing or not finite "
                    + "would fail.", Color.Yellow),
            _ => ($"{Units.Plural(taps.Count, "tap")}, all passed; largest error {Units.Error(taps.Max(t => t.MaxError))}.",
                Color.Green),
        };
        terminal.Show($"{name}: {verdict}", new Style(colour));
    }

    private static bool Unlimited(TapComparison t) => double.IsPositiveInfinity(t.Tolerance);

    private static string Limit(TapComparison t) => Unlimited(t) ? "none" : Units.Error(t.Tolerance);

    private static string Failure(TapComparison t) =>
        t.Problem is { } problem ? $"FAIL: {problem}"
        : t.RelativeL2 > t.L2Tolerance ? $"FAIL: the relative L2 error is above {Units.Error(t.L2Tolerance.Value)}"
        : t.MaxError <= t.Tolerance ? $"FAIL: the norm is off by {Units.Error(t.NormError ?? double.NaN)}"
        : "FAIL";

    /// <summary>Gets the position of the worst element in its tensor.</summary>
    private static long[] Position(TapComparison t)
    {
        long[] position = new long[t.Shape.Count];
        long rest = t.WorstIndex;
        for (int i = position.Length - 1; i >= 0; i--) (rest, position[i]) = Math.DivRem(rest, Math.Max(1, t.Shape[i]));
        return position;
    }

    private void WriteJson(IEnumerable<(string Name, IReadOnlyList<TapComparison> Taps)> runs, bool passed) =>
        Json.WriteObject(terminal.Output, indented: true, json =>
        {
            json.WriteBoolean("passed", passed);
            json.Array("cases", runs, run =>
            {
                json.WriteStartObject();
                json.WriteString("case", run.Name);
                json.Array("taps", run.Taps, t =>
                {
                    json.WriteStartObject();
                    json.WriteString("tap", t.Name);
                    json.WriteBoolean("passed", t.Passed);
                    json.Array("shape", t.Shape, json.WriteNumberValue);
                    json.Number("tolerance", t.Tolerance);
                    if (t.Problem is not null)
                    {
                        json.WriteString("problem", t.Problem);
                    }
                    else
                    {
                        json.Number("max_error", t.MaxError);
                        json.Number("relative_l2", t.RelativeL2);
                        json.Number("norm_error", t.NormError ?? double.NaN);
                        json.Array("worst_at", Position(t), json.WriteNumberValue);
                        json.Number("expected", t.WorstExpected);
                        json.Number("actual", t.WorstActual);
                    }
                    json.WriteEndObject();
                });
                json.WriteEndObject();
            });
        });
}
