namespace TinyZsad.Weights;

/// <summary>Writes files whole or not at all.</summary>
internal static class AtomicFile
{
    /// <summary>
    /// Writes a file to a temporary name in the same folder and then moves it, so that a failure leaves no partial file and does not
    /// change an existing one. An existing file is replaced.
    /// </summary>
    /// <param name="path">The path of the file. Its folder must exist.</param>
    /// <param name="write">Writes the content.</param>
    /// <param name="flushToDisk">Whether the content is on the disk before the file gets its name.</param>
    /// <exception cref="ArgumentException">The path is the root of a file system.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    public static void Write(string path, Action<FileStream> write, bool flushToDisk = false)
    {
        string target = Path.GetFullPath(path);
        string folder = Path.GetDirectoryName(target)
            ?? throw new ArgumentException($"{path} is the root of a file system, not a file.", nameof(path));
        string temporary = Path.Combine(folder, $".{Path.GetRandomFileName()}.tmp");
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                write(stream);
                stream.Flush(flushToDisk);
            }
            File.Move(temporary, target, overwrite: true);
        }
        catch (Exception e)
        {
            File.Delete(temporary);
            // The caller does not know the temporary file.
            string message = e.Message.Replace(temporary, target, StringComparison.Ordinal);
            if (e is UnauthorizedAccessException) throw new UnauthorizedAccessException(message, e);
            if (e is IOException && message != e.Message) throw new IOException(message, e);
            throw;
        }
    }
}
