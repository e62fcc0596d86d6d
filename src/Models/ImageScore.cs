namespace TinyZsad;

/// <summary>How a map becomes one number for the whole picture.</summary>
public enum ImageScore
{
    /// <summary>
    /// The system's own choice: <see cref="TopPercentMean"/> for LiZAD and VisualAD, <see cref="GlobalLogit"/> for EdgeZSAD.
    /// </summary>
    Default,

    /// <summary>The largest value of the map.</summary>
    Maximum,

    /// <summary>The mean of the largest 1 % of the map's values.</summary>
    TopPercentMean,

    /// <summary>
    /// The image-level logit that was trained on image labels: for LiZAD softmax of its two, the anomalous one; for EdgeZSAD
    /// sigmoid of its fused one, its default.
    /// </summary>
    GlobalLogit,
}
