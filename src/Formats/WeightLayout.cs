namespace TinyZsad.Formats;

/// <summary>Specifies the memory layout of the weight matrix of y = x Wᵀ.</summary>
internal enum WeightLayout
{
    /// <summary>[out, in], as in PyTorch's <c>Linear.weight</c>: y = x Wᵀ.</summary>
    OutIn,

    /// <summary>[in, out], as in CLIP's <c>text_projection</c>: y = x W.</summary>
    InOut,
}
