using System.Text;
using Microsoft.Win32.SafeHandles;

namespace TinyZsad.Cli;

/// <summary>
/// Writes to standard output, and says so if that fails. If it is a pipe that nobody reads any more, it throws
/// <see cref="OutputClosedException"/>; the console's own stream says nothing then, and a tool would compute for nobody.
/// </summary>
internal sealed class StandardOutput : Stream
{
    private readonly Stream stream;
    private readonly bool isPipe;

    private StandardOutput(Stream stream, bool isPipe) => (this.stream, this.isPipe) = (stream, isPipe);

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Opens the writer for results.</summary>
    public static TextWriter Open() => Console.IsOutputRedirected
        ? new StreamWriter(OpenStream(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false)) { AutoFlush = true }
        : Console.Out;

    private static StandardOutput OpenStream()
    {
        // On Windows, handles are not numbers of the process. A file that others also write to needs the console's stream, which
        // writes where the others have stopped.
        if (!OperatingSystem.IsWindows() && TryOpen() is { CanSeek: false } pipe) return new StandardOutput(pipe, isPipe: true);
        return new StandardOutput(Console.OpenStandardOutput(), isPipe: false);
    }

    private static FileStream? TryOpen()
    {
        try
        {
            return new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // The process was started without standard output.
            return null;
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            stream.Write(buffer);
        }
        catch (IOException e)
        {
            throw isPipe ? new OutputClosedException(e) : new IOException($"standard output: {e.Message}", e);
        }
    }

    public override void Flush() => stream.Flush();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
