namespace TinyZsad.Ptx;

/// <summary>
/// The exception that is thrown when PTX cannot be read, or when its execution does what a kernel must not do. The message names the
/// kernel, the file, the line, the instruction, the thread and what would be right.
/// </summary>
internal sealed class PtxException(string message) : Exception(message);

/// <summary>Signals a fault of one instruction. The warp that executes it adds the place and throws a <see cref="PtxException"/>.</summary>
/// <param name="lane">The lane of the warp, or -1 if the fault is of the whole warp.</param>
/// <param name="message">What is wrong, and what would be right.</param>
internal sealed class PtxFault(int lane, string message) : Exception(message)
{
    /// <summary>Gets the lane of the warp, or -1 if the fault is of the whole warp.</summary>
    public int Lane { get; } = lane;
}
