using System.Runtime.InteropServices;

namespace TinyZsad.Kernels;

/// <summary>Pages that the processor may execute, never written once they are. Kept for the life of the process.</summary>
internal static unsafe partial class ExecutableMemory
{
    private const int ReadWrite = 1 | 2, ReadExecute = 1 | 4, PrivateAnonymous = 0x22;
    private const uint CommitReserve = 0x3000, PageReadWrite = 4, PageExecuteRead = 0x20;

    /// <summary>Places code in memory; null where the system, or a policy on it, does not let a process make code.</summary>
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
            // A system without these calls: there is no code, and other forms of the kernel serve.
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
