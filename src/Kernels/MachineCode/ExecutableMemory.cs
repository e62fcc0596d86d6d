using System.Runtime.InteropServices;

namespace TinyZsad.Kernels;

/// <summary>
/// Allocates executable pages. A page is not writable once it is executable, and is kept for the lifetime of the process.
/// </summary>
internal static unsafe partial class ExecutableMemory
{
    private const int ReadWrite = 1 | 2, ReadExecute = 1 | 4, PrivateAnonymous = 0x22;
    private const uint CommitReserve = 0x3000, PageReadWrite = 4, PageExecuteRead = 0x20;

    /// <summary>Copies code to executable memory. Returns null if the system or a policy does not allow generated code.</summary>
    public static void* Place(ReadOnlySpan<byte> code)
    {
        nuint size = (nuint)code.Length;
        try
        {
            if (OperatingSystem.IsLinux())
            {
                void* p = mmap(null, size, ReadWrite, PrivateAnonymous, -1, 0);
                if (p == (void*)-1) return null;
                code.CopyTo(new Span<byte>(p, code.Length));
                if (mprotect(p, size, ReadExecute) == 0) return p;
                _ = munmap(p, size);
            }
            else if (OperatingSystem.IsWindows())
            {
                void* p = VirtualAlloc(null, size, CommitReserve, PageReadWrite);
                if (p == null) return null;
                code.CopyTo(new Span<byte>(p, code.Length));
                if (VirtualProtect(p, size, PageExecuteRead, out _) != 0) return p;
                _ = VirtualFree(p, 0, 0x8000);
            }
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // The system lacks these functions. There is no generated code, and the other implementations of the kernel are used.
        }
        return null;
    }

    [LibraryImport("libc")]
    private static partial void* mmap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int mprotect(void* address, nuint length, int protection);

    [LibraryImport("libc")]
    private static partial int munmap(void* address, nuint length);

    [LibraryImport("kernel32")]
    private static partial void* VirtualAlloc(void* address, nuint size, uint type, uint protection);

    [LibraryImport("kernel32")]
    private static partial int VirtualProtect(void* address, nuint size, uint protection, out uint before);

    [LibraryImport("kernel32")]
    private static partial int VirtualFree(void* address, nuint size, uint type);
}
