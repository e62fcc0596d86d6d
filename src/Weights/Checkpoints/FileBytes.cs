using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;

namespace TinyZsad.Weights;

/// <summary>Represents the bytes of a whole file, mapped or in memory. Every access is checked.</summary>
internal sealed unsafe class FileBytes : IDisposable
{
    private readonly IDisposable owner;
    private readonly byte* start;
    private bool disposed;

    private FileBytes(string name, IDisposable owner, byte* start, long length)
    {
        Name = name;
        Length = length;
        this.owner = owner;
        this.start = start;
    }

    /// <summary>Maps a file read-only.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="ModelFormatException">The path is a folder, or the file cannot be read.</exception>
    public static FileBytes Map(string path)
    {
        MappedFile mapped = MappedFile.Open(path, deleteOnClose: false);
        return new FileBytes(path, mapped, mapped.Start, mapped.Length);
    }

    /// <summary>Pins bytes in memory.</summary>
    public static FileBytes Pin(ReadOnlyMemory<byte> bytes, string name)
    {
        MemoryHandle pin = bytes.Pin();
        return new FileBytes(name, pin, (byte*)pin.Pointer, bytes.Length);
    }

    /// <summary>Gets the name of the file in error messages.</summary>
    public string Name { get; }

    /// <summary>Gets the length in bytes.</summary>
    public long Length { get; }

    /// <summary>Gets the address of a byte. The offset is not checked.</summary>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    public byte* At(long offset)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return start + offset;
    }

    /// <summary>Gets a range of bytes.</summary>
    /// <exception cref="ModelFormatException">The range does not lie in the file.</exception>
    public ReadOnlySpan<byte> Span(long offset, long length)
    {
        if (offset < 0 || length < 0 || length > int.MaxValue || offset > Length - length)
            throw Error($"bytes {offset} to {offset + length} are needed, and it has {Length}; it may be cut short", offset);
        return new ReadOnlySpan<byte>(At(offset), (int)length);
    }

    public ushort UInt16(long offset) => BinaryPrimitives.ReadUInt16LittleEndian(Span(offset, 2));

    public uint UInt32(long offset) => BinaryPrimitives.ReadUInt32LittleEndian(Span(offset, 4));

    /// <summary>Reads an unsigned number, which must be below 2^63.</summary>
    public long UInt64(long offset)
    {
        ulong value = BinaryPrimitives.ReadUInt64LittleEndian(Span(offset, 8));
        return value <= long.MaxValue
            ? (long)value
            : throw Error($"the number {value} at byte {offset} passes 2^63", offset);
    }

    /// <summary>Computes the SHA-256 hash of the whole file, as 64 lower-case hexadecimal digits.</summary>
    public string Sha256()
    {
        if (owner is MappedFile mapped) return mapped.Sha256(Name);
        return Convert.ToHexStringLower(SHA256.HashData(Span(0, Length)));
    }

    public void Dispose()
    {
        disposed = true;
        owner.Dispose();
    }

    /// <summary>Creates an error of this file.</summary>
    /// <param name="what">What is wrong, without a full stop.</param>
    /// <param name="offset">The byte offset at which it was found; null if it is not at one place.</param>
    /// <param name="tensor">The tensor that it concerns; null for none.</param>
    /// <param name="inner">The error that caused it; null for none.</param>
    public ModelFormatException Error(string what, long? offset = null, string? tensor = null, Exception? inner = null) =>
        new(Name, $"{what}.", inner) { Offset = offset, Tensor = tensor };
}
