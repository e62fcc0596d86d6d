namespace TinyZsad.Conversion;

/// <summary>Represents the result of a conversion. Instances are immutable and thread safe.</summary>
/// <param name="Path">The path of the model.</param>
/// <param name="Bytes">The size of the model in bytes.</param>
/// <param name="SystemName">The name of the system: LiZAD, EdgeZSAD or VisualAD.</param>
/// <param name="Tensors">The number of tensors in the model.</param>
/// <param name="Metadata">The metadata of the model.</param>
/// <param name="Sources">The checkpoints that were read.</param>
/// <param name="KeptInFloat32">The tensors that are stored as float32 because FP16 loses more than rounding, ordered by name.</param>
/// <param name="FlushedToZero">
/// The tensors that are stored as FP16 although values become 0; see <see cref="ConversionOptions.FlushToZero"/>. Ordered by name.
/// </param>
/// <param name="LeftOut">The tensors of the checkpoints that are not in the model.</param>
public sealed record ConversionReport(
    string Path, long Bytes, string SystemName, int Tensors, IReadOnlyDictionary<string, string> Metadata,
    IReadOnlyList<ConversionSource> Sources, IReadOnlyList<HalfLoss> KeptInFloat32, IReadOnlyList<HalfLoss> FlushedToZero,
    IReadOnlyList<LeftOutTensors> LeftOut);

/// <summary>Represents a checkpoint that a conversion read. Instances are immutable and thread safe.</summary>
/// <param name="Part">The part of the model that it provides: vision, text or head.</param>
/// <param name="Path">The path that the caller gave.</param>
/// <param name="Format">The format of the file, in words.</param>
/// <param name="Tensors">The number of tensors in the checkpoint.</param>
/// <param name="Files">
/// The name, without folder, and the SHA-256 hash, as 64 lower-case hexadecimal digits, of each file of the checkpoint.
/// </param>
public sealed record ConversionSource(
    string Part, string Path, string Format, int Tensors, IReadOnlyList<(string Name, string Sha256)> Files);

/// <summary>Represents the loss of a tensor in FP16 beyond normal rounding. Instances are immutable and thread safe.</summary>
/// <param name="Name">The name of the tensor in the model.</param>
/// <param name="Count">The number of elements.</param>
/// <param name="Overflowing">The number of elements that become infinite: magnitudes of 65520 and above.</param>
/// <param name="Flushed">The number of nonzero elements that become 0: magnitudes up to 2^-25.</param>
/// <param name="Coarse">
/// The number of elements of a vector that are inexact because they are below 2^-14, the smallest normal number of FP16. It is 0 for
/// matrices, whose results are sums of many elements, while an element of a vector scales or shifts a whole channel.
/// </param>
/// <param name="FirstIndex">The row-major index of the first of these elements.</param>
/// <param name="First">The value of that element in the checkpoint.</param>
public sealed record HalfLoss(string Name, long Count, long Overflowing, long Flushed, long Coarse, long FirstIndex,
    double First);

/// <summary>
/// Represents a group of tensors of a checkpoint that are not in the model. Instances are immutable and thread safe.
/// </summary>
/// <param name="Part">The part of the model that the checkpoint provides: vision, text or head.</param>
/// <param name="Name">The name of the tensor, or a pattern with an asterisk for several tensors.</param>
/// <param name="Tensors">The number of tensors.</param>
/// <param name="Elements">The number of elements of all tensors.</param>
public sealed record LeftOutTensors(string Part, string Name, int Tensors, long Elements);
