using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// Reads DINOv2's vision transformer (Oquab et al., 2023) with the tensor names of facebookresearch: LayerScale, exact GELU, and no
/// norm before the first block. ViT-S, B and L, with and without registers, differ in shapes and in the interpolation of positions.
/// </summary>
internal static class DinoV2
{
    /// <summary>Reads the network at the cursor.</summary>
    /// <param name="w">The cursor at the network.</param>
    /// <param name="heads">The number of heads; null for heads of width 64.</param>
    /// <param name="tokens">Gets, for a width, the tokens that precede the class token. They share its position.</param>
    public static VisionTransformer Read(WeightCursor w, int? heads, Func<int, Parameter[]> tokens)
    {
        const float Eps = 1e-6f;
        WeightCursor embedding = w.At("patch_embed").At("proj");
        int[] patch = embedding.Shape("weight", 4);
        (int width, int patchSize) = (patch[0], patch[2]);
        int headCount = VisionTransformer.Heads(w.Store, width, heads);
        Parameter? registers = w.Has("register_tokens")
            ? w.Tensor("register_tokens", 1, w.Shape("register_tokens", 3)[1], width)
            : null;
        int rows = w.Shape("pos_embed", 3)[1];
        Parameter table = w.Tensor("pos_embed", 1, rows, width);
        PositionGrid positions = PositionGrid.Read(w.Store, new Parameter(table.Name, table.Address, table.Type, rows, width),
            registers is null ? PositionFilter.BicubicWithOffset : PositionFilter.BicubicAntialias);
        int depth = Math.Max(1, w.CountOf("blocks"));
        return new VisionTransformer
        {
            PatchSize = patchSize,
            PatchEmbedding = new LinearWeights(
                embedding.Tensor("weight", width, 3, patchSize, patchSize), embedding.Vector("bias", width)),
            Tokens = VisionTransformer.PlaceTokens(
                w.Store, positions, [.. tokens(width), w.Vector("cls_token", 1, 1, width)], registers),
            Positions = positions,
            Blocks = [.. Enumerable.Range(0, depth).Select(i => Block(w.At("blocks", i), width, headCount, Eps))],
            FinalNorm = w.Norm("norm", width),
            Eps = Eps,
        };
    }

    private static TransformerBlock Block(WeightCursor w, int width, int heads, float eps)
    {
        int hidden = w.At("mlp").At("fc1").Shape("weight", 2)[0];
        LinearWeights packed = w.At("attn").Linear("qkv", 3 * width, width);
        return new TransformerBlock
        {
            Norm1 = w.Norm("norm1", width),
            Q = packed.Outputs(0, width),
            K = packed.Outputs(width, width),
            V = packed.Outputs(2 * width, width),
            Projection = w.At("attn").Linear("proj", width, width),
            Scale1 = w.At("ls1").Vector("gamma", width),
            Norm2 = w.Norm("norm2", width),
            Up = w.At("mlp").Linear("fc1", hidden, width),
            Down = w.At("mlp").Linear("fc2", width, hidden),
            Scale2 = w.At("ls2").Vector("gamma", width),
            Heads = heads,
            Eps = eps,
        };
    }
}
