using System.Buffers;
using System.Runtime.InteropServices;

namespace TinyZsad.Fuzz;

/// <summary>
/// Memory that ends where an unreadable page starts, so that one byte read too many ends the process. Elsewhere than on Linux,
/// whose constants it uses, plain memory.
/// </summary>
internal sealed unsafe partial class GuardedMemory : MemoryManager<byte>
{
    private readonly byte* start;
    private readonly nuint size; // with the page at the end
    private readonly int capacity;

    /// <param name="length">The longest content.</param>
    public GuardedMemory(int length)
    {
        nuint page = (nuint)Environment.SystemPageSize, pages = ((nuint)length + page - 1) / page;
        size = (pages + 1) * page;
        capacity = (int)(pages * page);
        if (!OperatingSystem.IsLinux())
        {
            start = (byte*)NativeMemory.AllocZeroed(size);
            return;
        }
        start = (byte*)mmap(0, size, 3, 0x22, -1, 0);
        if ((nint)start == -1 || mprotect((nint)start + capacity, page, 0) != 0)
            throw new IOException("No memory with an unreadable page can be had.");
    }

    /// <summary>A copy of some bytes that ends where the memory does; valid until the next.</summary>
    public ReadOnlyMemory<byte> Put(ReadOnlySpan<byte> content)
    {
        content.CopyTo(GetSpan()[(capacity - content.Length)..]);
        return Memory[(capacity - content.Length)..];
    }

    public override Span<byte> GetSpan() => new(start, capacity);

    public override MemoryHandle Pin(int elementIndex = 0) => new(start + elementIndex);

    public override void Unpin() { }

    protected override void Dispose(bool disposing)
    {
        if (OperatingSystem.IsLinux()) _ = munmap((nint)start, size);
        else NativeMemory.Free(start);
    }

    [LibraryImport("libc")]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int mprotect(nint address, nuint length, int protection);

    [LibraryImport("libc")]
    private static partial int munmap(nint address, nuint length);
}
