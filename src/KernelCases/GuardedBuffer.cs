using System.ComponentModel;
using System.Runtime.InteropServices;

namespace TinyZsad.KernelCases;

/// <summary>
/// Represents whole pages of memory between two inaccessible pages. If a kernel reads or writes one byte outside a block placed
/// at either end, the processor raises a fault.
/// </summary>
internal sealed unsafe partial class GuardedBuffer : IDisposable
{
    private readonly byte* mapping;
    private readonly nuint mappedBytes;

    public GuardedBuffer(int pages)
    {
        nuint page = (nuint)Environment.SystemPageSize;
        Pages = pages;
        mappedBytes = ((nuint)pages + 2) * page;
        mapping = OperatingSystem.IsWindows() ? Windows.Map(mappedBytes) : Unix.Map(mappedBytes);
        Begin = mapping + page;
        End = mapping + mappedBytes - page;
        if (OperatingSystem.IsWindows())
        {
            Windows.Forbid(mapping, page);
            Windows.Forbid(End, page);
        }
        else
        {
            Unix.Forbid(mapping, page);
            Unix.Forbid(End, page);
        }
    }

    public int Pages { get; }

    /// <summary>Gets the first usable byte. The byte before it is not readable.</summary>
    public byte* Begin { get; }

    /// <summary>Gets the address after the last usable byte. It is not readable.</summary>
    public byte* End { get; }

    public void Dispose()
    {
        if (OperatingSystem.IsWindows())
            _ = Windows.VirtualFree(mapping, 0, 0x8000);
        else
            _ = Unix.munmap(mapping, mappedBytes);
    }

    private static partial class Unix
    {
        public static byte* Map(nuint bytes)
        {
            const int ReadWrite = 3, Private = 2;
            int anonymous = OperatingSystem.IsLinux() ? 0x20 : 0x1000;
            byte* p = mmap(null, bytes, ReadWrite, Private | anonymous, -1, 0);
            return (nint)p != -1 ? p : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        public static void Forbid(byte* p, nuint bytes)
        {
            if (mprotect(p, bytes, 0) != 0)
                throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        [LibraryImport("libc", SetLastError = true)]
        private static partial byte* mmap(byte* address, nuint bytes, int protection, int flags, int file, nint offset);

        [LibraryImport("libc", SetLastError = true)]
        private static partial int mprotect(byte* address, nuint bytes, int protection);

        [LibraryImport("libc")]
        public static partial int munmap(byte* address, nuint bytes);
    }

    private static partial class Windows
    {
        public static byte* Map(nuint bytes)
        {
            const uint CommitAndReserve = 0x3000, ReadWrite = 4;
            byte* p = VirtualAlloc(null, bytes, CommitAndReserve, ReadWrite);
            return p != null ? p : throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        public static void Forbid(byte* p, nuint bytes)
        {
            const uint NoAccess = 1;
            if (VirtualProtect(p, bytes, NoAccess, out _) == 0)
                throw new Win32Exception(Marshal.GetLastPInvokeError());
        }

        [LibraryImport("kernel32", SetLastError = true)]
        private static partial byte* VirtualAlloc(byte* address, nuint bytes, uint type, uint protection);

        [LibraryImport("kernel32", SetLastError = true)]
        private static partial int VirtualProtect(byte* address, nuint bytes, uint protection, out uint old);

        [LibraryImport("kernel32")]
        public static partial int VirtualFree(byte* address, nuint bytes, uint type);
    }
}
