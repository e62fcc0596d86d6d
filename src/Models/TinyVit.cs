using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>
/// Represents the sizes of a TinyViT. It has four stages: the first consists of MBConv blocks, the others of transformer blocks with
/// windowed attention.
/// </summary>
/// <param name="ImageSize">The width and height of the image in pixels.</param>
/// <param name="Dims">The number of channels of each stage.</param>
/// <param name="Depths">The number of blocks of each stage.</param>
/// <param name="Heads">The number of heads of each stage; that of the first is not used.</param>
/// <param name="Windows">The side of the windows of each stage; that of the first is not used.</param>
internal sealed record TinyVitSizes(int ImageSize, int[] Dims, int[] Depths, int[] Heads, int[] Windows)
{
    /// <summary>The variants by name: the published ones (microsoft/Cream, timm) and EdgeZSAD nano.</summary>
    public static readonly IReadOnlyDictionary<string, TinyVitSizes> Named = new Dictionary<string, TinyVitSizes>
    {
        ["tiny_vit_5m_224"] = new(224, [64, 128, 160, 320], [2, 2, 6, 2], [2, 4, 5, 10], [7, 7, 14, 7]),
        ["tiny_vit_11m_224"] = new(224, [64, 128, 256, 448], [2, 2, 6, 2], [2, 4, 8, 14], [7, 7, 14, 7]),
        ["tiny_vit_21m_224"] = new(224, [96, 192, 384, 576], [2, 2, 6, 2], [3, 6, 12, 18], [7, 7, 14, 7]),
        ["tiny_vit_21m_384"] = new(384, [96, 192, 384, 576], [2, 2, 6, 2], [3, 6, 12, 18], [12, 12, 24, 12]),
        ["tiny_vit_21m_512"] = new(512, [96, 192, 384, 576], [2, 2, 6, 2], [3, 6, 12, 18], [16, 16, 32, 16]),
        ["edgezsad-nano"] = new(256, [32, 64, 96, 160], [1, 1, 4, 1], [1, 2, 3, 5], [8, 8, 16, 8]),
    };

    /// <summary>
    /// Gets the metadata key of the first difference; null if there is none. Heads and windows of the first stage are ignored.
    /// </summary>
    public string? DifferenceFrom(TinyVitSizes other) =>
        ImageSize != other.ImageSize ? "image_size"
        : !Dims.SequenceEqual(other.Dims) ? "dims"
        : !Depths.SequenceEqual(other.Depths) ? "depths"
        : !Heads.Skip(1).SequenceEqual(other.Heads.Skip(1)) ? "heads"
        : !Windows.Skip(1).SequenceEqual(other.Windows.Skip(1)) ? "windows"
        : null;
}

/// <summary>
/// Represents TinyViT (Wu et al., ECCV 2022; microsoft/Cream, timm <c>tiny_vit</c>): a convolutional stem and first stage, then windowed
/// attention with learned position biases. All values are token matrices, [height * width, channels], so that pointwise convolutions
/// are linear layers. BatchNorm is folded into the convolutions in double precision.
/// </summary>
internal sealed class TinyVit
{
    /// <summary>The maximum number of elements of a map, 512 MiB. TinyViT-21M at 2048 pixels needs 100 million.</summary>
    private const long MaxMap = 1 << 27;

    private readonly WeightCursor weights;
    private readonly TinyVitSizes sizes;
    private readonly int mlpRatio;
    private readonly int expandRatio;
    private readonly float layerNormEps;
    private readonly double batchNormEps;
    private readonly float[] mean;
    private readonly float[] std;
    private readonly Stem stem;
    private readonly InvertedBottleneck[] firstStage;
    private readonly Stage[] stages;

    private sealed record Stem(FoldedConvolution First, FoldedConvolution Second);

    private sealed record Block(WindowBlock Attention, FoldedConvolution LocalConv, MlpBlock Mlp);

    private sealed record Stage(InvertedBottleneck Downsample, Block[] Blocks);

    /// <summary>Reads the network at the cursor.</summary>
    /// <param name="w">The cursor at the network, with the tensor names of timm or Microsoft.</param>
    /// <param name="metadata">The metadata, with ratios, epsilons, mean and standard deviation.</param>
    /// <param name="sizes">The sizes in the metadata.</param>
    /// <exception cref="ModelFormatException">The tensors or the metadata do not match the network.</exception>
    public TinyVit(WeightCursor w, ModelMetadata metadata, TinyVitSizes sizes)
    {
        weights = w.At("patch_embed").At("seq").Exists ? w.Renamed(MicrosoftName) : w;
        this.sizes = sizes;
        mlpRatio = metadata.Int("mlp_ratio", 1, 16);
        expandRatio = metadata.Int("expand_ratio", 1, 16);
        layerNormEps = metadata.Float("layer_norm_eps", 0, 1);
        batchNormEps = metadata.Float("batch_norm_eps", 0, 1);
        mean = metadata.Floats("mean", 3);
        std = metadata.Floats("std", 3, 1e-6f);

        CheckMaps();
        for (int s = 0; s < 4; s++)
        {
            if (weights.At("stages", s).At("blocks", sizes.Depths[s]).Exists)
            {
                throw w.Store.KeyError("depths",
                    $"metadata 'depths' says that stage {s} has {sizes.Depths[s]} blocks, but the file holds more of them.");
            }
        }

        int[] dims = sizes.Dims;
        stem = new Stem(
            FoldedConvolution.Dense(weights.At("patch_embed").At("conv1"), dims[0] / 2, 3, batchNormEps),
            FoldedConvolution.Dense(weights.At("patch_embed").At("conv2"), dims[0], dims[0] / 2, batchNormEps));
        firstStage = [.. Enumerable.Range(0, sizes.Depths[0])
            .Select(b => InvertedBottleneck.Read(weights.At("stages.0.blocks", b), dims[0], dims[0] * expandRatio, dims[0], batchNormEps))];
        stages = [.. Enumerable.Range(1, 3).Select(s => new Stage(
            InvertedBottleneck.Read(weights.At("stages", s).At("downsample"), dims[s - 1], dims[s], dims[s], batchNormEps),
            [.. Enumerable.Range(0, sizes.Depths[s]).Select(b => ReadBlock(weights.At("stages", s).At("blocks", b), s))]))];
    }

    /// <summary>Adds the network to a graph.</summary>
    /// <param name="g">The graph.</param>
    /// <param name="pixels">[image size², 3] bytes.</param>
    /// <returns>The map of each stage, [side * side, channels], and its side.</returns>
    public (Value Map, int Side)[] Build(ComputeGraph g, Value pixels)
    {
        int side = sizes.ImageSize;
        g.Scope = "vision.patch_embed";
        Value x = g.NormalizeImage(pixels, mean, std);
        g.Tap("input", x, [3, side, side], TapLayout.ChannelsFirst);
        x = g.Activate(g.Conv(x, side, side, 2, stem.First.Weight, stem.First.Bias), ActivationKind.Gelu);
        side = Halved(side);
        TapMap("patch_embed.act");
        x = g.Conv(x, side, side, 2, stem.Second.Weight, stem.Second.Bias);
        side = Halved(side);
        TapMap("patch_embed");

        (Value, int)[] maps = new (Value, int)[4];
        for (int b = 0; b < firstStage.Length; b++)
        {
            g.Scope = $"vision.stages.0.blocks.{b}";
            x = firstStage[b].MbConv(g, x, side, side);
            TapMap($"stages.0.blocks.{b}");
        }
        TapMap("stages.0");
        maps[0] = (x, side);

        for (int s = 1; s <= 3; s++)
        {
            g.Scope = $"vision.stages.{s}.downsample";
            x = stages[s - 1].Downsample.PatchMerging(g, x, side, side);
            side = Halved(side);
            TapMap($"stages.{s}.downsample");
            for (int b = 0; b < stages[s - 1].Blocks.Length; b++)
            {
                g.Scope = $"vision.stages.{s}.blocks.{b}";
                x = BuildBlock(g, x, side, stages[s - 1].Blocks[b], $"stages.{s}.blocks.{b}");
            }
            TapMap($"stages.{s}");
            maps[s] = (x, side);
        }
        return maps;

        void TapMap(string name) => g.Tap(name, x, [side, side, x.Columns]);
    }

    private Value BuildBlock(ComputeGraph g, Value x, int side, Block w, string tap)
    {
        x = w.Attention.Build(g, x, side, side, layerNormEps);
        g.Tap($"{tap}.after_attn", x, [side, side, x.Columns]);
        x = g.DepthwiseConv(x, side, side, 1, w.LocalConv.Weight, w.LocalConv.Bias);
        g.Tap($"{tap}.after_local_conv", x, [side, side, x.Columns]);
        x = w.Mlp.Build(g, x, layerNormEps);
        g.Tap(tap, x, [side, side, x.Columns]);
        return x;
    }

    /// <summary>Checks the largest map of each stage, including window padding, so that a small file cannot request much memory.</summary>
    private void CheckMaps()
    {
        long side = Halved(Halved(sizes.ImageSize));
        for (int s = 0; s < 4; s++)
        {
            if (s > 0) side = (side + 1) / 2;
            // Relative to the map of a stage, inner maps of the stem are 2 times as large, of the downsampling 4 times, and queries, keys
            // and values together 3 times.
            long filled = s == 0 ? side : (side + sizes.Windows[s] - 1) / sizes.Windows[s] * sizes.Windows[s];
            long largest = filled * filled * sizes.Dims[s] * (s == 0 ? Math.Max(2, expandRatio) : Math.Max(4, mlpRatio));
            if (largest > MaxMap)
            {
                throw weights.Store.KeyError("image_size",
                    $"stage {s} at image_size {sizes.ImageSize} makes a map of {largest} numbers; at most {MaxMap} are computed.");
            }
        }
    }

    private static int Halved(int side) => (side + 1) / 2;

    private Block ReadBlock(WeightCursor w, int stage)
    {
        int c = sizes.Dims[stage], heads = sizes.Heads[stage];
        if (c % heads != 0)
        {
            throw weights.Store.KeyError(
                "heads", $"stage {stage} has {c} channels, which cannot be divided into {heads} heads.");
        }

        return new Block(
            WindowBlock.Read(w.At("attn"), c, heads, sizes.Windows[stage]),
            FoldedConvolution.Depthwise(w.At("local_conv"), c, batchNormEps),
            MlpBlock.Read(w.At("mlp"), c, mlpRatio * c));
    }

    /// <summary>Gets the name in Microsoft's checkpoints for a tensor name of timm.</summary>
    internal static string MicrosoftName(string timm)
    {
        string name = timm.Replace(".conv.weight", ".c.weight", StringComparison.Ordinal)
            .Replace("patch_embed.conv1.", "patch_embed.seq.0.", StringComparison.Ordinal)
            .Replace("patch_embed.conv2.", "patch_embed.seq.2.", StringComparison.Ordinal);
        for (int s = 0; s <= 3; s++)
        {
            // PatchMerging is the end of a stage in Microsoft's names and the beginning of the next stage in those of timm.
            name = name.Replace($"stages.{s}.downsample.", $"layers.{s - 1}.downsample.", StringComparison.Ordinal)
                .Replace($"stages.{s}.", $"layers.{s}.", StringComparison.Ordinal);
        }
        return name;
    }
}
