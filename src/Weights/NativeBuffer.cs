using System.Runtime.InteropServices;

namespace TinyZsad.Weights;

/// <summary>
/// Represents a growing block of native memory that holds a whole file. Its start is aligned to 64 bytes and its length is not limited
/// to that of an array. The memory is freed by <see cref="Dispose"/> or, as a safety net, by the finalizer.
/// </summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private const int Alignment = 64;

    private readonly long expected;
    private byte* start;
    private long capacity;

    /// <summary>Initializes an empty buffer.</summary>
    /// <param name="expected">
    /// The length that is expected, or 0 if it is unknown. It is allocated at once only if the memory of the machine can hold it;
    /// otherwise the buffer grows with the bytes that arrive.
    /// </param>
    public NativeBuffer(long expected)
    {
        this.expected = expected <= GC.GetGCMemoryInfo().TotalAvailableMemoryBytes ? expected : 0;
        Grow(1);
    }

    /// <summary>Frees the memory of a buffer that was not disposed.</summary>
    ~NativeBuffer() => Free();

    /// <summary>Gets the first byte. It moves when the buffer grows.</summary>
    public byte* Start => start;

    /// <summary>Gets the number of bytes that were added.</summary>
    public long Length { get; private set; }

    /// <summary>Gets memory behind the last byte, to be filled and then added by <see cref="Advance"/>.</summary>
    /// <param name="size">The number of bytes.</param>
    public Span<byte> Room(int size)
    {
        if (size > capacity - Length) Grow(Length + size);
        return new Span<byte>(start + Length, size);
    }

    /// <summary>Adds bytes that were written to the memory that <see cref="Room"/> gave.</summary>
    /// <param name="count">The number of bytes.</param>
    public void Advance(int count) => Length += count;

    /// <summary>Frees the memory.</summary>
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Grow(long needed)
    {
        long next = expected >= needed ? expected : Math.Max(needed, 2 * capacity);
        start = (byte*)NativeMemory.AlignedRealloc(start, (nuint)next, Alignment);
        capacity = next;
    }

    private void Free()
    {
        NativeMemory.AlignedFree(start);
        start = null;
    }
}
