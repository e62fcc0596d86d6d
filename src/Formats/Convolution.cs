namespace TinyZsad.Formats;

/// <summary>Sizes of 3 x 3 convolutions with one pixel of zeros around the map.</summary>
internal static class Convolution
{
    /// <summary>Output pixels of a side: ceil(size / stride).</summary>
    public static int OutputSize(int size, int stride) => (size + stride - 1) / stride;
}
