using System.Buffers;

namespace TinyZsad.Imaging;

/// <summary>Reads a stream to its end into a rented array that grows within the limits.</summary>
internal sealed class EncodedData : IDisposable
{
    private const int FirstBytes = 1 << 14;

    private readonly ImageLimits limits;

    /// <summary>The limit and one more byte, which shows that there is too much data.</summary>
    private readonly int mostBytes;
    private byte[] buffer;
    private int length;

    private EncodedData(Stream stream, ImageLimits limits)
    {
        this.limits = limits;
        mostBytes = (int)Math.Min(limits.MaxEncodedBytes + 1L, Array.MaxLength);

        // One byte more than is left, so that the read that finds the end needs no larger array.
        long left = stream.CanSeek ? Math.Max(stream.Length - stream.Position, 0) : FirstBytes - 1;
        if (stream.CanSeek)
        {
            limits.CheckEncodedBytes(left);
        }

        this.buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(left + 1, mostBytes));
    }

    public ReadOnlySpan<byte> Span => this.buffer.AsSpan(0, this.length);

    public static EncodedData Read(Stream stream, ImageLimits limits, CancellationToken cancellationToken)
    {
        EncodedData data = new EncodedData(stream, limits);
        try
        {
            do
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
            while (data.Add(stream.Read(data.Space().Span)));
            return data;
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    public static async Task<EncodedData> ReadAsync(Stream stream, ImageLimits limits, CancellationToken cancellationToken)
    {
        EncodedData data = new EncodedData(stream, limits);
        try
        {
            while (data.Add(await stream.ReadAsync(data.Space(), cancellationToken).ConfigureAwait(false)))
            {
            }

            return data;
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(this.buffer);
        this.buffer = [];
        this.length = 0;
    }

    /// <summary>Returns the memory for the next read, at least one byte.</summary>
    private Memory<byte> Space()
    {
        int capacity = Math.Min(this.buffer.Length, mostBytes);
        if (this.length == capacity)
        {
            if (capacity == mostBytes)
            {
                // The limit is the length of the largest array, so any byte that is read here is too much.
                return new byte[1];
            }

            byte[] larger = ArrayPool<byte>.Shared.Rent((int)Math.Min(2L * capacity, mostBytes));
            Span.CopyTo(larger);
            ArrayPool<byte>.Shared.Return(this.buffer);
            this.buffer = larger;
            capacity = Math.Min(larger.Length, mostBytes);
        }

        return this.buffer.AsMemory(this.length, capacity - this.length);
    }

    /// <summary>Counts what a read gave; false at the end.</summary>
    private bool Add(int read)
    {
        limits.CheckEncodedBytes((long)this.length + read);
        this.length += read;
        return read > 0;
    }
}
