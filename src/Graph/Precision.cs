namespace TinyZsad;

/// <summary>Specifies how a plan computes linear layers. Everything else is always computed in 32-bit floats.</summary>
public enum Precision
{
    /// <summary>Linear layers are computed in 32-bit floats, with the weights as stored.</summary>
    Float32,

    /// <summary>
    /// The larger linear layers in the branches of residual connections are computed with 8-bit integers. Weights are quantized
    /// once, with one scale per output; inputs are quantized on the fly, with one scale per row. This is faster and less exact:
    /// the error of a layer is about one percent of its values.
    /// </summary>
    Int8,
}
