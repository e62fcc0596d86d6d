using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>
/// Represents VisualAD, which uses no text. Two learned tokens, one anomalous and one normal, pass through a CLIP or DINOv2 transformer
/// together with the patches, and are compared with them at several depths. The full graph is specified in
/// <c>tests/reference/visualad/SPEC.md</c>.
/// <code>
/// for each layer l:   F = ln_post(patches of block l)      t = SCA_l(ln_post(tokens of the last block), F)      P = SAF_l(F)
/// map = gaussian(bilinear(sum over l of cos(P, t anomaly) - cos(P, t normal)))          score = mean of its largest 1 %
/// </code>
/// Scores and maps are sums of differences of cosines, not probabilities. They are within ±2 per layer, usually near 0 and often
/// negative.
/// </summary>
internal sealed class VisualAd : AnomalySystem
{
    /// <summary>The number of learned tokens, and the same with the class token, which is used only in taps.</summary>
    private const int LearnedTokens = 2, NamedTokens = 3;

    /// <summary>
    /// The maximum numbers of patches and pixels per side, which bound the memory of a run. The published model has 37 and 518.
    /// </summary>
    private const int MaxGrid = 256, MaxPixels = 8192;

    private readonly VisionTransformer vision;
    private readonly Parameter positions;
    private readonly Layer[] layers;
    private readonly float[] mean;
    private readonly float[] std;
    private readonly float sigma;
    private readonly float topRatio;
    private readonly int grid;

    /// <summary>Represents the head of a block: the number of the block, from 1, and optional layers for tokens and patches.</summary>
    private sealed record Layer(int Block, SpatialCrossAttention? Attention, LinearWeights? Up, LinearWeights? Down);

    internal VisualAd(WeightStore weights, Device device, int? imageSize = null) : base(weights)
    {
        SafetensorsFile file = weights.File;
        WeightCursor root = Weights.Root, head = root.At("head");
        mean = Metadata.Floats("mean", 3);
        std = Metadata.Floats("std", 3, 1e-6f);
        sigma = Metadata.Float("sigma", 0, 64);
        topRatio = Metadata.FloatOr("topk_ratio", 0, 1, 0.01f);
        int stated = Metadata.Int("image_size", 1, 1 << 20);
        int? heads = file.Metadata.ContainsKey("heads") ? Metadata.Int("heads", 1, 64) : null;
        string backbone = Metadata.Text("backbone");
        Parameter[] Tokens(int width) => [head.Vector("anomaly_token", width), head.Vector("normal_token", width)];
        vision = backbone switch
        {
            _ when backbone.StartsWith("clip", StringComparison.Ordinal) => ClipVit.Read(root.At("vision"), heads, Tokens),
            _ when backbone.StartsWith("dinov2", StringComparison.Ordinal) => DinoV2.Read(root.At("vision"), heads, Tokens),
            _ => throw weights.KeyError("backbone",
                $"metadata 'backbone' is '{backbone}'; clip… (OpenAI's vision transformers) and dinov2… are known."),
        };

        int[] blocks = Metadata.Ints("features_list", null, 1, vision.Blocks.Length);
        if (blocks.Distinct().Count() != blocks.Length)
        {
            throw weights.KeyError("features_list",
                $"metadata 'features_list' is '{Metadata.Text("features_list")}'; it names a block twice.");
        }

        ImageSize = imageSize ?? stated;
        int most = Math.Min(MaxGrid * vision.PatchSize, MaxPixels);
        if (ImageSize < vision.PatchSize || ImageSize > most || ImageSize % vision.PatchSize != 0)
            throw Refused($"it must be a multiple of the patch, {vision.PatchSize}, up to {most}");
        grid = ImageSize / vision.PatchSize;
        positions = vision.Positions.Resize(Weights, grid);

        bool attends = head.At("cross_attn").Exists;
        layers = [.. blocks.Select(l => new Layer(l, attends ? Attention(l) : null, Transform(l, 0), Transform(l, 3)))];

        SpatialCrossAttention Attention(int block)
        {
            WeightCursor w = head.At("cross_attn").At("layer_attentions").At($"layer_{block}");
            int capacity = SpatialCrossAttention.Capacity(w);
            if (grid * grid > capacity)
            {
                throw Refused(
                    $"it gives {grid * grid} patches, and the spatial cross-attention of layer {block} has positions for " +
                    $"{capacity} ('pos_encoding')");
            }

            return new SpatialCrossAttention(w, vision.Width, grid * grid, device);
        }

        LinearWeights? Transform(int block, int index)
        {
            WeightCursor w = head.At("layer_transforms").At($"layer_{block}").At("mlp");
            if (!w.Has("0.weight") && !w.Has("3.weight")) return null;
            int hidden = w.Shape("0.weight", 2)[0];
            return index == 0 ? w.Linear("0", hidden, vision.Width) : w.Linear("3", vision.Width, hidden);
        }

        Exception Refused(string why) => imageSize is null
            ? weights.KeyError("image_size", $"metadata 'image_size' is {ImageSize}; {why}.")
            : new ArgumentException($"Image size {ImageSize} does not fit {file.Name}: {why}.", nameof(imageSize));
    }

    /// <inheritdoc/>
    public override string Name => "VisualAD";

    /// <inheritdoc/>
    public override int ImageSize { get; }

    /// <inheritdoc/>
    public override ImageScore DefaultScore => ImageScore.TopPercentMean;

    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">The score is <see cref="ImageScore.GlobalLogit"/>.</exception>
    public override ComputeGraph DetectionGraph(ImageScore score)
    {
        if (score == ImageScore.GlobalLogit)
        {
            throw new NotSupportedException(
                "VisualAD has no global logit: its score is made from the map. Choose the top 1 % mean or the maximum.");
        }

        ComputeGraph g = new();
        Value pixels = g.Input(Pixels, ImageSize * ImageSize, 3, ValueKind.Byte);
        Value input = g.NormalizeImage(pixels, mean, std);
        g.Tap("input", input, [3, ImageSize, ImageSize], TapLayout.ChannelsFirst);
        Value[] hidden = vision.Build(g, input, ImageSize, positions);

        g.Scope = "head.tokens";
        Value named = vision.Normalize(g, g.Rows(hidden[^1], 0, NamedTokens)), tokens = g.Rows(named, 0, LearnedTokens);
        TapRow(g, "token.anomaly", named, 0);
        TapRow(g, "token.normal", named, 1);
        TapRow(g, "token.class", named, 2);

        Value? sum = null;
        foreach (Layer layer in layers)
        {
            g.Scope = $"head.layer_{layer.Block}";
            Value scores = Compare(g, layer, tokens, g.Rows(hidden[layer.Block - 1], vision.Tokens.Shape[0], grid * grid));
            sum = sum is null ? scores : g.Add(sum, scores);
        }
        g.Scope = "head.map";
        Value raised = g.Bilinear(sum!, grid, grid, ImageSize, ImageSize, BilinearMode.HalfPixel);
        g.Tap("map.sum", raised, [ImageSize, ImageSize]);
        Value map = g.GaussianBlur(raised, ImageSize, ImageSize, sigma);
        g.Tap("map.final", map, [ImageSize, ImageSize]);
        // The number of values is rounded up. Decimal arithmetic avoids the rounding error of a float: 0.01 of 4900 is 49, not 50.
        int top = Math.Clamp((int)Math.Ceiling((double)(decimal)topRatio * map.Rows), 1, map.Rows);
        g.Tap("score", Give(g, map, score, top)!, [1]);
        return g;
    }

    /// <summary>
    /// Adds cos(P, t anomaly) - cos(P, t normal) of each patch, [patches, 1], to the graph. The unit tokens are subtracted first, which
    /// takes one product and avoids cancellation.
    /// </summary>
    private Value Compare(ComputeGraph g, Layer layer, Value tokens, Value patches)
    {
        Value features = vision.Normalize(g, patches);
        g.Tap($"features.{layer.Block}", features);
        Value adapted = layer.Attention is null ? tokens : layer.Attention.Build(g, tokens, features);
        TapRow(g, $"sca.{layer.Block}.anomaly", adapted, 0);
        TapRow(g, $"sca.{layer.Block}.normal", adapted, 1);
        if (layer is { Up: { } up, Down: { } down })
        {
            features = g.Linear(g.Activate(g.Linear(features, up.Weight, up.Bias, trunk: true), ActivationKind.Gelu), down.Weight,
                down.Bias, trunk: true);
            g.Tap($"saf.{layer.Block}", features);
        }
        Value unit = g.L2Normalize(adapted);
        Value scores = g.DotRows(g.L2Normalize(features), g.Subtract(g.Rows(unit, 0, 1), g.Rows(unit, 1, 1)), 1);
        g.Tap($"score.{layer.Block}", scores, [grid, grid]);
        return scores;
    }

    private static void TapRow(ComputeGraph g, string name, Value x, int row) => g.Tap(name, g.Rows(x, row, 1), [x.Columns]);
}
