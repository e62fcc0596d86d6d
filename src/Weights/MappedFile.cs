using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace TinyZsad.Weights;

/// <summary>A whole file, mapped read-only, and still readable by ordinary reads. Finalised if it is never disposed.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly SafeFileHandle file;
    private readonly MemoryMappedFile? map; // null for an empty file, of which nothing can be mapped
    private readonly MemoryMappedViewAccessor? view;

    private MappedFile(SafeFileHandle file, long length)
    {
        this.file = file;
        Length = length;
        if (length == 0)
            return;
        map = MemoryMappedFile.CreateFromFile(
            file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        try
        {
            view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    /// <summary>Maps a file.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="ModelFormatException">The path is a folder, or the file cannot be read.</exception>
    public static MappedFile Open(string path, bool deleteOnClose)
    {
        if (Directory.Exists(path))
            throw new ModelFormatException($"{path}: this is a folder, not a safetensors file.");
        SafeFileHandle? file = null;
        try
        {
            file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete,
                deleteOnClose ? FileOptions.DeleteOnClose : FileOptions.None);
            return new MappedFile(file, RandomAccess.GetLength(file));
        }
        catch (Exception e)
        {
            file?.Dispose();
            if (e is UnauthorizedAccessException or NotSupportedException
                or (IOException and not (FileNotFoundException or DirectoryNotFoundException)))
                throw new ModelFormatException($"{path}: the file cannot be read: {e.Message}", e);
            throw;
        }
    }

    /// <summary>Length in bytes when the file was opened.</summary>
    public long Length { get; }

    /// <summary>The first byte; null for an empty file. The view starts the file, so the handle itself is the address.</summary>
    public byte* Start => (byte*)(view?.SafeMemoryMappedViewHandle.DangerousGetHandle() ?? 0);

    /// <summary>Reads bytes past the mapping, so that its pages do not become resident.</summary>
    /// <returns>How many bytes were read; fewer than asked for only towards the file's end.</returns>
    public int Read(Span<byte> destination, long offset) => RandomAccess.Read(file, destination, offset);

    public void Dispose()
    {
        view?.Dispose();
        map?.Dispose();
        file.Dispose();
    }
}
