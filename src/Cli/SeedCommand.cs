using System.CommandLine;
using TinyZsad.Verification;

namespace TinyZsad.Cli;

/// <summary>The <c>seed</c> command: creates the model file that reference cases describe.</summary>
internal static class SeedCommand
{
    public static Documented Create(Terminal terminal)
    {
        Argument<string[]> cases = new("CASE")
        {
            Description = "Reference cases: folders with a manifest.json.",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<string> output = Arguments.OutputFile();
        Command command = new("seed", "Writes a model with generated weights: its shapes and speed are real, but it is not trained.")
        {
            cases, output,
        };
        command.SetAction(terminal, (parsed, _) =>
        {
            string path = parsed.GetValue(output)!;
            ReferenceCase[] opened = [.. parsed.GetValue(cases)!.Select(ReferenceCase.Open)];
            terminal.Wait("Writing weights", () =>
            {
                ReferenceCase.WriteModel(path, opened);
                return 0;
            });
            terminal.Show(Tables.OfPairs(
            [
                ("wrote", path), ("size", Units.Bytes(new FileInfo(path).Length)),
                ("cases", string.Join(", ", opened.Select(c => c.Name))),
            ]));
            return ExitCode.Done;
        });
        return new Documented(command,
        [
            "seed tests/reference/lizad/vision-full tests/reference/lizad/text -o seeded.safetensors",
            "seed tests/reference/lizad/tiny -o tiny.safetensors",
        ]);
    }
}
