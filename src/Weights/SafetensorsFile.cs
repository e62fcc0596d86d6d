using System.Buffers;
using System.Buffers.Binary;
using System.Collections.ObjectModel;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace TinyZsad.Weights;

/// <summary>
/// Represents an open safetensors file: an 8-byte little-endian header length, a JSON header, and the tensors' bytes. Every
/// <see cref="TensorEntry"/> is a view of these bytes.
/// </summary>
/// <remarks>
/// <para>
/// The <c>Open</c> methods copy nothing: they map a file, or use memory of the caller. The <c>Read</c> methods copy a file or a stream
/// into native memory that the object owns, aligned to 64 bytes.
/// </para>
/// <para>
/// Opening checks every rule of the format. The tensors must cover the data without gaps, overlaps or trailing bytes, so that every view
/// lies inside the file.
/// </para>
/// <para>
/// All members are thread safe, except that <see cref="Dispose"/> must not be called while a thread uses a view. If an object is not
/// disposed, its mapping or native memory is released when it is collected, but memory of the caller stays pinned.
/// </para>
/// </remarks>
public sealed unsafe class SafetensorsFile : IDisposable
{
    /// <summary>The length of the longest header that the format allows, in bytes.</summary>
    internal const int MaxHeaderLength = 100_000_000;

    /// <summary>The number of bytes of the header's length, which precedes the header.</summary>
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
    /// <param name="path">The path of the file.</param>
    /// <param name="deleteOnClose">
    /// <see langword="true"/> to delete the file when it is closed: by <see cref="Dispose"/>, by the finalizer, or by this method if the
    /// file is malformed. Use it for models that were generated into a temporary file.
    /// </param>
    /// <returns>The open file.</returns>
    /// <remarks>
    /// Do not overwrite or truncate a mapped file in place: the operating system ends the process when it reads a page that no longer
    /// exists (SIGBUS on Linux and macOS), and tensors change while they are used. To replace a model, write a new file and rename it
    /// over the old one. <see cref="Read(string)"/> is safe from changes to the file, at the cost of a copy in memory.
    /// </remarks>
    /// <exception cref="ArgumentException"><paramref name="path"/> is null or empty.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="ModelFormatException">The file cannot be read, or is not a well-formed safetensors file.</exception>
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

    /// <summary>Opens a file in memory, without a copy. The memory is pinned until <see cref="Dispose"/>.</summary>
    /// <param name="bytes">The bytes of the whole file. They must not change while the file is open.</param>
    /// <param name="name">The name of the file in error messages.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="name"/> is null.</exception>
    /// <exception cref="ModelFormatException">The bytes are not a well-formed safetensors file.</exception>
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

    /// <summary>Opens a file in unmanaged memory, such as an embedded resource, without a copy.</summary>
    /// <param name="stream">
    /// The memory, from the first byte of the stream to the last, whatever its position. The file owns the stream and disposes it; if
    /// this method throws, the caller keeps it.
    /// </param>
    /// <param name="name">The name of the file in error messages.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> or <paramref name="name"/> is null.</exception>
    /// <exception cref="NotSupportedException">The stream is based on a SafeBuffer, which has no fixed address.</exception>
    /// <exception cref="ModelFormatException">The bytes are not a well-formed safetensors file.</exception>
    public static SafetensorsFile Open(UnmanagedMemoryStream stream, string name)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(name);
        stream.Position = 0;
        return new SafetensorsFile(name, stream, stream.PositionPointer, stream.Length);
    }

    /// <summary>Reads a whole file into native memory and checks it. The file can be changed or deleted afterwards.</summary>
    /// <param name="path">The path of the file.</param>
    /// <returns>The open file, which owns the memory.</returns>
    /// <exception cref="ArgumentException"><paramref name="path"/> is null or empty.</exception>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="ModelFormatException">
    /// The file cannot be read, is shortened while it is read, or is not a well-formed safetensors file.
    /// </exception>
    /// <exception cref="OutOfMemoryException">There is not enough memory.</exception>
    public static SafetensorsFile Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Own(WholeFile.Read(path), path);
    }

    /// <summary>Reads a stream into native memory, from its position to its end, and checks the file.</summary>
    /// <param name="stream">The stream, seekable or not. It is not closed.</param>
    /// <param name="name">The name of the file in error messages.</param>
    /// <returns>The open file, which owns the memory.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> or <paramref name="name"/> is null.</exception>
    /// <exception cref="IOException">The stream cannot be read.</exception>
    /// <exception cref="ModelFormatException">The bytes are not a well-formed safetensors file.</exception>
    /// <exception cref="OutOfMemoryException">There is not enough memory.</exception>
    public static SafetensorsFile Read(Stream stream, string name)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(name);
        return Own(WholeFile.Read(stream), name);
    }

    /// <summary>
    /// Reads a stream into native memory, from its position to its end, and checks the file. The stream is read by
    /// <see cref="Stream.ReadAsync(Memory{byte}, CancellationToken)"/> only.
    /// </summary>
    /// <param name="stream">The stream, seekable or not. It is not closed.</param>
    /// <param name="name">The name of the file in error messages.</param>
    /// <param name="cancellationToken">The token that cancels reading.</param>
    /// <returns>The open file, which owns the memory.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="stream"/> or <paramref name="name"/> is null.</exception>
    /// <exception cref="IOException">The stream cannot be read.</exception>
    /// <exception cref="ModelFormatException">The bytes are not a well-formed safetensors file.</exception>
    /// <exception cref="OperationCanceledException">Reading is cancelled.</exception>
    /// <exception cref="OutOfMemoryException">There is not enough memory.</exception>
    public static Task<SafetensorsFile> ReadAsync(Stream stream, string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(name);
        return WholeFile.ReadAsync(stream, buffer => Own(buffer, name), cancellationToken);
    }

    private static SafetensorsFile Own(NativeBuffer buffer, string name)
    {
        try
        {
            return new SafetensorsFile(name, buffer, buffer.Start, buffer.Length);
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <summary>Gets the path, or the name that was given for bytes or a stream. Error messages begin with it.</summary>
    public string Name { get; }

    /// <summary>Gets the length of the whole file in bytes.</summary>
    public long Length { get; }

    /// <summary>Gets the header's <c>__metadata__</c>; empty if the header has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Gets all tensors, in the order of their bytes in the file.</summary>
    public IReadOnlyList<TensorEntry> Tensors { get; }

    /// <summary>Finds a tensor by its exact name.</summary>
    /// <param name="name">The name; case matters.</param>
    /// <param name="entry">The tensor; null if there is none of this name.</param>
    /// <returns><see langword="true"/> if the file holds the tensor.</returns>
    /// <exception cref="ArgumentNullException"><paramref name="name"/> is null.</exception>
    public bool TryGet(string name, [MaybeNullWhen(false)] out TensorEntry entry) => byName.TryGetValue(name, out entry);

    /// <summary>
    /// Computes the SHA-256 hash of the whole file. A mapped file is read with ordinary reads instead of through the mapping, so that
    /// its pages do not become resident.
    /// </summary>
    /// <returns>64 lower-case hexadecimal digits.</returns>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    /// <exception cref="ModelFormatException">
    /// The file is mapped and cannot be read, or was shortened since it was opened.
    /// </exception>
    public string ComputeSha256()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (owner is MappedFile mapped)
            return mapped.Sha256(Name);
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        const int Chunk = 1 << 30; // a span's length is an int
        for (long at = 0; at < Length; at += Chunk)
            hash.AppendData(new ReadOnlySpan<byte>(start + at, (int)Math.Min(Chunk, Length - at)));
        GC.KeepAlive(this); // the owner's finalizer frees the memory
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Closes the file. Addresses and spans of its tensors must not be used afterwards. Further calls do nothing.</summary>
    public void Dispose()
    {
        if (disposed)
            return;
        disposed = true;
        owner.Dispose();
    }

    /// <summary>Gets the address of a byte.</summary>
    /// <param name="offset">The offset in the file, which is not checked.</param>
    /// <exception cref="ObjectDisposedException">The file is closed.</exception>
    internal byte* At(long offset)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return start + offset;
    }

    /// <summary>Gets a value that indicates whether a file begins with the length of a header and an object of JSON.</summary>
    /// <param name="head">The first bytes.</param>
    internal static bool Begins(ReadOnlySpan<byte> head)
    {
        // The length is below 2^32.
        if (head.Length <= PrefixLength || head[4..PrefixLength].IndexOfAnyExcept((byte)0) >= 0) return false;
        ReadOnlySpan<byte> header = head[PrefixLength..].TrimStart(HeaderParser.WhiteSpace);
        return header.IsEmpty || header[0] == '{';
    }

    /// <summary>Says what the file is if it is not a safetensors file; null if its first bytes do not tell.</summary>
    internal string? Describe() =>
        ForeignFile.DescribeModel(new ReadOnlySpan<byte>(start, (int)Math.Min(Length, ForeignFile.HeadLength)));

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
        ModelFormatException LengthError(string what) => new(Name, $"{Describe() ?? what}.") { Offset = 0 };
    }
}
