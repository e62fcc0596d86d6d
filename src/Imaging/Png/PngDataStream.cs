using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>
/// Provides the data of consecutive, checked IDAT chunks as one stream. The memory must stay pinned while the stream is in use.
/// </summary>
internal sealed unsafe class PngDataStream(byte* firstChunk, byte* end) : Stream
{
    private byte* next = firstChunk;
    private int left;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        int done = 0;
        while (done < buffer.Length)
        {
            if (left == 0)
            {
                if (next == end)
                {
                    break;
                }

                left = (int)BinaryPrimitives.ReadUInt32BigEndian(new ReadOnlySpan<byte>(next, 4));
                next += PngChunk.HeaderBytes;
            }

            // The count is zero for an empty chunk; its checksum is skipped below.
            int count = Math.Min(left, buffer.Length - done);
            new ReadOnlySpan<byte>(next, count).CopyTo(buffer[done..]);
            done += count;
            next += count;
            left -= count;
            if (left == 0)
            {
                next += PngChunk.ChecksumBytes;
            }
        }

        return done;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush() { }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
