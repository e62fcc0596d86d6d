namespace TinyZsad.Graph;

/// <summary>Specifies which operations a device computes as one. By default, nothing is fused.</summary>
internal sealed record FusionRules
{
    /// <summary>
    /// Gets whether activation, scale and residual become part of the linear layer before them, and an activation becomes part of
    /// the convolution before it.
    /// </summary>
    public bool Epilogues { get; init; }

    /// <summary>Gets whether rotary positions become part of the attention after them.</summary>
    public bool Rotary { get; init; }

    /// <summary>
    /// Gets the predicate that decides whether a linear layer, a depthwise convolution and another linear layer become a
    /// bottleneck.
    /// </summary>
    public Func<BottleneckOperation, bool> Bottleneck { get; init; } = _ => false;
}
