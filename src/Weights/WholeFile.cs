using System.Buffers;
using Microsoft.Win32.SafeHandles;

namespace TinyZsad.Weights;

/// <summary>Reads whole files and streams into native memory. The caller owns the memory.</summary>
internal static class WholeFile
{
    /// <summary>The number of bytes that are read at once.</summary>
    private const int Chunk = 1 << 20;

    /// <summary>Opens a file and passes its handle to a function, which owns it unless it throws.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="ModelFormatException">The path is a folder, or the file cannot be read.</exception>
    public static T Open<T>(string path, FileOptions options, Func<SafeFileHandle, T> use)
    {
        if (Directory.Exists(path))
            throw new ModelFormatException(path, "this is a folder, not a file.");
        SafeFileHandle? file = null;
        try
        {
            file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, options);
            return use(file);
        }
        catch (Exception e)
        {
            file?.Dispose();
            if (e is UnauthorizedAccessException or NotSupportedException
                or (IOException and not (FileNotFoundException or DirectoryNotFoundException)))
            {
                throw new ModelFormatException(path, $"the file cannot be read: {e.Message}", e);
            }

            throw;
        }
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="ModelFormatException">The path is a folder, or the file cannot be read or is shortened.</exception>
    public static NativeBuffer Read(string path) => Open(path, FileOptions.SequentialScan, file =>
    {
        using (file) return Read(file, RandomAccess.GetLength(file), path);
    });

    /// <summary>Reads a file whose length is known.</summary>
    /// <exception cref="ModelFormatException">The file cannot be read, or is shorter.</exception>
    public static NativeBuffer Read(SafeFileHandle file, long length, string name)
    {
        NativeBuffer buffer = new(length);
        try
        {
            while (buffer.Length < length)
            {
                Span<byte> room = buffer.Room((int)Math.Min(Chunk, length - buffer.Length));
                int read = Read(file, room, buffer.Length, name);
                buffer.Advance(read > 0 ? read : throw Shortened(name, length, buffer.Length));
            }
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <summary>Reads bytes at an offset of a file; 0 at its end.</summary>
    /// <exception cref="ModelFormatException">The file cannot be read.</exception>
    public static int Read(SafeFileHandle file, Span<byte> bytes, long offset, string name)
    {
        try
        {
            return RandomAccess.Read(file, bytes, offset);
        }
        catch (IOException e)
        {
            throw new ModelFormatException(name, $"the file cannot be read at byte {offset}: {e.Message}", e) { Offset = offset };
        }
    }

    /// <summary>Creates the error of a file that ends before the length it had when it was opened.</summary>
    public static ModelFormatException Shortened(string name, long length, long now) =>
        new(name, $"the file had {length} bytes when it was opened and has {now} now.") { Offset = now };

    /// <summary>Reads a stream from its position to its end.</summary>
    public static NativeBuffer Read(Stream stream)
    {
        NativeBuffer buffer = new(Rest(stream));
        byte[] chunk = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            int read;
            while ((read = stream.Read(chunk)) > 0) Add(buffer, chunk, read);
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    /// <summary>Reads a stream from its position to its end, with asynchronous reads only, and passes the memory on.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="use">The function that owns the memory, and disposes it if it throws.</param>
    /// <param name="cancellationToken">The token that cancels reading.</param>
    public static async Task<T> ReadAsync<T>(Stream stream, Func<NativeBuffer, T> use, CancellationToken cancellationToken) =>
        use(await ReadAsync(stream, cancellationToken).ConfigureAwait(false));

    private static async Task<NativeBuffer> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        NativeBuffer buffer = new(Rest(stream));
        byte[] chunk = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            int read;
            while ((read = await stream.ReadAsync(chunk, cancellationToken).ConfigureAwait(false)) > 0) Add(buffer, chunk, read);
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private static void Add(NativeBuffer buffer, byte[] chunk, int count)
    {
        chunk.AsSpan(0, count).CopyTo(buffer.Room(count));
        buffer.Advance(count);
    }

    private static long Rest(Stream stream) => stream.CanSeek ? stream.Length - stream.Position : 0;
}
