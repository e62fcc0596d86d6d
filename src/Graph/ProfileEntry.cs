namespace TinyZsad;

/// <summary>Represents the cost of one part of a plan.</summary>
/// <param name="Label">The position in the network: the names of the weights, or the block.</param>
/// <param name="Kind">The kinds of operations.</param>
/// <param name="Time">The mean time per run.</param>
/// <param name="Flops">The number of floating-point operations, two per multiply-add.</param>
/// <param name="Bytes">The number of bytes read and written, including weights, each counted once.</param>
public sealed record ProfileEntry(string Label, string Kind, TimeSpan Time, long Flops, long Bytes);
