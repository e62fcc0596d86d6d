using System.Runtime.InteropServices;

namespace TinyZsad.Imaging;

/// <summary>Owns zeroed unmanaged memory.</summary>
internal sealed unsafe class NativeBuffer<T> : IDisposable where T : unmanaged
{
    public NativeBuffer(long count) => Start = (T*)NativeMemory.AllocZeroed((nuint)count, (nuint)sizeof(T));

    ~NativeBuffer() => Free();

    public T* Start { get; private set; }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.Free(Start);
        Start = null;
    }
}
