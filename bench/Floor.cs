using System.Runtime.InteropServices;
using TinyZsad.Kernels;

namespace TinyZsad.Benchmarks;

/// <summary>What the processor can do at best with nothing in its way: the ceiling that kernels are measured against.</summary>
internal sealed unsafe class Floor : IDisposable
{
    /// <summary>Length of the tile's sums: its operands, 24 KB, stay in the first-level cache.</summary>
    private const int Length = 128;

    private static readonly double FlopsOfTile = 2.0 * Tile.Rows * Tile.Columns * Length;
    private readonly float* a = Floats(Tile.Rows * Length), b = Floats(Tile.Columns * Length),
        c = Floats(Tile.Rows * Tile.Columns);
    private byte* from, to;
    private nuint room;

    /// <summary>
    /// Spends so many operations, or copies so many bytes (half of them read, half written) where there are none.
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
