using System.IO.MemoryMappedFiles;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace TinyZsad.Weights;

/// <summary>
/// Represents a whole file that is mapped read-only. Its handle stays open for ordinary reads. The handles' finalizers close a file
/// that is not disposed.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly SafeFileHandle file;
    private readonly MemoryMappedFile? map; // null for an empty file, which cannot be mapped
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
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="ModelFormatException">The path is a folder, or the file cannot be read.</exception>
    public static MappedFile Open(string path, bool deleteOnClose) =>
        WholeFile.Open(path, deleteOnClose ? FileOptions.DeleteOnClose : FileOptions.None,
            file => new MappedFile(file, RandomAccess.GetLength(file)));

    /// <summary>Gets the length in bytes that the file had when it was opened.</summary>
    public long Length { get; }

    /// <summary>Gets the address of the first byte; null for an empty file.</summary>
    public byte* Start => (byte*)(view?.SafeMemoryMappedViewHandle.DangerousGetHandle() ?? 0);

    /// <summary>
    /// Computes the SHA-256 hash of the whole file, as 64 lower-case hexadecimal digits. The file is read with ordinary reads, so that
    /// the pages of the mapping do not become resident.
    /// </summary>
    /// <param name="name">The name of the file in error messages.</param>
    /// <exception cref="ModelFormatException">The file cannot be read, or was shortened since it was opened.</exception>
    public string Sha256(string name)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[64 * 1024];
        long at = 0;
        while (at < Length)
        {
            int read = WholeFile.Read(file, buffer.AsSpan(0, (int)Math.Min(buffer.Length, Length - at)), at, name);
            if (read == 0)
                throw WholeFile.Shortened(name, Length, at);
            hash.AppendData(buffer, 0, read);
            at += read;
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    public void Dispose()
    {
        view?.Dispose();
        map?.Dispose();
        file.Dispose();
    }
}
