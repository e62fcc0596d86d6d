namespace TinyZsad.Graph;

/// <summary>Which operations a device computes as one. The default computes each by itself.</summary>
internal sealed record FusionRules
{
    /// <summary>
    /// Whether activation, scale and residual become part of the linear layer before them, and an activation part of the
    /// convolution before it.
    /// </summary>
    public bool Epilogues { get; init; }

    /// <summary>Whether rotary positions become part of the attention after them.</summary>
    public bool Rotary { get; init; }

    /// <summary>Whether a linear layer, a depthwise convolution and another linear layer become a bottleneck.</summary>
    public Func<BottleneckOperation, bool> Bottleneck { get; init; } = _ => false;
}
