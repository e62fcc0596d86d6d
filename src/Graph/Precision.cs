namespace TinyZsad;

/// <summary>Specifies how linear layers are computed. Everything else is always computed in 32-bit floats.</summary>
public enum Precision
{
    /// <summary>Linear layers are computed in 32-bit floats, with the weights as stored.</summary>
    Float32,

    /// <summary>
    /// The larger linear layers in the branches of residual connections are computed with 8-bit integers. Weights are quantized
    /// once, with one scale per output; inputs are quantized on the fly, with one scale per row. This is faster and less exact:
    /// the error of a layer is about one percent of its values. A detector computes in 32-bit floats instead on a processor whose
    /// integers are not known to be faster.
    /// </summary>
    Int8,

    /// <summary>Like <see cref="Int8"/>, on every processor, also where it is slower than 32-bit floats.</summary>
    ForcedInt8,
}
