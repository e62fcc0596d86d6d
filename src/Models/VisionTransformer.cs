using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// A vision transformer with learned positions (Dosovitskiy et al., 2021): patches, special tokens before them, blocks, a final
/// norm. What differs between CLIP's (<see cref="ClipVit"/>) and DINOv2's (<see cref="DinoV2"/>) is data.
/// </summary>
internal sealed record VisionTransformer
{
    public required int PatchSize { get; init; }

    /// <summary>[width, 3 * patch * patch].</summary>
    public required LinearWeights PatchEmbedding { get; init; }

    /// <summary>The rows before the patches, [tokens, width] floats; their positions are added already.</summary>
    public required Parameter Tokens { get; init; }

    public required PositionGrid Positions { get; init; }

    /// <summary>Before the first block, or null.</summary>
    public NormWeights? PreNorm { get; init; }

    public required TransformerBlock[] Blocks { get; init; }

    public required NormWeights FinalNorm { get; init; }

    public required float Eps { get; init; }

    public int Width => Tokens.Shape[1];

    /// <summary>Checks that a width can be divided into heads.</summary>
    /// <param name="store">Whose file it is.</param>
    /// <param name="width">Columns.</param>
    /// <param name="heads">As the file states them; null for heads of 64.</param>
    public static int Heads(WeightStore store, int width, int? heads)
    {
        int n = heads ?? Math.Max(1, width / 64);
        return width % n == 0
            ? n
            : throw store.KeyError("heads", $"width {width} cannot be divided into {n} heads.");
    }

    /// <summary>Special tokens, all at the class token's position, and registers, which have none, as rows.</summary>
    public static Parameter PlaceTokens(
        WeightStore store, PositionGrid positions, IEnumerable<Parameter> tokens, Parameter? registers)
    {
        float[] position = positions.Class.ToFloats();
        List<float> rows = [];
        foreach (Parameter token in tokens) rows.AddRange(token.ToFloats().Zip(position, (t, p) => t + p));
        if (registers is not null) rows.AddRange(registers.ToFloats());
        return store.Floats("tokens", [.. rows], rows.Count / position.Length, position.Length);
    }

    /// <summary>Adds the network to a graph.</summary>
    /// <param name="g">The graph.</param>
    /// <param name="input">[size * size, 3], normalised.</param>
    /// <param name="size">Pixels each way; a multiple of the patch.</param>
    /// <param name="positions">Those of the patches, from <see cref="PositionGrid.Resize"/>.</param>
    /// <returns>The residual stream after 1, 2, … blocks: tokens, then patches row by row.</returns>
    public Value[] Build(ComputeGraph g, Value input, int size, Parameter positions)
    {
        g.Scope = "vision.embed";
        Value patches = g.Linear(g.Patchify(input, size, size, PatchSize), PatchEmbedding.Weight, PatchEmbedding.Bias,
            trunk: true);
        Value x = g.PrependRows(g.AddRows(patches, positions), Tokens);
        g.Tap("embed", x);
        if (PreNorm is not null)
        {
            x = g.LayerNorm(x, PreNorm.Weight, PreNorm.Bias, Eps);
            g.Tap("ln_pre", x);
        }
        Value[] hidden = new Value[Blocks.Length];
        for (int i = 0; i < hidden.Length; i++)
        {
            g.Scope = $"vision.block.{i + 1}";
            hidden[i] = x = Blocks[i].Build(g, x);
            g.Tap($"block.{i + 1}", x);
        }
        return hidden;
    }

    /// <summary>The final norm, of some rows after any block.</summary>
    public Value Normalize(ComputeGraph g, Value x) => g.LayerNorm(x, FinalNorm.Weight, FinalNorm.Bias, Eps);
}
