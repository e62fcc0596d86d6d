using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>
/// Represents EdgeZSAD: TinyViT with EdgeGLR, a global-local readout without text. The backbone is exact. The readout is a
/// reconstruction from the abstract of the paper; <c>tests/reference/edgezsad/SPEC.md</c> marks what is published and what is a choice.
/// <code>
/// global: g = fc(LN(mean of stage 3's tokens))             score = sigmoid(g + alpha * mean of A's top k)
/// local:  A = fc(LN(stage 2's tokens))                     map   = sigmoid(bilinear(A))
/// </code>
/// </summary>
internal sealed class EdgeZsad : AnomalySystem
{
    private const string Readout = "head.glr.";

    private readonly TinyVit vision;
    private readonly NormWeights globalNorm;
    private readonly NormWeights localNorm;
    private readonly LinearWeights globalLayer;
    private readonly LinearWeights localLayer;
    private readonly Parameter alpha;
    private readonly int localStage;
    private readonly int globalStage;
    private readonly int topK;
    private readonly float eps;
    private readonly int gridSide;

    internal EdgeZsad(WeightStore weights) : base(weights)
    {
        SafetensorsFile file = weights.File;
        Metadata.Text("resize", "squash-bicubic");
        Variant = Metadata.Text("variant");
        TinyVitSizes sizes = new(
            Metadata.Int("image_size", 32, 2048),
            Four("dims", 2048), Four("depths", 64), Four("heads", 256), Four("windows", 256));
        if (TinyVitSizes.Named.TryGetValue(Variant, out TinyVitSizes? named))
        {
            if (sizes.DifferenceFrom(named) is { } key)
            {
                throw weights.KeyError(
                    key, $"metadata '{key}' is '{Metadata.Text(key)}', which is not that of its variant '{Variant}'.");
            }
        }
        else if (Variant != "custom")
        {
            throw weights.KeyError("variant",
                $"metadata 'variant' is '{Variant}'; known are {string.Join(", ", TinyVitSizes.Named.Keys)} and custom.");
        }

        if (sizes.Dims[0] % 2 != 0)
        {
            throw weights.KeyError(
                "dims", $"metadata 'dims' begins with {sizes.Dims[0]}, where an even number is needed.");
        }

        ImageSize = sizes.ImageSize;
        localStage = Metadata.Int("local_stage", 0, 3);
        globalStage = Metadata.Int("global_stage", 0, 3);
        eps = Metadata.Float("layer_norm_eps", 0, 1);
        // The stem halves the side twice, and each stage except the first once.
        gridSide = Enumerable.Range(0, localStage + 2).Aggregate(ImageSize, (side, _) => (side + 1) / 2);
        topK = Metadata.Int("topk", 1, gridSide * gridSide);

        WeightCursor root = Weights.Root, head = root.At("head").At("glr");
        if (!file.Tensors.Any(t => t.Name.StartsWith("head.", StringComparison.Ordinal)))
        {
            throw new ModelFormatException(
                file.Name, $"it is a TinyViT without a trained readout (no tensor '{Readout}*'), so it can score nothing.");
        }

        int n = sizes.Dims[globalStage], m = sizes.Dims[localStage];
        globalNorm = head.At("global").Norm("norm", n);
        globalLayer = head.At("global").Linear("fc", 1, n);
        localNorm = head.At("local").Norm("norm", m);
        localLayer = head.At("local").Linear("fc", 1, m);
        alpha = head.At("fusion").Vector("alpha", 1);
        string[] known =
        [
            "global.norm.weight", "global.norm.bias", "global.fc.weight", "global.fc.bias",
            "local.norm.weight", "local.norm.bias", "local.fc.weight", "local.fc.bias", "fusion.alpha"
        ];
        foreach (TensorEntry t in file.Tensors.Where(t => t.Name.StartsWith("head.", StringComparison.Ordinal)))
        {
            if (!known.Contains(t.Name.StartsWith(Readout, StringComparison.Ordinal) ? t.Name[Readout.Length..] : null))
            {
                throw weights.TensorError(
                    t.Name, $"tensor '{t.Name}' does not belong to the readout that this version knows, EdgeGLR " +
                    $"({string.Join(", ", known.Select(k => Readout + k))}).");
            }
        }

        vision = new TinyVit(root.At("vision"), Metadata, sizes);

        int[] Four(string key, int max) => Metadata.Ints(key, 4, 1, max);
    }

    /// <summary>Gets the TinyViT variant: a published name such as tiny_vit_21m_512, or custom.</summary>
    public string Variant { get; }

    /// <inheritdoc/>
    public override string Name => "EdgeZSAD";

    /// <inheritdoc/>
    public override int ImageSize { get; }

    /// <inheritdoc/>
    public override ImageScore DefaultScore => ImageScore.GlobalLogit;

    /// <inheritdoc/>
    public override ComputeGraph DetectionGraph(ImageScore score)
    {
        ComputeGraph g = new();
        Value pixels = g.Input(Pixels, ImageSize * ImageSize, 3, ValueKind.Byte);
        (Value Map, int Side)[] maps = vision.Build(g, pixels);

        g.Scope = "head.glr.global";
        Value pooled = g.MeanRows(maps[globalStage].Map);
        g.Tap("global.pool", pooled, [pooled.Columns]);
        Value normed = g.LayerNorm(pooled, globalNorm.Weight, globalNorm.Bias, eps);
        g.Tap("global.norm", normed, [normed.Columns]);
        Value global = g.Linear(normed, globalLayer.Weight, globalLayer.Bias, trunk: true);
        g.Tap("global.logit", global, [1]);

        g.Scope = "head.glr.local";
        (Value map, int side) = maps[localStage];
        Value local = g.LayerNorm(map, localNorm.Weight, localNorm.Bias, eps);
        g.Tap("local.norm", local, [side, side, local.Columns]);
        Value logits = g.Linear(local, localLayer.Weight, localLayer.Bias, trunk: true);
        g.Tap("local.logits", logits, [side, side]);
        Value most = g.TopKMean(logits, topK);
        g.Tap("local.topk", most, [1]);

        g.Scope = "head.glr.fusion";
        Value logit = g.Add(global, g.Scale(most, alpha));
        g.Tap("score.logit", logit, [1]);
        Value squashed = g.Activate(logit, ActivationKind.Sigmoid);
        g.Tap("score", squashed, [1]);
        Value enlarged = g.Activate(
            g.Bilinear(logits, side, side, ImageSize, ImageSize, BilinearMode.HalfPixel), ActivationKind.Sigmoid);
        g.Tap("map.final", enlarged, [ImageSize, ImageSize]);
        g.Output("logits", logits);
        Give(g, enlarged, score);
        if (score == ImageScore.GlobalLogit)
        {
            g.Output("logit", logit);
            g.Output("score", squashed);
        }
        return g;
    }

    /// <inheritdoc/>
    public override Detection Read(Run run, ImageScore score, Memory<float> mapBuffer = default)
    {
        Detection detection = base.Read(run, score, mapBuffer);
        return detection with
        {
            RawScore = score == ImageScore.GlobalLogit ? run.Output("logit")[0] : detection.Score,
            // A map of another size is computed from the logits, because the sigmoid follows the resize.
            Logits = new LogitMap(run.Output("logits").ToArray(), gridSide),
        };
    }
}
