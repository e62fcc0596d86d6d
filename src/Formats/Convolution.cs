namespace TinyZsad.Formats;

/// <summary>Computes the sizes of 3 x 3 convolutions with zero padding of one pixel.</summary>
internal static class Convolution
{
    /// <summary>Computes the output size along one axis: ceil(size / stride).</summary>
    public static int OutputSize(int size, int stride) => (size + stride - 1) / stride;
}
