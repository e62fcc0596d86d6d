namespace TinyZsad.Weights;

/// <summary>Passes the bytes of one tensor to a stream and checks that they are as many as declared.</summary>
internal sealed class TensorStream(Stream destination, TensorDeclaration tensor) : Stream
{
    private long written;

    /// <summary>Checks that all bytes were written.</summary>
    /// <exception cref="ArgumentException">Bytes are missing.</exception>
    public void Finish()
    {
        if (written != tensor.ByteLength)
            throw WrongLength($"only {written}");
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (buffer.Length > tensor.ByteLength - written)
            throw WrongLength($"at least {written + buffer.Length}");
        destination.Write(buffer);
        written += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void WriteByte(byte value) => Write([value]);

    public override void Flush() => destination.Flush();

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => written; set => throw new NotSupportedException(); }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private ArgumentException WrongLength(string found) => new(
        $"Tensor {Shown.Quote(tensor.Name)} of shape {Shown.Shape(tensor.Shape)} and type {tensor.TypeName} has {tensor.ByteLength} "
        + $"bytes, but its content gave {found}.");
}
