using System.Globalization;
using TinyZsad.Fuzz;

// dotnet run -c Release --project fuzz -- png --seconds 60
const string Usage = """
    fuzz list                                                        the parsers, and what each promises
    fuzz PARSER|all --seconds N [--seed S] [--corpus FOLDER]         N seconds of damaged inputs for each
    fuzz PARSER --input FILE                                         one input, again

    FOLDER/PARSER holds further good inputs and receives those that reached something new. Inputs that break a promise are
    kept in findings/PARSER. Exit codes: 0 all promises kept, 1 one broken, 2 bad usage, 3 an input hangs.
    """;

Dictionary<string, string> options = [];
for (int i = 1; i + 1 < args.Length; i += 2) options[args[i]] = args[i + 1];
bool known = args.Length % 2 == 1 && options.Keys.All(o => o is "--seconds" or "--seed" or "--corpus" or "--input");
FuzzTarget[] targets = [.. Targets.All.Where(t => args is [string name, ..] && (name == t.Name || name == "all"))];

if (args is ["list"])
{
    foreach (FuzzTarget t in Targets.All)
    {
        Console.WriteLine($"{t.Name,-12} {t.MaxMilliseconds,6:F0} ms   {t.MaxBytes / 1048576.0,6:F2} MB + {t.MaxBytesEach,4} bytes a byte, "
            + $"of inputs up to {t.MaxLength >> 10} KiB; errors: {string.Join(", ", t.Errors.Select(e => e.Name))}");
    }

    return 0;
}
if (known && targets.Length == 1 && options.TryGetValue("--input", out string? path) && options.Count == 1)
{
    byte[] input = File.ReadAllBytes(path);
    using Examiner examiner = new(targets[0] with { MaxLength = Math.Max(input.Length, targets[0].MaxLength) });
    Outcome outcome = examiner.Examine(input);
    Console.WriteLine($"{outcome.Milliseconds:F1} ms, {outcome.Bytes} bytes, {(outcome.Valid ? "valid" : "refused")}: {outcome.Kind}");
    if (outcome.Broken is not null) Console.WriteLine(outcome.Broken);
    return outcome.Broken is null ? 0 : 1;
}
if (!known || targets.Length == 0 || !Number("--seconds", "", out int seconds) || !Number("--seed", "1", out int seed))
{
    Console.Error.WriteLine(Usage);
    return 2;
}
bool kept = true;
foreach (FuzzTarget target in targets)
{
    string? corpus = options.TryGetValue("--corpus", out string? folder) ? Path.Combine(folder, target.Name) : null;
    kept &= new FuzzRun(target, Console.Out).Run(TimeSpan.FromSeconds(seconds), seed, corpus);
}
return kept ? 0 : 1;

bool Number(string option, string otherwise, out int value) => int.TryParse(
    options.GetValueOrDefault(option, otherwise), NumberStyles.None, CultureInfo.InvariantCulture, out value);
