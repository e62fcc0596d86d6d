namespace TinyZsad;

/// <summary>What one part of a plan cost.</summary>
/// <param name="Label">Where in the network: the weights' names, or the block.</param>
/// <param name="Kind">The operations.</param>
/// <param name="Time">Mean time of a run.</param>
/// <param name="Flops">Floating-point operations, two a multiply-add.</param>
/// <param name="Bytes">Bytes read and written, weights included, each counted once.</param>
public sealed record ProfileEntry(string Label, string Kind, TimeSpan Time, long Flops, long Bytes);
