using TinyZsad.Formats;
using TinyZsad.Graph;

namespace TinyZsad.Models;

/// <summary>
/// Represents the pre-norm transformer block of all networks:
/// <code>
/// x = x + scale1 * proj(attention(q(n1), k(n1), v(n1)))      n1 = LayerNorm(x)
/// x = x + scale2 * down(f(up(n2)))                           n2 = LayerNorm(x)
/// </code>
/// Networks differ in how q, k and v are stored, in LayerScale, rotary positions and the activation.
/// </summary>
internal sealed record TransformerBlock
{
    public required NormWeights Norm1 { get; init; }
    public required LinearWeights Q { get; init; }
    public required LinearWeights K { get; init; }
    public required LinearWeights V { get; init; }
    public required LinearWeights Projection { get; init; }
    public Parameter? Scale1 { get; init; }
    public required NormWeights Norm2 { get; init; }
    public required LinearWeights Up { get; init; }
    public required LinearWeights Down { get; init; }
    public Parameter? Scale2 { get; init; }
    public required int Heads { get; init; }
    public required float Eps { get; init; }
    public ActivationKind Activation { get; init; } = ActivationKind.Gelu;

    /// <summary>Adds the block to a graph.</summary>
    /// <param name="g">The graph.</param>
    /// <param name="x">The tokens, [batch * tokens, width].</param>
    /// <param name="batch">The number of sequences.</param>
    /// <param name="rotary">The rotary positions of q and k; null for none.</param>
    /// <param name="rows">
    /// The row numbers, [n, 1], of the tokens to compute, the same number in each sequence; null for all tokens.
    /// </param>
    /// <param name="tap">The prefix of the taps of inner values; null for no taps.</param>
    /// <returns>The tokens after the block, [batch * tokens, width] or [n, width].</returns>
    public Value Build(ComputeGraph g, Value x, int batch = 1, RotaryTable? rotary = null, Value? rows = null, string? tap = null)
    {
        int width = x.Columns;
        Value n1 = g.LayerNorm(x, Norm1.Weight, Norm1.Bias, Eps);
        Value k = g.Linear(n1, K.Weight, K.Bias), v = g.Linear(n1, V.Weight, V.Bias);
        Value q = g.Linear(rows is null ? n1 : g.GatherRows(n1, rows), Q.Weight, Q.Bias);
        if (rows is not null) x = g.GatherRows(x, rows);
        if (rotary is not null)
        {
            q = g.Rotary(q, Heads, rotary);
            k = g.Rotary(k, Heads, rotary);
        }
        Value attention = g.Linear(g.Attention(q, k, v, Heads, batch), Projection.Weight, Projection.Bias);
        x = g.Add(x, Scale1 is null ? attention : g.Scale(attention, Scale1));

        Value n2 = g.LayerNorm(x, Norm2.Weight, Norm2.Bias, Eps);
        Value mlp = g.Linear(g.Activate(g.Linear(n2, Up.Weight, Up.Bias), Activation), Down.Weight, Down.Bias);
        x = g.Add(x, Scale2 is null ? mlp : g.Scale(mlp, Scale2));

        if (tap is not null)
        {
            g.Tap($"{tap}.norm1", n1, [1, n1.Rows, width]);
            g.Tap($"{tap}.q", q, [1, Heads, q.Rows, width / Heads], TapLayout.HeadsFirst, Heads);
            g.Tap($"{tap}.k", k, [1, Heads, k.Rows, width / Heads], TapLayout.HeadsFirst, Heads);
            g.Tap($"{tap}.attention", attention, [1, attention.Rows, width]);
            g.Tap($"{tap}.mlp", mlp, [1, mlp.Rows, width]);
        }
        return x;
    }
}
