using System.Text;
using Microsoft.Win32.SafeHandles;

namespace TinyZsad.Cli;

/// <summary>
/// Writes to standard output, and says so if that fails. If it is a pipe that nobody reads any more, it throws
/// <see cref="OutputClosedException"/>; the console's own stream says nothing then, and a tool would compute for nobody.
/// </summary>
internal sealed class StandardOutput : OutputStream
{
    private readonly Stream stream;
    private readonly bool isPipe;

    private StandardOutput(Stream stream, bool isPipe) => (this.stream, this.isPipe) = (stream, isPipe);

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

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            stream.Write(buffer);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw isPipe ? new OutputClosedException(e) : new IOException($"standard output cannot be written to: {e.Message}", e);
        }
    }

    public override void Flush() => stream.Flush();
}
