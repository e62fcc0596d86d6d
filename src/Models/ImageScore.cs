namespace TinyZsad;

/// <summary>Specifies how the score of an image is computed.</summary>
public enum ImageScore
{
    /// <summary>
    /// The published choice of the system: <see cref="TopPercentMean"/> for LiZAD and VisualAD, <see cref="GlobalLogit"/> for EdgeZSAD.
    /// </summary>
    Default,

    /// <summary>The largest value of the map.</summary>
    Maximum,

    /// <summary>The mean of the largest 1 % of the values of the map.</summary>
    TopPercentMean,

    /// <summary>
    /// The image-level logits as a probability: the softmax of two logits for LiZAD, the sigmoid of the fused logit for EdgeZSAD.
    /// VisualAD does not support it.
    /// </summary>
    GlobalLogit,
}
