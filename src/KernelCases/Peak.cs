using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TinyZsad.Kernels;

namespace TinyZsad.KernelCases;

/// <summary>
/// Does what bounds a kernel: multiply-adds on values in registers, and copies of memory. No kernel can multiply and add faster. A kernel
/// can move its bytes faster than a copy if it reads more than it writes, or works in place and so on less memory.
/// </summary>
internal sealed unsafe class Peak : IDisposable
{
    private byte* from, to;
    private nuint room;

    /// <summary>
    /// Performs at least the given number of operations, as multiply-adds of vectors of the width that <see cref="Simd"/> selects.
    /// </summary>
    public static void MultiplyAdd(double flops)
    {
        float* numbers = stackalloc float[16];
        new Span<float>(numbers, 16).Fill(0.5f);
        Simd.Run(new Chains(flops, numbers));
    }

    /// <summary>Copies so much memory that the given number of bytes is moved, half of them read and half written.</summary>
    public void Copy(double bytes)
    {
        nuint half = (nuint)(bytes / 2);
        if (half > room)
        {
            from = (byte*)NativeMemory.Realloc(from, half);
            to = (byte*)NativeMemory.Realloc(to, half);
            NativeMemory.Clear(from, room = half);
        }
        NativeMemory.Copy(from, to, half);
    }

    /// <summary>Measures which of the two takes longer for the work of a kernel, and so bounds it. Returns that work.</summary>
    public Action For(KernelCase kernel)
    {
        const int Rounds = 5;
        Samples adds = new(() => MultiplyAdd(kernel.Flops)), copies = new(() => Copy(kernel.Bytes));
        for (int i = 0; i < Rounds; i++)
        {
            adds.Take();
            copies.Take();
        }
        return kernel.Flops > 0 && (kernel.OfIntegers || adds.Least > copies.Least) ? adds.Run : copies.Run;
    }

    public void Dispose()
    {
        NativeMemory.Free(from);
        NativeMemory.Free(to);
    }

    /// <summary>
    /// Sums that do not depend on each other, in registers. Processors start two to four multiply-adds per cycle, and each takes four
    /// or five cycles: up to 20 are on their way, but no more than ten where there are 16 registers.
    /// </summary>
    private readonly ref struct Chains(double flops, float* numbers) : IWideKernel
    {
        public void Run<TVec>() where TVec : unmanaged, IVector<TVec>
        {
            double perSum = flops / (2 * TVec.Count);
            if (Tile.Rows == 12) Run24<TVec>((nint)Math.Ceiling(perSum / 24), numbers);
            else Run12<TVec>((nint)Math.Ceiling(perSum / 12), numbers);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Run24<TVec>(nint steps, float* numbers) where TVec : unmanaged, IVector<TVec>
        {
            // Every sum approaches 1. The compiler would read a constant from memory again and again.
            TVec half = TVec.Load(numbers);
            TVec c0 = TVec.Broadcast(0), c1 = TVec.Broadcast(1), c2 = TVec.Broadcast(2), c3 = TVec.Broadcast(3);
            TVec c4 = TVec.Broadcast(4), c5 = TVec.Broadcast(5), c6 = TVec.Broadcast(6), c7 = TVec.Broadcast(7);
            TVec c8 = TVec.Broadcast(8), c9 = TVec.Broadcast(9), c10 = TVec.Broadcast(10), c11 = TVec.Broadcast(11);
            TVec c12 = TVec.Broadcast(12), c13 = TVec.Broadcast(13), c14 = TVec.Broadcast(14), c15 = TVec.Broadcast(15);
            TVec c16 = TVec.Broadcast(16), c17 = TVec.Broadcast(17), c18 = TVec.Broadcast(18), c19 = TVec.Broadcast(19);
            TVec c20 = TVec.Broadcast(20), c21 = TVec.Broadcast(21), c22 = TVec.Broadcast(22), c23 = TVec.Broadcast(23);
            for (; steps > 0; steps--)
            {
                c0 = TVec.MultiplyAdd(c0, half, half); c1 = TVec.MultiplyAdd(c1, half, half); c2 = TVec.MultiplyAdd(c2, half, half);
                c3 = TVec.MultiplyAdd(c3, half, half); c4 = TVec.MultiplyAdd(c4, half, half); c5 = TVec.MultiplyAdd(c5, half, half);
                c6 = TVec.MultiplyAdd(c6, half, half); c7 = TVec.MultiplyAdd(c7, half, half); c8 = TVec.MultiplyAdd(c8, half, half);
                c9 = TVec.MultiplyAdd(c9, half, half); c10 = TVec.MultiplyAdd(c10, half, half); c11 = TVec.MultiplyAdd(c11, half, half);
                c12 = TVec.MultiplyAdd(c12, half, half); c13 = TVec.MultiplyAdd(c13, half, half); c14 = TVec.MultiplyAdd(c14, half, half);
                c15 = TVec.MultiplyAdd(c15, half, half); c16 = TVec.MultiplyAdd(c16, half, half); c17 = TVec.MultiplyAdd(c17, half, half);
                c18 = TVec.MultiplyAdd(c18, half, half); c19 = TVec.MultiplyAdd(c19, half, half); c20 = TVec.MultiplyAdd(c20, half, half);
                c21 = TVec.MultiplyAdd(c21, half, half); c22 = TVec.MultiplyAdd(c22, half, half); c23 = TVec.MultiplyAdd(c23, half, half);
            }
            c0 += c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11 + c12 + c13 + c14 + c15 + c16 + c17 + c18 + c19 + c20 + c21 + c22;
            (c0 + c23).Store(numbers);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Run12<TVec>(nint steps, float* numbers) where TVec : unmanaged, IVector<TVec>
        {
            TVec half = TVec.Load(numbers);
            TVec c0 = TVec.Broadcast(0), c1 = TVec.Broadcast(1), c2 = TVec.Broadcast(2), c3 = TVec.Broadcast(3);
            TVec c4 = TVec.Broadcast(4), c5 = TVec.Broadcast(5), c6 = TVec.Broadcast(6), c7 = TVec.Broadcast(7);
            TVec c8 = TVec.Broadcast(8), c9 = TVec.Broadcast(9), c10 = TVec.Broadcast(10), c11 = TVec.Broadcast(11);
            for (; steps > 0; steps--)
            {
                c0 = TVec.MultiplyAdd(c0, half, half); c1 = TVec.MultiplyAdd(c1, half, half); c2 = TVec.MultiplyAdd(c2, half, half);
                c3 = TVec.MultiplyAdd(c3, half, half); c4 = TVec.MultiplyAdd(c4, half, half); c5 = TVec.MultiplyAdd(c5, half, half);
                c6 = TVec.MultiplyAdd(c6, half, half); c7 = TVec.MultiplyAdd(c7, half, half); c8 = TVec.MultiplyAdd(c8, half, half);
                c9 = TVec.MultiplyAdd(c9, half, half); c10 = TVec.MultiplyAdd(c10, half, half); c11 = TVec.MultiplyAdd(c11, half, half);
            }
            (c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11).Store(numbers);
        }
    }
}
