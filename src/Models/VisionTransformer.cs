using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// Represents a vision transformer with learned positions (Dosovitskiy et al., 2021): special tokens and patches, blocks, and a final
/// norm. <see cref="ClipVit"/> and <see cref="DinoV2"/> read the networks of CLIP and DINOv2.
/// </summary>
internal sealed record VisionTransformer
{
    /// <summary>Gets the width and height of a patch in pixels.</summary>
    public required int PatchSize { get; init; }

    /// <summary>Gets the patch embedding, [width, 3 * patch * patch].</summary>
    public required LinearWeights PatchEmbedding { get; init; }

    /// <summary>Gets the rows before the patches, with positions already added, [tokens, width] floats.</summary>
    public required Parameter Tokens { get; init; }

    /// <summary>Gets the learned positions.</summary>
    public required PositionGrid Positions { get; init; }

    /// <summary>Gets the norm before the first block; null for none.</summary>
    public NormWeights? PreNorm { get; init; }

    /// <summary>Gets the blocks.</summary>
    public required TransformerBlock[] Blocks { get; init; }

    /// <summary>Gets the norm after the last block.</summary>
    public required NormWeights FinalNorm { get; init; }

    /// <summary>Gets the epsilon of the norms.</summary>
    public required float Eps { get; init; }

    /// <summary>Gets the number of values of a token.</summary>
    public int Width => Tokens.Shape[1];

    /// <summary>Gets the number of heads, and checks that it divides the width.</summary>
    /// <param name="store">The weights, for the error.</param>
    /// <param name="width">The number of values of a token.</param>
    /// <param name="heads">The number of heads in the metadata; null for heads of width 64.</param>
    /// <exception cref="ModelFormatException">The width is not divisible by the number of heads.</exception>
    public static int Heads(WeightStore store, int width, int? heads)
    {
        int n = heads ?? Math.Max(1, width / 64);
        return width % n == 0
            ? n
            : throw store.KeyError("heads", $"width {width} cannot be divided into {n} heads.");
    }

    /// <summary>Creates the rows of special tokens, with the position of the class token, and of registers, without position.</summary>
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
    /// <param name="input">The normalized pixels, [size * size, 3].</param>
    /// <param name="size">The width and height in pixels, a multiple of the patch size.</param>
    /// <param name="positions">The positions of the patches, from <see cref="PositionGrid.Resize"/>.</param>
    /// <returns>The hidden states after 1, 2, … blocks: tokens, then patches row by row.</returns>
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

    /// <summary>Adds the final norm of rows after any block to a graph.</summary>
    public Value Normalize(ComputeGraph g, Value x) => g.LayerNorm(x, FinalNorm.Weight, FinalNorm.Bias, Eps);
}
