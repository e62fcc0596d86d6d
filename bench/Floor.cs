using System.Runtime.InteropServices;
using TinyZsad.Kernels;

namespace TinyZsad.Benchmarks;

/// <summary>Measures the peak performance of the processor, against which kernels are compared.</summary>
internal sealed unsafe class Floor : IDisposable
{
    /// <summary>The length of the tile's sums. Its operands, 24 KB, stay in the L1 cache.</summary>
    private const int Length = 128;

    private static readonly double FlopsOfTile = 2.0 * Tile.Rows * Tile.Columns * Length;
    private readonly float* a = Floats(Tile.Rows * Length), b = Floats(Tile.Columns * Length),
        c = Floats(Tile.Rows * Tile.Columns);
    private byte* from, to;
    private nuint room;

    /// <summary>
    /// Performs the given number of operations, or, if it is zero, copies the given number of bytes (half of them read, half
    /// written).
    /// </summary>
    public void Run(double flops, double bytes)
    {
        for (double done = 0; done < flops; done += FlopsOfTile) Tile.Execute(a, Length, b, Length, c, Tile.Columns);
        if (flops > 0) return;
        nuint half = (nuint)(bytes / 2);
        if (half > room)
        {
            from = (byte*)NativeMemory.Realloc(from, half);
            to = (byte*)NativeMemory.Realloc(to, half);
            NativeMemory.Clear(from, room = half);
        }
        NativeMemory.Copy(from, to, half);
    }

    public void Dispose()
    {
        foreach (nint p in (nint[])[(nint)a, (nint)b, (nint)c]) NativeMemory.AlignedFree((void*)p);
        NativeMemory.Free(from);
        NativeMemory.Free(to);
    }

    private static float* Floats(int n)
    {
        float* p = (float*)NativeMemory.AlignedAlloc((nuint)n * sizeof(float), 64);
        new Span<float>(p, n).Fill(0.5f);
        return p;
    }
}
