using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// CLIP's vision transformer (Radford et al., 2021) under OpenAI's names: no bias on the patches, a norm before the first block,
/// QuickGELU. ViT-B/32, B/16, L/14 and L/14@336px differ in shapes alone.
/// </summary>
internal static class ClipVit
{
    /// <summary>Reads the network under the cursor. CLIP's own projection behind the final norm is left out.</summary>
    /// <param name="w">At the checkpoint's <c>visual</c>.</param>
    /// <param name="heads">Heads; null for heads of 64.</param>
    /// <param name="tokens">Given the width, tokens to stand before the class token, at its position.</param>
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
