namespace TinyZsad.Formats;

/// <summary>How the weight matrix of y = x Wᵀ lies in memory.</summary>
internal enum WeightLayout
{
    /// <summary>[out, in], PyTorch's <c>Linear.weight</c>: y = x Wᵀ.</summary>
    OutIn,

    /// <summary>[in, out], as CLIP keeps <c>text_projection</c>: y = x W.</summary>
    InOut,
}
