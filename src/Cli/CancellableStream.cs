namespace TinyZsad.Cli;

/// <summary>Passes what is written on to another stream, until a token is cancelled.</summary>
internal sealed class CancellableStream(Stream stream, CancellationToken cancellationToken) : OutputStream
{
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        cancellationToken.ThrowIfCancellationRequested();
        stream.Write(buffer);
    }

    public override void Flush() => stream.Flush();
}
