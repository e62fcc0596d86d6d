namespace TinyZsad.Weights;

/// <summary>How many elements and bytes a shape asks for, counted without overflow.</summary>
internal static class TensorSize
{
    /// <summary>The most dimensions a tensor may have; as many as PyTorch and NumPy allow.</summary>
    public const int MaxRank = 64;

    /// <summary>Counts a shape of non-negative dimensions.</summary>
    /// <returns>False if a product of the dimensions, or the bytes, pass 2^63 - 1.</returns>
    public static bool TryCount(ReadOnlySpan<long> shape, ElementType type, out long elements, out long bytes)
    {
        elements = 1;
        bytes = 0;
        foreach (long dimension in shape)
        {
            if (dimension != 0 && elements > long.MaxValue / dimension)
                return false;
            elements *= dimension;
        }
        if (elements > long.MaxValue / type.ByteSize())
            return false;
        bytes = elements * type.ByteSize();
        return true;
    }
}
