using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>
/// Represents LiZAD, which compares DINOv3 ViT-S/16 features of four depths with MobileCLIP2 text embeddings through light projection
/// heads. The full graph is specified in <c>tests/reference/lizad/SPEC.md</c>.
/// <code>
/// t0, t1 = text adapters (normal, abnormal)
/// for each of four hidden states:   p = patch_adapter(patches) / |.|      L = 100 (p · t0, p · t1)
/// map = mean of softmax(bilinear(L))[1]          global = mean of 100 (cls_adapter(cls) / |.| · t0, t1)
/// </code>
/// </summary>
internal sealed class LiZad : AnomalySystem
{
    private readonly DinoV3 vision;
    private readonly ClassEncoder? encoder;
    private readonly ClassCache classes = new();
    private readonly int[] layers;
    private readonly LinearWeights positiveText;
    private readonly LinearWeights negativeText;
    private readonly LinearWeights[] patchAdapters;
    private readonly LinearWeights[]? classAdapters;
    private readonly float logitScale;
    private readonly ActivationFunction leaky;
    private readonly int embeddingWidth;

    internal LiZad(WeightStore weights, Device device) : base(weights)
    {
        SafetensorsFile file = weights.File;
        WeightCursor root = Weights.Root, head = root.At("head");
        ImageSize = Metadata.Int("image_size", 16, 4096);
        layers = Metadata.Ints("vision_layers", null, 1, 256);
        logitScale = Metadata.Float("logit_scale", 0, 1e6f);
        leaky = new ActivationFunction(ActivationKind.LeakyRelu, Metadata.Float("leaky_slope", 0, 1));
        if (layers.Length == 0) throw weights.KeyError("vision_layers", "metadata 'vision_layers' names no layer.");

        vision = new DinoV3(root.At("vision"), Metadata, layers.Max(), ImageSize);
        int[] adapter = head.At("positive_text_adapter").At("adapter.0").Shape("weight", 2);
        embeddingWidth = adapter[1];
        positiveText = Adapter(head.At("positive_text_adapter"), adapter[0], embeddingWidth);
        negativeText = Adapter(head.At("negative_text_adapter"), adapter[0], embeddingWidth);
        patchAdapters = [.. layers.Select((_, i) => Adapter(head.At("patch_adapter", i), adapter[0], vision.Width))];
        if (head.At("cls_adapter").Exists)
            classAdapters = [.. layers.Select((_, i) => Adapter(head.At("cls_adapter", i), adapter[0], vision.Width))];
        if (ClassEncoder.IsIn(root)) encoder = new ClassEncoder(root, Metadata, device);
        if (encoder is not null && encoder.Width != embeddingWidth)
        {
            throw weights.TensorError(
                "text.text_projection", $"the text tower gives {encoder.Width} values, and the head takes {embeddingWidth}.");
        }

        foreach (string name in file.Tensors.Select(t => t.Name))
        {
            if (Stem(name, NormalPrefix) is { } n) CheckStored(n);
            if (Stem(name, AbnormalPrefix) is { } a) CheckStored(a);
        }
    }

    /// <inheritdoc/>
    public override string Name => "LiZAD";

    /// <inheritdoc/>
    public override int ImageSize { get; }

    /// <inheritdoc/>
    public override bool TakesClassName => true;

    /// <inheritdoc/>
    public override ImageScore DefaultScore => ImageScore.TopPercentMean;

    /// <inheritdoc/>
    public override bool AnyClass => encoder is not null;

    /// <inheritdoc/>
    public override IReadOnlyList<string> StoredClasses =>
        [.. File.Tensors.Select(t => Stem(t.Name, NormalPrefix)).OfType<string>()];

    private const string NormalPrefix = "text.normal.", AbnormalPrefix = "text.abnormal.";

    private static string? Stem(string name, string prefix) =>
        name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : null;

    /// <summary>Checks that both vectors of a stored class are in the file.</summary>
    private void CheckStored(string className)
    {
        Weights.Root.Tensor(NormalPrefix + className, embeddingWidth);
        Weights.Root.Tensor(AbnormalPrefix + className, embeddingWidth);
    }

    private static LinearWeights Adapter(WeightCursor w, int outputs, int inputs) => w.At("adapter").Linear("0", outputs, inputs);

    /// <inheritdoc/>
    public override ComputeGraph DetectionGraph(ImageScore score)
    {
        ComputeGraph g = new();
        Value pixels = g.Input(Pixels, ImageSize * ImageSize, 3, ValueKind.Byte);
        Value normal = g.Input("text.normal", 1, embeddingWidth), abnormal = g.Input("text.abnormal", 1, embeddingWidth);
        g.Tap("text.normal", normal, [embeddingWidth]);
        g.Tap("text.abnormal", abnormal, [embeddingWidth]);
        Value[] hidden = vision.Build(g, pixels);

        g.Scope = "head";
        Value t = Stack(
            g,
            g.Activate(g.Linear(normal, positiveText.Weight, positiveText.Bias, trunk: true), leaky),
            g.Activate(g.Linear(abnormal, negativeText.Weight, negativeText.Bias, trunk: true), leaky));
        int grid = ImageSize / vision.PatchSize, prefix = 1 + vision.Registers;
        Value[] maps = new Value[layers.Length], scores = new Value[layers.Length];
        for (int i = 0; i < layers.Length; i++)
        {
            Value h = hidden[layers[i] - 1];
            Value patches = Adapt(g, g.Rows(h, prefix, grid * grid), patchAdapters[i], $"head.patch_adapter.{i}");
            Value logits = g.DotRows(g.L2Normalize(patches), t, logitScale);
            g.Tap($"head.logits.{i}", logits, [2, grid, grid], TapLayout.ChannelsFirst);
            Value difference = g.Subtract(g.Columns(logits, 1, 1), g.Columns(logits, 0, 1));
            maps[i] = g.Activate(
                g.Bilinear(difference, grid, grid, ImageSize, ImageSize, BilinearMode.AlignCorners), ActivationKind.Sigmoid);
            if (classAdapters is not null)
            {
                scores[i] = g.DotRows(
                    g.L2Normalize(Adapt(g, g.Rows(h, 0, 1), classAdapters[i], $"head.cls_adapter.{i}")), t, logitScale);
            }
        }
        Value map = g.Mean(maps);
        g.Tap("head.map", map, [ImageSize, ImageSize]);
        Give(g, map, score);
        if (classAdapters is not null)
        {
            Value global = g.Mean(scores);
            g.Tap("head.global", global, [2]);
            if (score == ImageScore.GlobalLogit) g.Output("global", global);
        }
        else if (score == ImageScore.GlobalLogit)
        {
            throw new NotSupportedException(
                $"{File.Name} has no 'head.cls_adapter' tensors, which the global logit is made from; choose another image " +
                "score.");
        }

        return g;
    }

    /// <summary>Adds a linear adapter of the head and its tap.</summary>
    private Value Adapt(ComputeGraph g, Value x, LinearWeights adapter, string tap)
    {
        Value y = g.Activate(g.Linear(x, adapter.Weight, adapter.Bias, trunk: true), leaky);
        g.Tap(tap, y, x.Rows == 1 ? [1, y.Columns] : [1, y.Rows, y.Columns]);
        return y;
    }

    /// <summary>Stacks both text vectors as rows, [2, width].</summary>
    private static Value Stack(ComputeGraph g, Value normal, Value abnormal)
    {
        g.Tap("head.positive_text_adapter", normal);
        g.Tap("head.negative_text_adapter", abnormal);
        return g.Concatenate(normal, abnormal);
    }

    /// <inheritdoc/>
    /// <exception cref="UnknownClassException">
    /// The class is not stored in the file, and the file has no text tower to embed it with.
    /// </exception>
    public override ClassEmbedding Prepare(string? className, CancellationToken cancellationToken, Action<double>? progress = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(className);
        return classes.Get(className, name => Stored(name) ?? Embed(name, progress, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public override bool IsPrepared(string? className) =>
        className is null || encoder is null || IsStored(className) || classes.Holds(className);

    private bool IsStored(string className) =>
        Weights.Root.Has(NormalPrefix + className) && Weights.Root.Has(AbnormalPrefix + className);

    private ClassEmbedding? Stored(string className)
    {
        if (!IsStored(className)) return null;
        WeightCursor root = Weights.Root;
        return new ClassEmbedding(Read(NormalPrefix + className), Read(AbnormalPrefix + className));

        float[] Read(string name) => root.Tensor(name, embeddingWidth).ToFloats();
    }

    private ClassEmbedding Embed(string className, Action<double>? progress, CancellationToken cancellationToken)
    {
        if (encoder is null) throw new UnknownClassException(className, StoredClasses, File.Name);
        if (EmbeddingFolder?.Find(className, embeddingWidth) is { } kept) return kept;
        ClassEmbedding embedding = encoder.Embed(className, progress, cancellationToken);
        EmbeddingFolder?.Keep(className, embedding);
        return embedding;
    }

    /// <inheritdoc/>
    public override void Bind(Run run, ClassEmbedding? prepared)
    {
        Span<float> normal = run.Floats("text.normal"), abnormal = run.Floats("text.abnormal");
        if (prepared is null)
        {
            // For timing, any vectors of about unit length will do.
            normal.Fill(1 / MathF.Sqrt(embeddingWidth));
            abnormal.Fill(-1 / MathF.Sqrt(embeddingWidth));
            return;
        }
        prepared.Normal.CopyTo(normal);
        prepared.Abnormal.CopyTo(abnormal);
    }

    /// <inheritdoc/>
    public override Detection Read(Run run, ImageScore score, Memory<float> mapBuffer = default)
    {
        if (score != ImageScore.GlobalLogit) return base.Read(run, score, mapBuffer);
        ReadOnlySpan<float> logits = run.Output("global");
        float raw = logits[1] - logits[0];
        return new Detection(1 / (1 + MathF.Exp(-raw)), raw, ReadMap(run, mapBuffer));
    }

    /// <inheritdoc/>
    public override void SaveWithClasses(string path, IReadOnlyCollection<string> classNames, bool textTower,
        Action<double>? progress, CancellationToken cancellationToken)
    {
        Dictionary<string, TensorDeclaration> tensors = [];
        foreach (TensorEntry entry in File.Tensors)
        {
            if (textTower || !entry.Name.StartsWith("text.", StringComparison.Ordinal)
                || entry.Name.StartsWith(NormalPrefix, StringComparison.Ordinal)
                || entry.Name.StartsWith(AbnormalPrefix, StringComparison.Ordinal))
            {
                tensors[entry.Name] = new TensorDeclaration(entry);
            }
        }

        int done = 0;
        foreach (string name in classNames)
        {
            ClassEmbedding embedding =
                Prepare(name, cancellationToken, share => progress?.Invoke((done + share) / classNames.Count));
            progress?.Invoke((double)++done / classNames.Count);
            tensors[NormalPrefix + name] = TensorDeclaration.FromValues<float>(
                NormalPrefix + name, [embeddingWidth], embedding.Normal);
            tensors[AbnormalPrefix + name] = TensorDeclaration.FromValues<float>(
                AbnormalPrefix + name, [embeddingWidth], embedding.Abnormal);
        }
        SafetensorsWriter.Write(path, tensors.Values, File.Metadata);
    }

    internal override IEnumerable<(string Name, float[] Values)> OtherTaps(IReadOnlyDictionary<string, float[]> taps)
    {
        if (layers.All(k => taps.ContainsKey($"vision.hidden{k}")))
            yield return ("vision.cls", [.. layers.SelectMany(k => taps[$"vision.hidden{k}"].Take(vision.Width))]);
        int grid = ImageSize / vision.PatchSize;
        foreach ((string name, int rows, int columns) in new[] { ("rope", grid, grid), ("rope_3x5", 3, 5) })
        {
            (float[] cos, float[] sin) = vision.Angles(rows, columns);
            yield return ($"{name}.cos", ForBothHalves(cos, cos.Length / (rows * columns)));
            yield return ($"{name}.sin", ForBothHalves(sin, sin.Length / (rows * columns)));
        }

        static float[] ForBothHalves(float[] half, int width)
        {
            float[] whole = new float[2 * half.Length];
            for (int i = 0; i < whole.Length; i++) whole[i] = half[i / (2 * width) * width + i % width];
            return whole;
        }
    }
}
