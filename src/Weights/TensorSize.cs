namespace TinyZsad.Weights;

/// <summary>Computes the number of elements and bytes of a shape without overflow.</summary>
internal static class TensorSize
{
    /// <summary>The maximum number of dimensions, the same as in PyTorch and NumPy.</summary>
    public const int MaxRank = 64;

    /// <summary>Counts the elements and bytes of a shape whose dimensions are not negative.</summary>
    /// <returns>False if a number exceeds 2^63 - 1.</returns>
    public static bool TryCount(ReadOnlySpan<long> shape, ElementType type, out long elements, out long bytes)
    {
        bytes = 0;
        if (!TryCount(shape, out elements) || elements > long.MaxValue / type.ByteSize())
            return false;
        bytes = elements * type.ByteSize();
        return true;
    }

    /// <summary>Counts the elements of a shape whose dimensions are not negative.</summary>
    /// <returns>False if the number exceeds 2^63 - 1.</returns>
    public static bool TryCount(ReadOnlySpan<long> shape, out long elements)
    {
        elements = 1;
        foreach (long dimension in shape)
        {
            if (dimension != 0 && elements > long.MaxValue / dimension)
                return false;
            elements *= dimension;
        }
        return true;
    }
}
