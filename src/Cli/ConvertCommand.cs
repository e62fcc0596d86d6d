using System.CommandLine;
using System.CommandLine.Parsing;
using Spectre.Console;
using TinyZsad.Conversion;

namespace TinyZsad.Cli;

/// <summary><c>convert</c>: models of the authors' checkpoints.</summary>
internal sealed class ConvertCommand
{
    private const string Kinds = ".safetensors, its index of shards, .pt or .pth";

    /// <summary>Names that a table lists before it counts the rest.</summary>
    private const int Shown = 40;

    private readonly Terminal terminal;
    private readonly Command command;
    private readonly Option<string> output = Arguments.OutputFile();
    private readonly Option<bool> flush = Arguments.Flag("--flush-to-zero",
        "Let values up to 2^-25 become zero, as FP16 has it, instead of keeping their tensors in float32.");

    private ConvertCommand(Terminal terminal, string name, string description, IEnumerable<Option> options)
    {
        this.terminal = terminal;
        command = new Command(name, description);
        foreach (Option option in options) command.Add(option);
        command.Add(output);
        command.Add(flush);
    }

    public static Documented Create(Terminal terminal)
    {
        Documented[] systems = [LiZad(terminal), EdgeZsad(terminal), VisualAd(terminal)];
        Command command = new("convert", "Makes a model of the authors' checkpoints, of which nothing is executed.");
        foreach (Documented system in systems) command.Add(system.Command);
        return new Documented(command, [.. systems.Select(s => s.Examples[0])], systems);
    }

    private static Documented LiZad(Terminal terminal)
    {
        Option<string> dinov3 = Checkpoint("--dinov3", "DINOv3 ViT-S/16, under Hugging Face's names or Meta's");
        Option<string> mobileClip = Checkpoint("--mobileclip", "MobileCLIP2-S0, under open_clip's names");
        Option<string> head = Checkpoint("--head", "LiZAD's own checkpoint");
        Option<string[]> classes = new("--class")
        {
            Description = "Store the embeddings of these classes, as they will be named at detection.",
            HelpName = "NAME",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<bool> dropText =
            Arguments.Flag("--drop-text", "Leave the text tower out: a much smaller file, which knows only stored classes.");
        ConvertCommand convert = new(terminal, "lizad", "Makes a LiZAD model.", [dinov3, mobileClip, head, classes, dropText]);
        convert.command.Validators.Add(result =>
        {
            if (result.GetResult(classes) is { Tokens: var names } && names.Any(t => string.IsNullOrWhiteSpace(t.Value)))
                result.AddError("--class is empty.");
            else if (result.GetValue(dropText) && result.GetResult(classes) is not { Tokens.Count: > 0 })
                result.AddError("--drop-text leaves only stored classes: name some with --class.");
        });
        return convert.With((parsed, path, options, cancellationToken) => CheckpointConverter.LiZad(
                parsed.GetValue(dinov3)!, parsed.GetValue(mobileClip)!, parsed.GetValue(head)!, path,
                [.. (parsed.GetValue(classes) ?? []).Distinct()], !parsed.GetValue(dropText), options, cancellationToken),
            "convert lizad --dinov3 model.safetensors --mobileclip mobileclip2_s0.pt --head head.pth -o lizad.safetensors",
            "convert lizad --dinov3 dinov3_vits16.pth --mobileclip open_clip_model.safetensors --head head.pth "
                + "--class screw \"metal nut\" --drop-text -o parts.safetensors");
    }

    private static Documented EdgeZsad(Terminal terminal)
    {
        Option<string?> tinyVit = new("--tinyvit")
        {
            Description = $"TinyViT, under timm's names or Microsoft's: {Kinds}. Needed unless --head holds its backbone.",
            HelpName = "FILE",
        };
        Option<string> head = Checkpoint(
            "--head", "The trained readout: checkpoint.pt of tools/train_edgezsad.py, or its tensors alone");
        Option<int> imageSize = Arguments.Whole("--image-size",
            "Pixels each way; 0 takes what --head says, or what the TinyViT was published for.", 0, 0, 2048);
        Option<int> topK = Arguments.Whole("--topk",
            "Tokens that the score is read from; 0 takes what --head says, or one in 64.", 0, 0, 1 << 20);
        ConvertCommand convert = new(terminal, "edgezsad", "Makes an EdgeZSAD model.", [tinyVit, head, imageSize, topK]);
        return convert.With((parsed, path, options, cancellationToken) => CheckpointConverter.EdgeZsad(
                parsed.GetValue(tinyVit), parsed.GetValue(head)!, path, Given(parsed.GetValue(imageSize)),
                Given(parsed.GetValue(topK)), options, cancellationToken),
            "convert edgezsad --tinyvit model.safetensors --head run/checkpoint.pt -o edgezsad.safetensors",
            "convert edgezsad --head run/checkpoint.pt -o edgezsad.safetensors");

        static int? Given(int n) => n == 0 ? null : n;
    }

    private static Documented VisualAd(Terminal terminal)
    {
        Option<string?> clip = Backbone("--clip", "CLIP ViT-B or L as OpenAI publishes it");
        Option<string?> dinov2 = Backbone(
            "--dinov2", "DINOv2 ViT-S, B or L, under Meta's names or Hugging Face's, instead of CLIP");
        Option<string> head = Checkpoint("--head", "VisualAD's own checkpoint");
        Option<FinalNorm> norm = Arguments.Choice("--ln-post",
            "Which final norm to take: the backbone's own, as the published results do, or the one that training changed",
            ("backbone", FinalNorm.Backbone), ("checkpoint", FinalNorm.Checkpoint));
        ConvertCommand convert = new(terminal, "visualad", "Makes a VisualAD model.", [clip, dinov2, head, norm]);
        convert.command.Validators.Add(result =>
        {
            bool one = result.GetResult(clip) is not null, other = result.GetResult(dinov2) is not null;
            if (one == other)
            {
                result.AddError(
                    one ? "--clip and --dinov2 exclude each other." : "No backbone: give one with --clip or --dinov2.");
            }
        });
        return convert.With((parsed, path, options, cancellationToken) => CheckpointConverter.VisualAd(
                (parsed.GetValue(clip) ?? parsed.GetValue(dinov2))!, parsed.GetValue(clip) is null, parsed.GetValue(head)!, path,
                parsed.GetValue(norm) == FinalNorm.Checkpoint, options, cancellationToken),
            "convert visualad --clip ViT-L-14-336px.pt --head CLIP.pth -o visualad.safetensors",
            "convert visualad --dinov2 dinov2_vitl14_pretrain.pth --head DINOv2.pth -o visualad.safetensors");

        static Option<string?> Backbone(string name, string description) =>
            new(name) { Description = $"{description}: {Kinds}.", HelpName = "FILE" };
    }

    private enum FinalNorm
    {
        Backbone,
        Checkpoint,
    }

    private static Option<string> Checkpoint(string name, string description) =>
        new(name) { Description = $"{description}: {Kinds}.", HelpName = "FILE", Required = true };

    private Documented With(
        Func<ParseResult, string, ConversionOptions, CancellationToken, ConversionReport> convert, params string[] examples)
    {
        command.SetAction(terminal, (parsed, cancellationToken) =>
        {
            ConversionOptions options = new() { FlushToZero = parsed.GetValue(flush) };
            Write(terminal.Wait("Converting", () => convert(parsed, parsed.GetValue(output)!, options, cancellationToken)));
            return ExitCode.Done;
        });
        return new Documented(command, examples);
    }

    private void Write(ConversionReport report)
    {
        Table sources = Tables.Of("read", "file", "format", ">tensors", "sha-256");
        foreach (ConversionSource s in report.Sources)
        {
            foreach ((string name, string sha256) in s.Files)
                sources.Add(s.Part, name, s.Format, Units.Count(s.Tensors), sha256);
        }

        terminal.Show(sources);

        if (report.LeftOut.Count > 0)
        {
            Table left = Tables.Of("left out", "of", ">tensors", ">parameters");
            foreach (LeftOutTensors l in report.LeftOut.Take(Shown))
                left.Add(l.Name, l.Part, Units.Count(l.Tensors), Units.Count(l.Elements));
            if (report.LeftOut.Count > Shown)
            {
                left.Add($"and {report.LeftOut.Count - Shown} groups", "",
                    Units.Count(report.LeftOut.Skip(Shown).Sum(l => l.Tensors)),
                    Units.Count(report.LeftOut.Skip(Shown).Sum(l => l.Elements)));
            }

            terminal.Space();
            terminal.Show(left);
        }
        WriteLosses("kept in float32", report.KeptInFloat32);
        WriteLosses("flushed to zero", report.FlushedToZero);
        terminal.Space();
        terminal.Show(Tables.OfPairs(
        [
            ("wrote", report.Path), ("system", report.System), ("size", Units.Bytes(report.Bytes)),
            ("tensors", $"{Units.Count(report.Tensors)}, {Units.Count(report.KeptInFloat32.Count)} of them kept in float32"),
        ]));
    }

    private void WriteLosses(string heading, IReadOnlyList<HalfLoss> losses)
    {
        if (losses.Count == 0) return;
        Table table = Tables.Of(heading, ">values", ">overflow", ">to zero", ">coarse", "first");
        foreach (HalfLoss l in losses)
        {
            table.Add(l.Name, Units.Count(l.Count), Units.Count(l.Overflowing), Units.Count(l.Flushed), Units.Count(l.Coarse),
                $"{l.First:g6} at {l.FirstIndex}");
        }

        terminal.Space();
        terminal.Show(table);
    }
}
