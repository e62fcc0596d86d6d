using System.Globalization;
using System.Text.Json;
using TinyZsad.Models;
using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>
/// Converts a TinyViT, with the names of timm, Microsoft or MobileSAM, and a trained readout to EdgeZSAD
/// (<c>tests/reference/edgezsad/SPEC.md</c>, sections 3 and 4). The readout is a checkpoint or model of <c>tools/train_edgezsad.py</c>,
/// with metadata and backbone, or a state dict of the readout only.
/// </summary>
internal static class EdgeZsadConversion
{
    private const string TimmMarker = "patch_embed.conv1.conv.weight", MicrosoftMarker = "patch_embed.seq.0.c.weight";

    private static readonly string[] Readout =
    [
        "global.norm.weight", "global.norm.bias", "global.fc.weight", "global.fc.bias",
        "local.norm.weight", "local.norm.bias", "local.fc.weight", "local.fc.bias", "fusion.alpha",
    ];

    private static readonly string[] BlockLeaves =
    [
        "attn.norm.weight", "attn.norm.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.attention_biases", "attn.proj.weight",
        "attn.proj.bias", "mlp.norm.weight", "mlp.norm.bias", "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias",
    ];

    private static readonly string[] Norm = ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"];

    private static readonly string[] Keys =
    [
        "format", "format_version", "model", "variant", "resize", "image_size", "dims", "depths", "heads", "windows", "mlp_ratio",
        "expand_ratio", "layer_norm_eps", "batch_norm_eps", "local_stage", "global_stage", "topk", "mean", "std",
    ];

    public static void Fill(ModelDraft draft, string? tinyVit, string head, int? imageSize, int? topK)
    {
        Checkpoint trained = draft.Open("head", head);
        StateDict readout = draft.Use("head", FindReadout(trained));
        foreach (string name in Readout) draft.Add($"head.glr.{name}", readout.Take(name));

        StateDict? own = FindBackbone(trained);
        StateDict backbone;
        if (tinyVit is null)
        {
            backbone = own ?? throw new ModelFormatException(
                head, "it holds a readout without its backbone; give the TinyViT that it was trained on.");
        }
        else
        {
            Checkpoint checkpoint = draft.Open("vision", tinyVit);
            backbone = FindBackbone(checkpoint) ?? throw StateDict.NotFound(checkpoint, "TinyViT",
                $"'{TimmMarker}' (timm's name) or '{MicrosoftMarker}' (Microsoft's)");
        }
        draft.Use(tinyVit is null ? "head" : "vision", backbone);
        bool microsoft = backbone.Has(MicrosoftMarker);
        TinyVitSizes sizes = SizesOf(backbone, microsoft);
        foreach (string name in NamesOf(sizes))
        {
            CheckpointTensor tensor = backbone.Take(Named(name, microsoft));
            draft.Add($"vision.{name}", tensor);
            if (tinyVit is null || own is null) continue;
            CheckpointTensor trainedWith = own.Take(Named(name, own.Has(MicrosoftMarker)));
            if (!HalfEncoding.Equal(tensor, trainedWith))
            {
                throw own.Error(
                    trainedWith.Name, $"it holds the backbone that the readout was trained with, and {tinyVit} is another "
                    + $"('{tensor.Name}' differs); leave that out");
            }
        }
        backbone.RefuseOthers("TinyViT", "", name => name.StartsWith("head.", StringComparison.Ordinal)
            || name.StartsWith("norm_head.", StringComparison.Ordinal) || name.StartsWith("neck.", StringComparison.Ordinal));

        Dictionary<string, string> stated = Stated(trained) ?? Inferred(backbone, microsoft, sizes, imageSize, topK, head);
        if (imageSize is { } pixels) stated["image_size"] = Text(pixels);
        if (topK is { } tokens) stated["topk"] = Text(tokens);
        foreach (string key in Keys)
        {
            draft.Describe(key, stated.TryGetValue(key, out string? value)
                ? value
                : throw new ModelFormatException(head, $"what it says of its model lacks '{key}'.") { Key = key });
        }

        draft.Describe("vision_source", draft.SourceOf(tinyVit is null ? "head" : "vision"));
        draft.Describe("head_source", draft.SourceOf("head"));
    }

    private static string Text(long n) => n.ToString(CultureInfo.InvariantCulture);

    private static string Named(string timm, bool microsoft) => microsoft ? TinyVit.MicrosoftName(timm) : timm;

    private static StateDict FindReadout(Checkpoint checkpoint) =>
        StateDict.Find(checkpoint, "global.fc.weight", "head.glr.", "glr.")
        ?? throw StateDict.NotFound(checkpoint, "EdgeZSAD's readout", "'head.glr.global.fc.weight'");

    private static StateDict? FindBackbone(Checkpoint checkpoint) =>
        StateDict.Find(checkpoint, TimmMarker, "vision.", "image_encoder.")
        ?? StateDict.Find(checkpoint, MicrosoftMarker, "vision.", "image_encoder.");

    /// <summary>Gets the model metadata of a file of <c>tools/train_edgezsad.py</c>; null for another file.</summary>
    private static Dictionary<string, string>? Stated(Checkpoint checkpoint)
    {
        const string Prefix = "__metadata__.";
        if (checkpoint.Values.GetValueOrDefault(Prefix + "model") is "edgezsad")
        {
            return checkpoint.Values.Where(p => p.Key.StartsWith(Prefix, StringComparison.Ordinal))
                .ToDictionary(p => p.Key[Prefix.Length..], p => (string)p.Value);
        }

        if (checkpoint.Values.GetValueOrDefault("about") is not string about) return null;
        try
        {
            using JsonDocument document = JsonDocument.Parse(about);
            return document.RootElement.GetProperty("recipe").GetProperty("variant").EnumerateObject()
                .ToDictionary(p => p.Name, p => p.Value.GetString() ?? "");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentException)
        {
            throw new ModelFormatException(checkpoint.Name, "its 'about' is not what tools/train_edgezsad.py writes.", e)
            {
                Key = "about",
            };
        }
    }

    /// <summary>Derives the metadata of a named TinyViT, or of another one with a given image size.</summary>
    private static Dictionary<string, string> Inferred(
        StateDict backbone, bool microsoft, TinyVitSizes sizes, int? imageSize, int? topK, string head)
    {
        (string variant, TinyVitSizes? published) = TinyVitSizes.Named
            .FirstOrDefault(p => (sizes with { ImageSize = imageSize ?? p.Value.ImageSize }).DifferenceFrom(p.Value) is null);
        sizes = published ?? (imageSize is { } given
            ? sizes with { ImageSize = given }
            : throw new ModelFormatException(
                backbone.File, $"its TinyViT (dims {List(sizes.Dims)}, windows {List(sizes.Windows[1..])}) is none of "
                + $"{string.Join(", ", TinyVitSizes.Named.Keys)}, and {head} does not say for which picture size it is; "
                + "give that."));
        const int LocalStage = 2, GlobalStage = 3;
        long grid = sizes.ImageSize;
        for (int i = 0; i < 2 + LocalStage; i++) grid = (grid + 1) / 2;
        return new()
        {
            ["format"] = "tinyzsad", ["format_version"] = "1", ["model"] = "edgezsad", ["variant"] = variant ?? "custom",
            ["resize"] = "squash-bicubic", ["image_size"] = Text(sizes.ImageSize), ["dims"] = List(sizes.Dims),
            ["depths"] = List(sizes.Depths), ["heads"] = List(sizes.Heads), ["windows"] = List(sizes.Windows),
            ["mlp_ratio"] = Text(backbone.Size(Named("stages.1.blocks.0.mlp.fc1.weight", microsoft), 2, 0) / sizes.Dims[1]),
            ["expand_ratio"] = Text(backbone.Size(Named("stages.0.blocks.0.conv1.conv.weight", microsoft), 4, 0) / sizes.Dims[0]),
            ["layer_norm_eps"] = "1e-05", ["batch_norm_eps"] = "1e-05", ["local_stage"] = Text(LocalStage),
            ["global_stage"] = Text(GlobalStage), ["topk"] = Text(topK ?? Math.Max(1, grid * grid / 64)),
            ["mean"] = "0.485,0.456,0.406", ["std"] = "0.229,0.224,0.225",
        };

        static string List(int[] numbers) => string.Join(',', numbers);
    }

    /// <summary>Derives the sizes of a TinyViT from its shapes, without the image size.</summary>
    private static TinyVitSizes SizesOf(StateDict state, bool microsoft)
    {
        int Size(string name, int rank, int dimension) =>
            (int)Math.Min(state.Size(Named(name, microsoft), rank, dimension), int.MaxValue);
        int[] stages = [1, 2, 3];
        int first = Size("patch_embed.conv2.conv.weight", 4, 0);
        int[] dims = [first, .. stages.Select(s => Size($"stages.{s}.downsample.conv1.conv.weight", 4, 0))];
        int[] depths = [.. Enumerable.Range(0, 4).Select(s =>
            state.CountOf(microsoft ? $"layers.{s}.blocks" : $"stages.{s}.blocks"))];
        int[] heads = [.. stages.Select(s => Size($"stages.{s}.blocks.0.attn.attention_biases", 2, 0))];
        int[] windows = [.. stages.Select(s => (int)Math.Sqrt(Size($"stages.{s}.blocks.0.attn.attention_biases", 2, 1)))];
        // The first stage is convolutional, so its heads and windows are placeholders.
        return new TinyVitSizes(0, dims, depths, [Math.Max(1, first / 32), .. heads], [windows[0], .. windows]);
    }

    /// <summary>Gets the names of all tensors in timm.</summary>
    private static List<string> NamesOf(TinyVitSizes sizes)
    {
        List<string> names = [];
        AddConvolution("patch_embed.conv1");
        AddConvolution("patch_embed.conv2");
        for (int s = 0; s < 4; s++)
        {
            if (s > 0) AddConvolutions($"stages.{s}.downsample");
            for (int b = 0; b < sizes.Depths[s]; b++)
            {
                string block = $"stages.{s}.blocks.{b}";
                if (s == 0)
                {
                    AddConvolutions(block);
                }
                else
                {
                    names.AddRange(BlockLeaves.Select(leaf => $"{block}.{leaf}"));
                    AddConvolution($"{block}.local_conv");
                }
            }
        }
        return names;

        void AddConvolutions(string place)
        {
            for (int i = 1; i <= 3; i++) AddConvolution($"{place}.conv{i}");
        }

        void AddConvolution(string place) => names.AddRange(Norm.Prepend("conv.weight").Select(leaf => $"{place}.{leaf}"));
    }
}
