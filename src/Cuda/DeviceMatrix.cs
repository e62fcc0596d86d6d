namespace TinyZsad.Cuda;

/// <summary>
/// Represents a matrix in device memory: the value of each picture of a batch. Values that a tensor core reads are halves, all
/// others are floats.
/// </summary>
/// <param name="Address">The address of the first element. It is a multiple of the size of an element.</param>
/// <param name="Rows">The number of rows of one picture.</param>
/// <param name="Columns">The number of columns.</param>
/// <param name="Stride">
/// The distance of rows in elements. That of a value of halves that owns its memory is a multiple of 8, and its address of 16 bytes.
/// </param>
/// <param name="BatchStride">The distance of pictures in elements; 0 if all pictures share the matrix.</param>
/// <param name="Half">Whether the elements are IEEE binary16; otherwise they are binary32, or integers of 32 bits.</param>
internal readonly record struct DeviceMatrix(ulong Address, int Rows, int Columns, int Stride, int BatchStride = 0, bool Half = false)
{
    /// <summary>Gets whether 16 bytes of any row can be copied at once: <c>cp.async</c> and <c>ld.v4</c> need it.</summary>
    public bool IsAligned => Address % 16 == 0 && Stride * (Half ? 2 : 4) % 16 == 0 && BatchStride * (Half ? 2L : 4L) % 16 == 0;
}
