using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// Reads transformer blocks of CLIP, vision and text, with the tensor names of OpenAI. The rows of q, k and v are packed in one matrix.
/// </summary>
internal static class ClipBlock
{
    /// <summary>Reads the block at the cursor.</summary>
    public static TransformerBlock Read(WeightCursor w, int width, int heads, float eps, ActivationKind activation)
    {
        WeightCursor attention = w.At("attn"), mlp = w.At("mlp");
        int hidden = mlp.At("c_fc").Shape("weight", 2)[0];
        LinearWeights packed = new(
            attention.Tensor("in_proj_weight", 3 * width, width), attention.Vector("in_proj_bias", 3 * width));
        return new TransformerBlock
        {
            Norm1 = w.Norm("ln_1", width),
            Q = packed.Outputs(0, width),
            K = packed.Outputs(width, width),
            V = packed.Outputs(2 * width, width),
            Projection = attention.Linear("out_proj", width, width),
            Norm2 = w.Norm("ln_2", width),
            Up = mlp.Linear("c_fc", hidden, width),
            Down = mlp.Linear("c_proj", width, hidden),
            Heads = heads,
            Eps = eps,
            Activation = activation,
        };
    }
}
