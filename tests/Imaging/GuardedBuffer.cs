using System.Runtime.InteropServices;
using NUnit.Framework;

namespace TinyZsad.Tests.Imaging;

/// <summary>
/// Memory that ends where an unreadable page starts: one byte read too many ends the process. Elsewhere than on Linux, whose
/// constants it uses, plain memory.
/// </summary>
internal sealed unsafe partial class GuardedBuffer : IDisposable
{
    private readonly nint _start;
    private readonly nuint _size;
    private readonly int _length;

    public GuardedBuffer(ReadOnlySpan<byte> content)
    {
        nuint page = (nuint)Environment.SystemPageSize, pages = ((nuint)content.Length + page - 1) / page;
        _length = content.Length;
        _size = (pages + 1) * page;
        if (OperatingSystem.IsLinux())
        {
            _start = mmap(0, _size, 3, 0x22, -1, 0);
            Assert.That(_start, Is.Not.EqualTo((nint)(-1)));
            Assert.That(mprotect(_start + (nint)(pages * page), page, 0), Is.Zero);
        }
        else
        {
            _start = (nint)NativeMemory.Alloc(_size);
        }

        content.CopyTo(Span);
    }

    /// <summary>The bytes up to the unreadable page.</summary>
    public Span<byte> Span => new((void*)(_start + (nint)_size - Environment.SystemPageSize - _length), _length);

    public void Dispose()
    {
        if (OperatingSystem.IsLinux())
            Assert.That(munmap(_start, _size), Is.Zero);
        else
            NativeMemory.Free((void*)_start);
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int mprotect(nint address, nuint length, int protection);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);
}
