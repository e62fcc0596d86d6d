using System.Buffers;
using System.Buffers.Binary;
using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace TinyZsad.Weights;

/// <summary>
/// An open safetensors file: an 8-byte little-endian header length, a JSON header, and the tensors' bytes. Nothing is copied;
/// every <see cref="TensorEntry"/> is a view into the mapped file, or into the bytes that were given.
/// </summary>
/// <remarks>
/// Opening checks every rule of the format, and that the tensors tile the data without hole, overlap or rest, so that every
/// view lies inside the file. All members may be called from any number of threads at once, but <see cref="Dispose"/> only
/// once no thread uses a view any more. A mapped file must not be shortened while it is open.
/// </remarks>
public sealed unsafe class SafetensorsFile : IDisposable
{
    /// <summary>The longest header the format allows, in bytes.</summary>
    internal const int MaxHeaderLength = 100_000_000;

    /// <summary>Bytes of the header's length, which stands before the header.</summary>
    internal const int PrefixLength = 8;

    private readonly IDisposable owner;
    private readonly byte* start;
    private readonly Dictionary<string, TensorEntry> byName;
    private bool disposed;

    private SafetensorsFile(string name, IDisposable owner, byte* start, long length)
    {
        Name = name;
        Length = length;
        this.owner = owner;
        this.start = start;
        HeaderParser header = new HeaderParser(this, HeaderBytes(), length);
        header.Parse();
        Metadata = new ReadOnlyDictionary<string, string>(header.Metadata);
        Tensors = header.TensorsInFileOrder().AsReadOnly();
        byName = header.Tensors;
    }

    /// <summary>Maps a file read-only and checks it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="deleteOnClose">
    /// Delete the file when it is closed, that is upon <see cref="Dispose"/>, upon finalisation, or right away if this method
    /// finds it malformed. For models generated into a temporary file.
    /// </param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="ModelFormatException">The file cannot be read, or is no well-formed safetensors file.</exception>
    public static SafetensorsFile Open(string path, bool deleteOnClose = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        MappedFile mapped = MappedFile.Open(path, deleteOnClose);
        try
        {
            return new SafetensorsFile(path, mapped, mapped.Start, mapped.Length);
        }
        catch
        {
            mapped.Dispose();
            throw;
        }
    }

    /// <summary>Opens bytes in memory, which are pinned until <see cref="Dispose"/> and must not change meanwhile.</summary>
    /// <param name="bytes">A whole safetensors file.</param>
    /// <param name="name">What error messages call it.</param>
    /// <exception cref="ModelFormatException">The bytes are no well-formed safetensors file.</exception>
    public static SafetensorsFile Open(ReadOnlyMemory<byte> bytes, string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        MemoryHandle pin = bytes.Pin();
        try
        {
            return new SafetensorsFile(name, pin, (byte*)pin.Pointer, bytes.Length);
        }
        catch
        {
            pin.Dispose();
            throw;
        }
    }

    /// <summary>Opens unmanaged memory, such as an embedded resource, from the stream's first byte to its last.</summary>
    /// <param name="stream">The memory; kept, and disposed with this object. If this method throws it stays the caller's.</param>
    /// <param name="name">What error messages call it.</param>
    /// <exception cref="NotSupportedException">The stream stands over a SafeBuffer, which has no fixed address.</exception>
    /// <exception cref="ModelFormatException">The bytes are no well-formed safetensors file.</exception>
    public static SafetensorsFile Open(UnmanagedMemoryStream stream, string name)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(name);
        stream.Position = 0;
        return new SafetensorsFile(name, stream, stream.PositionPointer, stream.Length);
    }

    /// <summary>The path, or the name given for bytes; every error message begins with it.</summary>
    public string Name { get; }

    /// <summary>Length of the whole file in bytes.</summary>
    public long Length { get; }

    /// <summary>The header's <c>__metadata__</c>; empty if there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Every tensor, in the order in which their bytes lie in the file.</summary>
    public IReadOnlyList<TensorEntry> Tensors { get; }

    /// <summary>Finds a tensor by its exact name.</summary>
    public bool TryGet(string name, [MaybeNullWhen(false)] out TensorEntry entry) => byName.TryGetValue(name, out entry);

    /// <summary>
    /// The SHA-256 of the whole file, 64 lower-case hexadecimal digits. A mapped file is read through with ordinary reads, past
    /// the mapping, so that none of its pages become resident.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    /// <exception cref="ModelFormatException">The file cannot be read, or was shortened since it was opened.</exception>
    public string ComputeSha256()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (owner is MappedFile mapped)
            return mapped.Sha256(Name);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        const int Chunk = 1 << 30; // a span's length is an int
        for (long at = 0; at < Length; at += Chunk)
            hash.AppendData(new ReadOnlySpan<byte>(start + at, (int)Math.Min(Chunk, Length - at)));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Closes the file. Addresses and spans taken from its tensors must not be used any more.</summary>
    public void Dispose()
    {
        if (disposed)
            return;
        disposed = true;
        owner.Dispose();
    }

    /// <summary>The byte at an offset, which must lie in the file.</summary>
    internal byte* At(long offset)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return start + offset;
    }

    private ReadOnlySpan<byte> HeaderBytes()
    {
        if (Length < PrefixLength)
        {
            throw LengthError(
                $"the file holds {Length} bytes; a safetensors file begins with an {PrefixLength}-byte header length");
        }
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(start, PrefixLength));
        if (headerLength > MaxHeaderLength)
        {
            throw LengthError($"the first 8 bytes tell of a header of {headerLength} bytes, but the format allows at most "
                + $"{MaxHeaderLength}; this may be no safetensors file");
        }
        if ((long)headerLength > Length - PrefixLength)
        {
            throw LengthError($"the first 8 bytes tell of a header of {headerLength} bytes, but only {Length - PrefixLength} "
                + "bytes follow; the file may be cut short");
        }
        return new ReadOnlySpan<byte>(start + PrefixLength, (int)headerLength);

        // The header's length is the first field of the file.
        ModelFormatException LengthError(string what) => new(Name, $"{what}.") { Offset = 0 };
    }
}
