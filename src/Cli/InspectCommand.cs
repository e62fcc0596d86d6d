using System.CommandLine;
using Spectre.Console;
using TinyZsad.Models.Nano;
using TinyZsad.Weights;

namespace TinyZsad.Cli;

/// <summary>The <c>inspect</c> command: shows the contents of a safetensors file.</summary>
internal static class InspectCommand
{
    private const int LongestValue = 200;

    /// <summary>The metadata in which a model file describes itself in words.</summary>
    private static readonly (string Label, string Key)[] Words =
        [("what it is", "description"), ("drawn", "figures_drawn"), ("photographs", "figures_photographs")];

    public static Documented Create(Terminal terminal)
    {
        Argument<string?> path = new("FILE")
        {
            Description = "Any .safetensors file, not only TinyZsad models (default: the built-in model).",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<bool> tensors = Arguments.Flag("--tensors", "List every tensor instead of a summary.");
        Option<bool> json = Arguments.Flag("--json", "Print JSON, with every tensor.");
        Command command = new("inspect", "Shows what a model file holds.") { path, tensors, json };
        command.SetAction(terminal, (parsed, _) =>
        {
            string? named = parsed.GetValue(path);
            using SafetensorsFile file = Open(named);
            (ModelInfo? model, string? problem) = TryLoad(named);
            string sha256 = terminal.Wait("Reading the whole file", file.ComputeSha256);
            if (parsed.GetValue(json)) WriteJson(terminal, file, model, problem, sha256);
            else WriteTables(terminal, file, model, problem, sha256, parsed.GetValue(tensors));
            return ExitCode.Done;
        });
        return new Documented(command,
        [
            "inspect lizad.safetensors",
            "inspect lizad.safetensors --tensors",
            "inspect lizad.safetensors --json",
        ]);
    }

    private static SafetensorsFile Open(string? path) =>
        path is null ? SafetensorsFile.Open(NanoModel.Open(), NanoModel.Name) : SafetensorsFile.Open(path);

    /// <summary>
    /// Tries to load the model. A file may be valid without being a TinyZsad model; the reason is then part of the output.
    /// </summary>
    private static (ModelInfo? Model, string? Problem) TryLoad(string? path)
    {
        try
        {
            using AnomalyDetector detector = AnomalyDetector.Load(Open(path), new DetectorOptions { Threads = 1 });
            return (detector.Model, null);
        }
        catch (TinyZsadException e)
        {
            return (null, e is ModelFormatException { Reason: string reason } ? reason : e.Message);
        }
    }

    private static void WriteTables(Terminal terminal, SafetensorsFile file, ModelInfo? model, string? problem, string sha256,
        bool every)
    {
        List<(string, string)> facts =
        [
            ("file", file.Name), ("size", $"{Units.Bytes(file.Length)} ({Units.Count(file.Length)} bytes)"), ("sha-256", sha256),
            ("parameters", Units.Count(file.Tensors.Sum(t => t.ElementCount))), ("tensors", Units.Count(file.Tensors.Count)),
        ];
        if (model is null)
        {
            facts.Add(("system", $"none; {problem}"));
        }
        else
        {
            facts.Add(("system", model.SystemName));
            foreach ((string label, string key) in Words)
                if (file.Metadata.TryGetValue(key, out string? words)) facts.Add((label, words));
            facts.Add(("picture size", $"{model.ImageSize} x {model.ImageSize}"));
            if (model.TakesClassName)
            {
                facts.Add(("classes", (model.AnyClass ? "any (text tower)" : "only stored ones")
                    + (model.StoredClasses.Count > 0 ? $"; stored: {string.Join(", ", model.StoredClasses)}" : "; none stored")));
            }
        }
        terminal.Show(Tables.OfPairs(facts));

        if (file.Metadata.Count > 0)
        {
            Table metadata = Tables.Of("metadata", "value");
            IEnumerable<KeyValuePair<string, string>> others = file.Metadata.Where(p => !Words.Any(w => w.Key == p.Key));
            foreach ((string key, string value) in others.OrderBy(p => p.Key, StringComparer.Ordinal))
                metadata.Add(key, Clip(value));
            terminal.Space();
            terminal.Show(metadata);
        }
        if (file.Tensors.Count == 0) return;
        terminal.Space();
        terminal.Show(every ? List(file) : Summary(file));
    }

    private static Table List(SafetensorsFile file)
    {
        Table table = Tables.Of("tensor", "type", "shape", ">bytes");
        foreach (TensorEntry t in file.Tensors) table.Add(t.Name, t.TypeName, Units.Shape(t.Shape), Units.Count(t.ByteLength));
        return table;
    }

    private static Table Summary(SafetensorsFile file)
    {
        Table table = Tables.Of("group", ">tensors", ">parameters", ">bytes", "types");
        foreach (IGrouping<string, TensorEntry> group in file.Tensors.GroupBy(t => t.Name.Split('.')[0])
            .OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            table.Add(group.Key, Units.Count(group.Count()), Units.Count(group.Sum(t => t.ElementCount)),
                Units.Bytes(group.Sum(t => t.ByteLength)),
                string.Join(", ", group.OrderBy(t => t.Type).Select(t => t.TypeName).Distinct()));
        }

        return table;
    }

    private static string Clip(string value) =>
        value.Length <= LongestValue ? value : $"{value[..LongestValue]}… ({value.Length} characters)";

    private static void WriteJson(Terminal terminal, SafetensorsFile file, ModelInfo? model, string? problem, string sha256) =>
        Json.WriteObject(terminal.Output, indented: true, json =>
        {
            json.WriteString("file", file.Name);
            json.WriteNumber("bytes", file.Length);
            json.WriteString("sha256", sha256);
            json.WriteNumber("parameters", file.Tensors.Sum(t => t.ElementCount));
            json.WriteString("system", model?.SystemName);
            if (model is null)
            {
                json.WriteString("problem", problem);
            }
            else
            {
                json.WriteNumber("image_size", model.ImageSize);
                json.WriteBoolean("takes_class", model.TakesClassName);
                json.WriteBoolean("any_class", model.AnyClass);
                json.Array("stored_classes", model.StoredClasses, json.WriteStringValue);
            }
            json.WriteStartObject("metadata");
            foreach ((string key, string value) in file.Metadata) json.WriteString(key, value);
            json.WriteEndObject();
            json.Array("tensors", file.Tensors, t =>
            {
                json.WriteStartObject();
                json.WriteString("name", t.Name);
                json.WriteString("type", t.TypeName);
                json.Array("shape", t.Shape, json.WriteNumberValue);
                json.WriteNumber("bytes", t.ByteLength);
                json.WriteEndObject();
            });
        });
}
