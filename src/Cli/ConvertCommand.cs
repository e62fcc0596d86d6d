using System.CommandLine;
using System.CommandLine.Parsing;
using Spectre.Console;
using TinyZsad.Conversion;

namespace TinyZsad.Cli;

/// <summary>The <c>convert</c> command: creates models from the authors' checkpoints.</summary>
internal sealed class ConvertCommand
{
    private const string Kinds = ".safetensors, its index of shards, .pt or .pth";

    /// <summary>The number of names that a table lists. The rest is summarized in one row.</summary>
    private const int Shown = 40;

    private readonly Terminal terminal;
    private readonly Command command;
    private readonly Option<string> output = Arguments.OutputFile();
    private readonly Option<bool> flush = Arguments.Flag("--flush-to-zero",
        "Round values up to 2^-25 to zero, as FP16 does, instead of keeping their tensors in float32.");

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
        Command command = new("convert", "Creates a model from the authors' checkpoints. No code in a checkpoint is executed.");
        foreach (Documented system in systems) command.Add(system.Command);
        return new Documented(command, [.. systems.Select(s => s.Examples[0])], systems);
    }

    private static Documented LiZad(Terminal terminal)
    {
        Option<string> dinov3 = Checkpoint("--dinov3", "DINOv3 ViT-S/16, with Hugging Face's or Meta's tensor names");
        Option<string> mobileClip = Checkpoint("--mobileclip", "MobileCLIP2-S0, with open_clip's tensor names");
        Option<string> head = Checkpoint("--head", "LiZAD's own checkpoint");
        Option<string[]> classes = new("--class")
        {
            Description = "Store the embeddings of these classes. Use the same names as in detection.",
            HelpName = "NAME",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<bool> dropText =
            Arguments.Flag("--drop-text", "Omit the text tower. The file is much smaller and knows only stored classes.");
        ConvertCommand convert = new(terminal, "lizad", "Creates a LiZAD model.", [dinov3, mobileClip, head, classes, dropText]);
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
            Description = $"TinyViT, with timm's or Microsoft's tensor names: {Kinds}. Required unless --head contains it.",
            HelpName = "FILE",
        };
        Option<string> head = Checkpoint(
            "--head", "The trained readout: checkpoint.pt from tools/train_edgezsad.py, or only its tensors");
        Option<int> imageSize = Arguments.Whole("--image-size",
            "Width and height in pixels; 0 uses the size in --head, or else the size TinyViT was published for.", 0, 0, 2048);
        Option<int> topK = Arguments.Whole("--topk",
            "The number of tokens for the score; 0 uses the number in --head, or else one token in 64.", 0, 0, 1 << 20);
        ConvertCommand convert = new(terminal, "edgezsad", "Creates an EdgeZSAD model.", [tinyVit, head, imageSize, topK]);
        return convert.With((parsed, path, options, cancellationToken) => CheckpointConverter.EdgeZsad(
                parsed.GetValue(tinyVit), parsed.GetValue(head)!, path, Given(parsed.GetValue(imageSize)),
                Given(parsed.GetValue(topK)), options, cancellationToken),
            "convert edgezsad --tinyvit model.safetensors --head run/checkpoint.pt -o edgezsad.safetensors",
            "convert edgezsad --head run/checkpoint.pt -o edgezsad.safetensors");

        static int? Given(int n) => n == 0 ? null : n;
    }

    private static Documented VisualAd(Terminal terminal)
    {
        Option<string?> clip = Backbone("--clip", "CLIP ViT-B or L, as published by OpenAI");
        Option<string?> dinov2 = Backbone(
            "--dinov2", "DINOv2 ViT-S, B or L, with Meta's or Hugging Face's tensor names, instead of CLIP");
        Option<string> head = Checkpoint("--head", "VisualAD's own checkpoint");
        Option<FinalNorm> norm = Arguments.Choice("--ln-post",
            "The final norm to use: the backbone's own, as in the published results, or the one that training changed",
            ("backbone", FinalNorm.Backbone), ("checkpoint", FinalNorm.Checkpoint));
        ConvertCommand convert = new(terminal, "visualad", "Creates a VisualAD model.", [clip, dinov2, head, norm]);
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
            ("wrote", report.Path), ("system", report.SystemName), ("size", Units.Bytes(report.Bytes)),
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
