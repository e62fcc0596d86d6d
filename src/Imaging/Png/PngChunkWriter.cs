using System.Buffers.Binary;

namespace TinyZsad.Imaging;

/// <summary>Writes data as consecutive chunks of one type. Disposing of it writes the last chunk.</summary>
internal sealed class PngChunkWriter(Stream target, uint type) : Stream
{
    private readonly byte[] buffer = new byte[1 << 16];
    private int length;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Writes one chunk.</summary>
    public static void Write(Stream target, uint type, ReadOnlySpan<byte> data) => Write(target, type, [], data, []);

    /// <summary>Writes one chunk whose data consists of three parts.</summary>
    public static void Write(Stream target, uint type, ReadOnlySpan<byte> head, ReadOnlySpan<byte> body, ReadOnlySpan<byte> tail)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(word, head.Length + body.Length + tail.Length);
        target.Write(word);
        BinaryPrimitives.WriteUInt32BigEndian(word, type);
        target.Write(word);
        target.Write(head);
        target.Write(body);
        target.Write(tail);
        uint checksum = Crc32.Compute(tail, Crc32.Compute(body, Crc32.Compute(head, Crc32.Compute(word))));
        BinaryPrimitives.WriteUInt32BigEndian(word, checksum);
        target.Write(word);
    }

    public override void Write(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            int count = Math.Min(data.Length, this.buffer.Length - length);
            data[..count].CopyTo(this.buffer.AsSpan(length));
            data = data[count..];
            length += count;
            if (length == this.buffer.Length)
            {
                WriteChunk();
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Does nothing. A chunk is written when it is full.</summary>
    public override void Flush() { }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && length > 0)
        {
            WriteChunk();
        }

        base.Dispose(disposing);
    }

    private void WriteChunk()
    {
        Write(target, type, this.buffer.AsSpan(0, length));
        length = 0;
    }
}
