using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// Represents the Spatial-Aware Cross-Attention of VisualAD for one layer: a few learned anchors attend to the patches, and each token
/// adds a gated sum of their results.
/// <code>
/// Q = norm(q_proj(anchors))      K = norm(k_proj(F + positions))      U = v_proj(softmax(Q Kᵀ / sqrt width) F)
/// t = t + res_scale * out_proj(sigmoid(gate(t)) U)
/// </code>
/// Q and k_proj(positions) depend on weights only and are computed when the model is loaded. Values are projected after the attention:
/// 4 rows instead of a thousand. Both tokens share keys and values.
/// </summary>
internal sealed class SpatialCrossAttention
{
    private const float Eps = 1e-5f;

    private readonly Parameter anchors;
    private readonly Parameter key;
    private readonly Parameter keyOffsets;
    private readonly NormWeights keyNorm;
    private readonly Parameter value;
    private readonly LinearWeights gate;
    private readonly LinearWeights output;
    private readonly Parameter scale;

    /// <summary>Reads the tensors at the cursor.</summary>
    /// <param name="w">The cursor at <c>layer_attentions.layer_l</c>.</param>
    /// <param name="width">The number of values of a token or patch.</param>
    /// <param name="patches">The number of patches of an image, at most <see cref="Capacity"/>.</param>
    /// <param name="device">The device that computes the values of weights only.</param>
    public SpatialCrossAttention(WeightCursor w, int width, int patches, Device device)
    {
        Parameter queries = w.Tensor("anchor_queries", w.Shape("anchor_queries", 2)[0], width);
        int rows = Capacity(w), count = queries.Shape[0];
        Parameter positions = w.Tensor("pos_encoding", 1, rows, width);
        NormWeights queryNorm = w.Norm("q_norm", width);
        LinearWeights query = w.Linear("q_proj", width, width, bias: false);
        key = w.Linear("k_proj", width, width, bias: false).Weight;
        keyNorm = w.Norm("k_norm", width);
        value = w.Linear("v_proj", width, width, bias: false).Weight;
        gate = w.At("gate").Linear("0", count, width);
        output = w.Linear("out_proj", width, width);
        float[] factor = new float[width];
        Array.Fill(factor, w.Vector("res_scale", 1).ToFloats()[0]);
        scale = w.Store.Floats("res_scale", factor, width);

        ComputeGraph g = new();
        g.Output("anchors", g.LayerNorm(g.Linear(g.Constant(queries), query.Weight), queryNorm.Weight, queryNorm.Bias, Eps));
        g.Output("offsets",
            g.Linear(g.Constant(new Parameter(positions.Name, positions.Address, positions.Type, patches, width)), key));
        using Plan plan = device.Compile(g);
        using Run run = plan.Rent();
        run.Execute();
        float[] scaled = [.. run.Output("anchors").ToArray().Select(q => q / MathF.Sqrt(width))];
        anchors = w.Store.Floats("anchors", scaled, count, width);
        keyOffsets = w.Store.Floats("offsets", run.Output("offsets"), patches, width);
    }

    /// <summary>Gets the number of patches that the layer has positions for.</summary>
    public static int Capacity(WeightCursor w) => w.Shape("pos_encoding", 3)[1];

    /// <summary>Adds the attention to a graph.</summary>
    /// <param name="g">The graph.</param>
    /// <param name="tokens">The tokens, [tokens, width].</param>
    /// <param name="patches">The patches after the final norm, [patches, width].</param>
    /// <returns>The adapted tokens, [tokens, width].</returns>
    public Value Build(ComputeGraph g, Value tokens, Value patches)
    {
        Value keys = g.LayerNorm(g.AddRows(g.Linear(patches, key, trunk: true), keyOffsets), keyNorm.Weight, keyNorm.Bias, Eps);
        Value weights = g.Softmax(g.MatMul(g.Constant(anchors), keys, transposed: true));
        Value gathered = g.Linear(g.MatMul(weights, patches), value, trunk: true);
        Value gates = g.Activate(g.Linear(tokens, gate.Weight, gate.Bias, trunk: true), ActivationKind.Sigmoid);
        Value taken = g.Linear(g.MatMul(gates, gathered), output.Weight, output.Bias, trunk: true);
        return g.Add(tokens, g.Scale(taken, scale));
    }
}
