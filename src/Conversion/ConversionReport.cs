namespace TinyZsad.Conversion;

/// <summary>What a conversion read, wrote, kept in float32 and left out.</summary>
/// <param name="Path">The model that was written.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="SystemName">Which system it is: LiZAD, EdgeZSAD, VisualAD.</param>
/// <param name="Tensors">How many tensors it holds.</param>
/// <param name="Metadata">What it says of itself.</param>
/// <param name="Sources">The checkpoints.</param>
/// <param name="KeptInFloat32">Tensors that FP16 would have changed by more than rounding, in the order of their names.</param>
/// <param name="FlushedToZero">Where the caller allowed it, tensors stored as FP16 although values became zero.</param>
/// <param name="LeftOut">What of the checkpoints is not in the model.</param>
public sealed record ConversionReport(
    string Path, long Bytes, string SystemName, int Tensors, IReadOnlyDictionary<string, string> Metadata,
    IReadOnlyList<ConversionSource> Sources, IReadOnlyList<HalfLoss> KeptInFloat32, IReadOnlyList<HalfLoss> FlushedToZero,
    IReadOnlyList<LeftOutTensors> LeftOut);

/// <summary>A checkpoint that was read.</summary>
/// <param name="Part">What it is of the model: vision, text or head.</param>
/// <param name="Path">The file that was named.</param>
/// <param name="Format">What kind of file it is, in words.</param>
/// <param name="Tensors">How many tensors it holds.</param>
/// <param name="Files">Name, without folder, and SHA-256 of each file that belongs to it.</param>
public sealed record ConversionSource(
    string Part, string Path, string Format, int Tensors, IReadOnlyList<(string Name, string Sha256)> Files);

/// <summary>What FP16 would lose of a tensor beyond its rounding.</summary>
/// <param name="Name">The tensor's name in the model.</param>
/// <param name="Count">How many elements it has.</param>
/// <param name="Overflowing">Elements that would become infinite: magnitudes from 65520 on.</param>
/// <param name="Flushed">Elements other than zero that would become zero: magnitudes up to 2^-25.</param>
/// <param name="Coarse">
/// In vectors, whose elements each scale or shift a whole channel: elements below 2^-14, FP16's smallest normal number, that it
/// does not hold exactly. Matrices sum over many elements, so theirs do not count.
/// </param>
/// <param name="FirstIndex">The row-major place of the first such element.</param>
/// <param name="First">Its value.</param>
public sealed record HalfLoss(string Name, long Count, long Overflowing, long Flushed, long Coarse, long FirstIndex,
    double First);

/// <summary>Tensors of a checkpoint that the model does not need.</summary>
/// <param name="Part">Of which checkpoint.</param>
/// <param name="Name">The tensor's name, or what several begin with and a star.</param>
/// <param name="Tensors">How many.</param>
/// <param name="Elements">How many numbers they hold.</param>
public sealed record LeftOutTensors(string Part, string Name, int Tensors, long Elements);
