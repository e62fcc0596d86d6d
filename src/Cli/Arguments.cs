using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using TinyZsad.Graph;
using TinyZsad.Models;

namespace TinyZsad.Cli;

/// <summary>Creates the options that commands share. Each of them rejects an invalid value and names the valid ones.</summary>
internal static class Arguments
{
    public static Option<int> Threads() =>
        Whole("--threads", "Threads per picture; 0 uses one per processor.", 0, 0, 256);

    public static Option<Precision> Precision() =>
        Choice("--precision", "Compute linear layers in floats, or in 8-bit integers: faster, but less exact. int8 computes in floats "
            + "where integers are not known to be faster; forced-int8 does not", [.. Precisions]);

    /// <summary>Creates the option for the precision of a check, which always computes what it is asked to.</summary>
    public static Option<Precision> CheckedPrecision() =>
        Choice("--precision", "Compute linear layers in floats, or in 8-bit integers, on every processor (forced-int8 means the same)",
            [.. Precisions]);

    private static readonly (string Word, Precision Value)[] Precisions =
    [
        ("float32", TinyZsad.Precision.Float32), ("int8", TinyZsad.Precision.Int8), ("forced-int8", TinyZsad.Precision.ForcedInt8),
    ];

    /// <summary>Gets the word for a precision.</summary>
    public static string WordOf(Precision precision) => Array.Find(Precisions, p => p.Value == precision).Word;

    public static Option<string?> Device()
    {
        Option<string?> option = new("--device")
        {
            Description = "The device: the CPU, an NVIDIA GPU (cuda, or cuda:N for one of several), a GPU if one can be used and otherwise "
                + "the CPU (auto), the plain definitions (reference; slow, for small cases), or the GPU's kernels interpreted on the CPU "
                + $"(emulated; slower still). The command devices lists what there is (default: {DetectorOptions.DefaultDevice}).",
            HelpName = "NAME",
            CustomParser = result =>
            {
                string name = result.Tokens[0].Value;
                if (!Devices.IsKnown(name))
                    result.AddError($"--device: '{name}' is none of {string.Join(", ", DetectorOptions.DeviceNames)}.");
                return name;
            },
        };
        option.CompletionSources.Add([.. DetectorOptions.DeviceNames.Where(n => !n.EndsWith('N'))]);
        return option;
    }

    /// <summary>
    /// Creates the option for the folder where class embeddings are kept. Its value is as in
    /// <see cref="DetectorOptions.CacheFolder"/>: empty for none, null if the option is absent.
    /// </summary>
    /// <param name="fallback">What is used if the option is absent.</param>
    public static Option<string?> Cache(string fallback) => new("--cache")
    {
        Description = "The folder that keeps embeddings of classes for later runs, about 5 KiB each; the folder can be deleted at any "
            + $"time. off embeds the class again (default: {fallback}).",
        HelpName = "DIR|off",
        CustomParser = result => NotBlank(result, "--cache") is var folder && folder == "off" ? "" : folder,
    };

    /// <summary>Creates the option for a cache that is the user's by default.</summary>
    public static Option<string?> Cache() => Cache(EmbeddingFolder.OfUser ?? "off, as there is no home folder");

    public static Option<string?> ClassName(string description) => new("--class")
    {
        Description = description,
        HelpName = "NAME",
        CustomParser = result => NotBlank(result, "--class"),
    };

    public static Option<string> OutputFile() => new("--out", "-o")
    {
        Description = "The file to write. An existing file is replaced.",
        HelpName = "FILE",
        Required = true,
        CustomParser = result =>
        {
            string path = NotBlank(result, "--out")!;
            string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? path;
            if (!Directory.Exists(folder)) result.AddError($"--out {path}: there is no folder {folder}.");
            else if (Directory.Exists(path)) result.AddError($"--out {path}: this is a folder; name a file.");
            return path;
        },
    };

    public static Option<bool> Flag(string name, string description) => new(name) { Description = description };

    public static Option<int> Whole(string name, string description, int fallback, int min, int max) => new(name)
    {
        Description = description,
        HelpName = "N",
        DefaultValueFactory = _ => fallback,
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) || n < min || n > max)
                result.AddError($"{name} is a whole number from {min} to {max}, not '{text}'.");
            return n;
        },
    };

    public static Option<double?> Number(string name, string description, double min = double.MinValue) => new(name)
    {
        Description = description,
        HelpName = "X",
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double x) || !double.IsFinite(x)
                || x < min)
            {
                result.AddError($"{name} is a number{(min > double.MinValue ? $" of at least {min}" : "")}, not '{text}'.");
            }

            return x;
        },
    };

    /// <summary>
    /// Creates an option that takes one of a few words. If it is absent, the value is the type's default, which the first word
    /// must stand for.
    /// </summary>
    public static Option<T> Choice<T>(string name, string description, params (string Word, T Value)[] choices)
    {
        Option<T> option = new(name)
        {
            Description = $"{description} (default: {choices[0].Word}).",
            HelpName = string.Join('|', choices.Select(c => c.Word)),
            CustomParser = result => Choose(result, name, result.Tokens[0].Value, choices),
        };
        option.CompletionSources.Add([.. choices.Select(c => c.Word)]);
        return option;
    }

    /// <summary>Creates an option that takes several words, separated by commas.</summary>
    public static Option<T[]> Choices<T>(string name, string description, params (string Word, T Value)[] choices)
    {
        Option<T[]> option = new(name)
        {
            Description = description,
            HelpName = string.Join(',', choices.Select(c => c.Word)),
            CustomParser = result =>
            [
                .. result.Tokens.SelectMany(t => t.Value.Split(','))
                    .Select(word => Choose(result, name, word.Trim(), choices)).Distinct(),
            ],
        };
        option.CompletionSources.Add([.. choices.Select(c => c.Word)]);
        return option;
    }

    private static T Choose<T>(ArgumentResult result, string name, string word, (string Word, T Value)[] choices)
    {
        foreach ((string known, T value) in choices)
            if (known == word) return value;
        result.AddError($"{name}: '{word}' is none of {string.Join(", ", choices.Select(c => c.Word))}.");
        return choices[0].Value;
    }

    /// <summary>Parses a value that must not be blank.</summary>
    public static string? NotBlank(ArgumentResult result, string name)
    {
        string text = result.Tokens[0].Value;
        if (string.IsNullOrWhiteSpace(text)) result.AddError($"{name} is empty.");
        return text;
    }
}
