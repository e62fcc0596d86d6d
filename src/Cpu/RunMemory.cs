using System.Runtime.InteropServices;
using TinyZsad.Graph;

namespace TinyZsad.Cpu;

/// <summary>
/// The memory of a run, in large pages where the system gives them: rows of values lie apart, and the processor remembers where a
/// few thousand pages are, which with pages of 4 KiB are a fraction of a network's.
/// </summary>
internal static unsafe partial class RunMemory
{
    private const nuint LargePage = 2 << 20;
    private const int PreferLargePages = 14;

    /// <summary>At least <paramref name="bytes"/>, not cleared; to be freed by <see cref="Free"/>.</summary>
    public static byte* Allocate(nuint bytes)
    {
        bool large = OperatingSystem.IsLinux() && bytes >= LargePage;
        byte* p = (byte*)NativeMemory.AlignedAlloc(bytes, large ? LargePage : Arena.Alignment);
        try
        {
            // Only a wish: where it is refused, pages stay small.
            if (large) _ = madvise(p, bytes / LargePage * LargePage, PreferLargePages);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
        }
        return p;
    }

    /// <summary>Frees memory from <see cref="Allocate"/>.</summary>
    public static void Free(byte* memory) => NativeMemory.AlignedFree(memory);

    [LibraryImport("libc")]
    private static partial int madvise(void* address, nuint length, int advice);
}
