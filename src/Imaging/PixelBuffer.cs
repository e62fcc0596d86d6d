using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>Holds memory for the pixels of a picture, and the pool from which it is rented.</summary>
internal readonly struct PixelBuffer
{
    private readonly byte[]? rented;

    /// <summary>Wraps memory that belongs to the caller.</summary>
    public PixelBuffer(Memory<byte> memory) => Memory = memory;

    private PixelBuffer(byte[] rented, int length, ArrayPool<byte> pool) =>
        (this.rented, Memory, Pool) = (rented, rented.AsMemory(0, length), pool);

    public Memory<byte> Memory { get; }

    /// <summary>The pool of a rented array; null for other memory.</summary>
    public ArrayPool<byte>? Pool { get; }

    /// <summary>Allocates memory without clearing it, from the pool if there is one.</summary>
    public static PixelBuffer Allocate(int length, ArrayPool<byte>? pool) => pool is null
        ? new PixelBuffer(GC.AllocateUninitializedArray<byte>(length))
        : new PixelBuffer(pool.Rent(length), length, pool);

    /// <summary>The number of bytes of RGB pixels.</summary>
    /// <exception cref="ArgumentException">One array cannot hold them.</exception>
    public static int RgbBytes(int width, int height)
    {
        long bytes = 3L * width * height;
        return bytes <= Array.MaxLength ? (int)bytes : throw new ArgumentException(
            $"{width} x {height} RGB pixels are {bytes} bytes; one array holds {Array.MaxLength}.");
    }

    /// <summary>Returns a rented array to its pool. It must be called once at most.</summary>
    public void Return()
    {
        if (this.rented is not null)
        {
            Pool!.Return(this.rented);
        }
    }
}
