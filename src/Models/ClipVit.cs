using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// Reads CLIP's vision transformer (Radford et al., 2021) with the tensor names of OpenAI: a patch embedding without bias, a norm before
/// the first block, and QuickGELU. ViT-B/32, B/16, L/14 and L/14@336px differ only in shapes.
/// </summary>
internal static class ClipVit
{
    /// <summary>Reads the network at the cursor, without CLIP's projection after the final norm.</summary>
    /// <param name="w">The cursor at the network.</param>
    /// <param name="heads">The number of heads; null for heads of width 64.</param>
    /// <param name="tokens">Gets, for a width, the tokens that precede the class token. They share its position.</param>
    public static VisionTransformer Read(WeightCursor w, int? heads, Func<int, Parameter[]> tokens)
    {
        const float Eps = 1e-5f;
        int[] patch = w.At("conv1").Shape("weight", 4);
        (int width, int patchSize) = (patch[0], patch[2]);
        int headCount = VisionTransformer.Heads(w.Store, width, heads);
        PositionGrid positions = PositionGrid.Read(w.Store,
            w.Tensor("positional_embedding", w.Shape("positional_embedding", 2)[0], width), PositionFilter.Bilinear);
        WeightCursor transformer = w.At("transformer");
        int depth = Math.Max(1, transformer.CountOf("resblocks"));
        return new VisionTransformer
        {
            PatchSize = patchSize,
            PatchEmbedding = new LinearWeights(w.At("conv1").Tensor("weight", width, 3, patchSize, patchSize), null),
            Tokens = VisionTransformer.PlaceTokens(
                w.Store, positions, [.. tokens(width), w.Vector("class_embedding", width)], null),
            Positions = positions,
            PreNorm = w.Norm("ln_pre", width),
            Blocks = [.. Enumerable.Range(0, depth)
                .Select(i => ClipBlock.Read(transformer.At("resblocks", i), width, headCount, Eps, ActivationKind.QuickGelu))],
            FinalNorm = w.Norm("ln_post", width),
            Eps = Eps,
        };
    }
}
