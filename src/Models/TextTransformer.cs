using TinyZsad.Formats;
using TinyZsad.Graph;
using TinyZsad.Weights;

namespace TinyZsad.Models;

/// <summary>
/// Represents the text tower of MobileCLIP2-S0 as in open_clip: CLIP's transformer with exact GELU and without a mask, so that all 77
/// positions, including padding, attend to each other.
/// </summary>
internal sealed class TextTransformer
{
    private readonly Parameter tokenEmbedding;
    private readonly Parameter positions;
    private readonly Parameter projection;
    private readonly NormWeights finalNorm;
    private readonly TransformerBlock[] blocks;
    private readonly float eps;

    /// <summary>Reads the network at the cursor.</summary>
    /// <param name="w">The cursor at the network.</param>
    /// <param name="metadata">The metadata, with heads, context length and epsilon.</param>
    /// <exception cref="ModelFormatException">The tensors or the metadata do not match the network.</exception>
    public TextTransformer(WeightCursor w, ModelMetadata metadata)
    {
        int heads = metadata.Int("text_heads", 1, 64);
        eps = metadata.Float("text_ln_eps", 0, 1);
        Context = metadata.Int("text_context", ClipTokenizer.ContextLength, ClipTokenizer.ContextLength);
        if (metadata.Bool("text_causal"))
        {
            throw w.Store.KeyError(
                "text_causal", "text_causal is 'true'; only the unmasked text tower (MobileCLIP2-S0) is known.");
        }

        int[] embedding = w.At("token_embedding").Shape("weight", 2);
        Width = embedding[1];
        if (embedding[0] <= ClipTokenizer.EndToken)
        {
            const string Name = "text.token_embedding.weight";
            throw w.Store.TensorError(Name,
                $"tensor '{Name}' has {embedding[0]} rows, where CLIP's vocabulary needs {ClipTokenizer.EndToken + 1}.");
        }

        if (Width % heads != 0)
            throw w.Store.KeyError("text_heads", $"text width {Width} cannot be divided into {heads} heads.");
        EmbeddingWidth = w.Shape("text_projection", 2)[1];
        tokenEmbedding = w.At("token_embedding").Tensor("weight", embedding[0], Width);
        positions = w.Tensor("positional_embedding", Context, Width);
        projection = w.Tensor("text_projection", Width, EmbeddingWidth);
        finalNorm = w.Norm("ln_final", Width);
        WeightCursor transformer = w.At("transformer");
        blocks = [.. Enumerable.Range(0, Math.Max(1, transformer.CountOf("resblocks")))
            .Select(i => ClipBlock.Read(transformer.At("resblocks", i), Width, heads, eps, ActivationKind.Gelu))];
    }

    /// <summary>Gets the number of tokens of a prompt.</summary>
    public int Context { get; }

    /// <summary>Gets the number of values of a token.</summary>
    public int Width { get; }

    /// <summary>Gets the number of values of an embedding.</summary>
    public int EmbeddingWidth { get; }

    /// <summary>
    /// Creates the graph that embeds prompts. Inputs are <c>tokens</c>, [prompts * context, 1], and <c>pooled</c>, [prompts, 1], the row
    /// of the end token of each prompt. The output is <c>embeddings</c>, [prompts, width], rows of unit length.
    /// </summary>
    /// <param name="prompts">The number of prompts.</param>
    /// <param name="everyPosition">
    /// <see langword="true"/> to compute the last block for all positions, for taps. The embeddings need only the pooled positions.
    /// </param>
    public ComputeGraph Graph(int prompts, bool everyPosition = false)
    {
        ComputeGraph g = new() { Scope = "text.embedding" };
        Value tokens = g.Input("tokens", prompts * Context, 1, ValueKind.Int);
        Value pooled = g.Input("pooled", prompts, 1, ValueKind.Int);
        Value x = g.AddRows(g.Embedding(tokens, tokenEmbedding), positions);
        g.Tap("text.embedded", x, [prompts, Context, Width]);
        for (int i = 0; i < blocks.Length; i++)
        {
            g.Scope = $"text.transformer.resblocks.{i}";
            bool onlyPooled = !everyPosition && i == blocks.Length - 1;
            x = blocks[i].Build(g, x, prompts, rows: onlyPooled ? pooled : null);
            if (!onlyPooled) g.Tap($"text.block{i}", x, [prompts, Context, Width]);
        }
        g.Scope = "text.ln_final";
        x = g.LayerNorm(x, finalNorm.Weight, finalNorm.Bias, eps);
        if (everyPosition)
        {
            g.Tap("text.ln_final", x, [prompts, Context, Width]);
            x = g.GatherRows(x, pooled);
        }
        Value projected = g.Linear(x, projection, layout: WeightLayout.InOut);
        g.Tap("text.projected", projected);
        Value embeddings = g.L2Normalize(projected);
        g.Tap("text.embeddings", embeddings);
        g.Output("embeddings", embeddings);
        return g;
    }
}
