namespace TinyZsad;

/// <summary>How the linear layers of a plan are computed. Everything else is always computed in 32-bit floats.</summary>
public enum Precision
{
    /// <summary>In 32-bit floats, with the weights as they are stored.</summary>
    Float32,

    /// <summary>
    /// The larger ones in the branches of residual connections over 8-bit integers: weights quantised once with a scale an
    /// output, inputs quantised as they come with a scale a row. Faster, and less exact: a layer's error is about one percent of
    /// its values.
    /// </summary>
    Int8,
}
