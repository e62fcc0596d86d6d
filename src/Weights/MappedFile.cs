using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;
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
            throw new ModelFormatException(path, "this is a folder, not a file.");
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
            {
                throw new ModelFormatException(path, $"the file cannot be read: {e.Message}", e);
            }

            throw;
        }
    }

    /// <summary>Length in bytes when the file was opened.</summary>
    public long Length { get; }

    /// <summary>The first byte; null for an empty file. The view starts the file, so the handle itself is the address.</summary>
    public byte* Start => (byte*)(view?.SafeMemoryMappedViewHandle.DangerousGetHandle() ?? 0);

    /// <summary>
    /// SHA-256 of the whole file, 64 lower-case hexadecimal digits. It is read past the mapping, so that its pages do not become
    /// resident.
    /// </summary>
    /// <param name="name">What error messages call the file.</param>
    /// <exception cref="ModelFormatException">The file cannot be read, or was shortened since it was opened.</exception>
    public string Sha256(string name)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[64 * 1024];
        long at = 0;
        while (at < Length)
        {
            int read;
            try
            {
                read = RandomAccess.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, Length - at)), at);
            }
            catch (IOException e)
            {
                throw new ModelFormatException(name, $"the file cannot be read at byte {at}: {e.Message}", e) { Offset = at };
            }
            if (read == 0)
                throw Shortened(name, Length, at);
            hash.AppendData(buffer, 0, read);
            at += read;
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Creates the error of a file that ends before the length it had when it was opened.</summary>
    internal static ModelFormatException Shortened(string name, long length, long now) =>
        new(name, $"the file had {length} bytes when it was opened and has {now} now.") { Offset = now };

    public void Dispose()
    {
        view?.Dispose();
        map?.Dispose();
        file.Dispose();
    }
}
