namespace TinyZsad.Graph;

/// <summary>
/// Holds how a picture is resized along one axis: the input positions of each output position and their weights. It is immutable, and
/// devices may keep what they make of it for as long as the instance is used again.
/// </summary>
/// <param name="from">The input pixels along the axis; at least 1.</param>
/// <param name="first">The first input position of each output position.</param>
/// <param name="count">The number of input positions of each output position; at least 1.</param>
/// <param name="weights">
/// The weights in fixed point with 22 fractional bits: as many for each output position as the most that any of them needs.
/// </param>
internal sealed class ResizeAxis(int from, int[] first, int[] count, int[] weights)
{
    /// <summary>Gets the number of input pixels along the axis.</summary>
    public int From => from;

    /// <summary>Gets the number of output pixels along the axis.</summary>
    public int To => first.Length;

    /// <summary>Gets whether the axis keeps its size, so that nothing is computed along it.</summary>
    public bool IsIdentity => From == To;

    /// <summary>Gets the distance of the weights of output positions.</summary>
    public int Most => weights.Length / first.Length;

    /// <summary>Gets the first input position of each output position.</summary>
    public ReadOnlySpan<int> First => first;

    /// <summary>Gets the number of input positions of each output position.</summary>
    public ReadOnlySpan<int> Count => count;

    /// <summary>Gets the weights, [<see cref="To"/>, <see cref="Most"/>]. Those beyond the count are not used.</summary>
    public ReadOnlySpan<int> Weights => weights;
}
