using System.Runtime.InteropServices;
using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// The memory of runs. On Linux it is mapped, so that freeing it returns it to the system at once; the C heap would keep it. It prefers
/// large pages: values lie rows apart, and the processor's address cache covers only a fraction of a network in pages of 4 KiB.
/// </summary>
internal static unsafe partial class RunMemory
{
    private const nuint LargePage = 2 << 20;
    private const int ProtectReadWrite = 1 | 2, MapPrivateAnonymous = 0x2 | 0x20, AdviseHugePage = 14;
    private static readonly void* MapFailed = (void*)-1;

    /// <summary>Allocates memory, which is not cleared, at a multiple of <see cref="Arena.Alignment"/>.</summary>
    /// <param name="bytes">The size.</param>
    /// <exception cref="InsufficientMemoryException">The system has no memory of that size.</exception>
    public static byte* Allocate(nuint bytes)
    {
        if (!IsMapped(bytes)) return (byte*)NativeMemory.AlignedAlloc(bytes, Arena.Alignment);

        // Mapped at a multiple of the system's pages: what lies before the first large page and behind the last byte is unmapped again.
        nuint length = Pages(bytes), mapped = length + LargePage;
        byte* start = (byte*)mmap(null, mapped, ProtectReadWrite, MapPrivateAnonymous, -1, 0);
        if (start == MapFailed) throw new InsufficientMemoryException($"The system cannot map {bytes} bytes for a run.");
        nuint before = ((nuint)start + LargePage - 1) / LargePage * LargePage - (nuint)start;
        if (before > 0) _ = munmap(start, before);
        if (before < LargePage) _ = munmap(start + before + length, LargePage - before);

        // If the system refuses, pages stay small.
        _ = madvise(start + before, length, AdviseHugePage);
        return start + before;
    }

    /// <summary>Frees memory.</summary>
    /// <param name="memory">What <see cref="Allocate"/> returned; null does nothing.</param>
    /// <param name="bytes">The size that was allocated.</param>
    public static void Free(byte* memory, nuint bytes)
    {
        if (memory is null) return;
        if (IsMapped(bytes)) _ = munmap(memory, Pages(bytes));
        else NativeMemory.AlignedFree(memory);
    }

    /// <summary>Returns what the C heap holds but does not use to the system, where the C library can.</summary>
    public static void TrimHeap()
    {
        if (!OperatingSystem.IsLinux()) return;
        try
        {
            _ = malloc_trim(0);
        }
        catch (EntryPointNotFoundException)
        {
            // Not the GNU C library.
        }
    }

    private static bool IsMapped(nuint bytes) => OperatingSystem.IsLinux() && bytes >= LargePage;

    private static nuint Pages(nuint bytes)
    {
        nuint page = (nuint)Environment.SystemPageSize;
        return (bytes + page - 1) / page * page;
    }

    [LibraryImport("libc")]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);

    [LibraryImport("libc")]
    private static partial int malloc_trim(nuint keep);
}
