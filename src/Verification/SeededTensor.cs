using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text;
using TinyZsad.Weights;

namespace TinyZsad.Verification;

/// <summary>
/// Represents a tensor that is generated from a seed, so that a reference case stores no weights (<c>tests/reference/refgen.py</c>,
/// version 1). All integer arithmetic is modulo 2^64:
/// <code>
/// h = fnv1a64(name) ^ (seed * 0x9E3779B97F4A7C15)      z = h + (i + 1) * 0x9E3779B97F4A7C15
/// z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9             z = (z ^ (z >> 27)) * 0x94D049BB133111EB      z = z ^ (z >> 31)
/// x[i] = binary16(offset + scale * (2 (z >> 40) / 2^24 - 1))
/// </code>
/// </summary>
internal sealed class SeededTensor : IEquatable<SeededTensor>
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    private readonly double scale;
    private readonly double offset;
    private readonly ulong seed;

    /// <summary>Initializes a tensor.</summary>
    public SeededTensor(string name, ImmutableArray<long> shape, double scale, double offset, ulong seed)
    {
        Name = name;
        Shape = shape;
        this.scale = scale;
        this.offset = offset;
        this.seed = seed;
    }

    /// <summary>Gets the name, on which the values depend.</summary>
    public string Name { get; }

    /// <summary>Gets the dimensions.</summary>
    public ImmutableArray<long> Shape { get; }

    /// <summary>Gets the number of elements.</summary>
    public long ElementCount => Shape.Aggregate(1L, (n, d) => n * d);

    /// <summary>Computes the value at a row-major index.</summary>
    public Half this[long index] => At(Start(), index);

    /// <summary>Creates the declaration of the tensor for a file.</summary>
    public TensorDeclaration Declare() => new(Name, ElementType.F16, Shape, Write);

    /// <inheritdoc/>
    public bool Equals(SeededTensor? other) =>
        other is not null && Name == other.Name && Shape.SequenceEqual(other.Shape)
            && (scale, offset, seed) == (other.scale, other.offset, other.seed);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as SeededTensor);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, seed);

    private ulong Start()
    {
        ulong h = 0xCBF29CE484222325;
        foreach (byte b in Encoding.UTF8.GetBytes(Name)) h = (h ^ b) * 0x100000001B3;
        return h ^ (seed * Golden);
    }

    private Half At(ulong start, long i)
    {
        ulong z = start + (ulong)(i + 1) * Golden;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        z ^= z >> 31;
        return (Half)(offset + scale * (2 * ((z >> 40) / 16777216.0) - 1));
    }

    private void Write(Stream stream)
    {
        ulong start = Start();
        long count = ElementCount;
        Half[] some = new Half[Math.Min(count, 1 << 16)];
        for (long first = 0; first < count; first += some.Length)
        {
            Span<Half> part = some.AsSpan(0, (int)Math.Min(some.Length, count - first));
            for (int i = 0; i < part.Length; i++) part[i] = At(start, first + i);
            stream.Write(MemoryMarshal.AsBytes(part));
        }
    }
}
