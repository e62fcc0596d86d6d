using System.Runtime.InteropServices;
using NUnit.Framework;

namespace TinyZsad.Tests.Imaging;

/// <summary>
/// Memory that ends where an unreadable page starts: one byte read too many ends the process. Elsewhere than on Linux, whose
/// constants it uses, plain memory.
/// </summary>
internal sealed unsafe partial class GuardedBuffer : IDisposable
{
    private readonly nint start;
    private readonly nuint size;
    private readonly int length;

    public GuardedBuffer(ReadOnlySpan<byte> content)
    {
        nuint page = (nuint)Environment.SystemPageSize, pages = ((nuint)content.Length + page - 1) / page;
        this.length = content.Length;
        size = (pages + 1) * page;
        if (OperatingSystem.IsLinux())
        {
            start = mmap(0, size, 3, 0x22, -1, 0);
            Assert.That(start, Is.Not.EqualTo((nint)(-1)));
            Assert.That(mprotect(start + (nint)(pages * page), page, 0), Is.Zero);
        }
        else
        {
            start = (nint)NativeMemory.Alloc(size);
        }

        content.CopyTo(Span);
    }

    /// <summary>The bytes up to the unreadable page.</summary>
    public Span<byte> Span => new((void*)(start + (nint)size - Environment.SystemPageSize - this.length), this.length);

    public void Dispose()
    {
        if (OperatingSystem.IsLinux())
            Assert.That(munmap(start, size), Is.Zero);
        else
            NativeMemory.Free((void*)start);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mprotect(nint address, nuint length, int protection);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);
}
