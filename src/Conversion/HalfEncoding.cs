using System.Collections.Immutable;
using System.Runtime.InteropServices;
using TinyZsad.Weights;

namespace TinyZsad.Conversion;

/// <summary>Represents a tensor of a model to be written: one tensor of a checkpoint, or several concatenated by rows.</summary>
/// <param name="Name">The name in the model.</param>
/// <param name="Parts">The tensors of the checkpoint. Their shapes are equal except in the first dimension.</param>
internal sealed record DraftTensor(string Name, params CheckpointTensor[] Parts)
{
    public ImmutableArray<long> Shape => Parts.Length == 1
        ? Parts[0].Shape
        : Parts[0].Shape.SetItem(0, Parts.Sum(p => p.Shape[0]));
}

/// <summary>
/// Stores tensors as FP16, rounded to nearest, ties to even. It also finds the tensors that lose more than rounding, to be stored as F32.
/// </summary>
internal static class HalfEncoding
{
    /// <summary>The smallest magnitude that rounds to infinity, and the largest that rounds to 0.</summary>
    private const double Overflow = 65520, Flush = 1.0 / (1 << 25);

    private const double SmallestNormal = 1.0 / (1 << 14), SubnormalsPerUnit = 1 << 24;

    private const int Chunk = 1 << 16;

    /// <summary>Reads a tensor and gets its loss in FP16; null if there is none.</summary>
    /// <exception cref="ModelFormatException">An element is infinite or NaN.</exception>
    public static HalfLoss? Examine(DraftTensor tensor)
    {
        bool vector = tensor.Shape.Count(d => d > 1) <= 1;
        long count = 0, overflowing = 0, flushed = 0, coarse = 0, firstIndex = -1;
        double first = 0;
        ForEachChunk(tensor, values =>
        {
            for (int i = 0; i < values.Length; i++, count++)
            {
                double x = Math.Abs(values[i]);
                if (x is 0 or >= SmallestNormal and < Overflow) continue;
                if (!double.IsFinite(x))
                {
                    throw new ModelFormatException(
                        tensor.Parts[0].File, $"what becomes tensor '{tensor.Name}' holds {values[i]} at {count}; weights "
                        + "must be finite.") { Tensor = tensor.Name };
                }

                bool isCoarse = vector && x is > Flush and < SmallestNormal && x * SubnormalsPerUnit % 1 != 0;
                if (x >= Overflow) overflowing++;
                else if (x <= Flush) flushed++;
                else if (isCoarse) coarse++;
                else continue;
                if (firstIndex < 0) (firstIndex, first) = (count, values[i]);
            }
        });
        return firstIndex < 0 ? null : new HalfLoss(tensor.Name, count, overflowing, flushed, coarse, firstIndex, first);
    }

    /// <summary>Creates the declaration of a tensor. Its elements are read when the file is written.</summary>
    public static TensorDeclaration Declare(DraftTensor tensor, ElementType type) =>
        new(tensor.Name, type, tensor.Shape, stream => ForEachChunk(tensor, values =>
        {
            if (type == ElementType.F16) Write<Half>(stream, values, x => (Half)x);
            else Write<float>(stream, values, x => (float)x);
        }));

    /// <summary>Gets a value that indicates whether two tensors are equal after rounding to FP16.</summary>
    public static bool Equal(CheckpointTensor a, CheckpointTensor b)
    {
        if (!a.Shape.SequenceEqual(b.Shape)) return false;
        double[] x = new double[Math.Min(Chunk, a.ElementCount)], y = new double[x.Length];
        for (long at = 0; at < a.ElementCount; at += Chunk)
        {
            int n = (int)Math.Min(Chunk, a.ElementCount - at);
            a.Read(at, x.AsSpan(0, n));
            b.Read(at, y.AsSpan(0, n));
            for (int i = 0; i < n; i++)
                if (!((Half)x[i]).Equals((Half)y[i])) return false;
        }
        return true;
    }

    private static void Write<T>(Stream stream, ReadOnlySpan<double> values, Func<double, T> convert) where T : unmanaged
    {
        T[] converted = new T[values.Length];
        for (int i = 0; i < converted.Length; i++) converted[i] = convert(values[i]);
        stream.Write(MemoryMarshal.AsBytes<T>(converted));
    }

    private static void ForEachChunk(DraftTensor tensor, ReadOnlySpanAction work)
    {
        double[] buffer = new double[Math.Min(Chunk, tensor.Parts.Max(p => p.ElementCount))];
        foreach (CheckpointTensor part in tensor.Parts)
        {
            for (long at = 0; at < part.ElementCount; at += Chunk)
            {
                Span<double> values = buffer.AsSpan(0, (int)Math.Min(Chunk, part.ElementCount - at));
                part.Read(at, values);
                work(values);
            }
        }
    }

    private delegate void ReadOnlySpanAction(ReadOnlySpan<double> values);
}
