using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Ptx;

/// <summary>
/// Represents the shared memory of a block, with what is needed to find races. Time is counted in barriers. Every two bytes keep who
/// wrote them last and when, and which warps read them since. An access is right if a barrier that both warps took part in lies
/// between. Lanes of one warp are ordered by their instructions.
/// </summary>
internal sealed unsafe class SharedMemory : IDisposable
{
    /// <summary>The time of a write that <c>cp.async</c> has not finished.</summary>
    private const int InFlight = int.MaxValue;

    /// <summary>The thread that stands for atomic operations.</summary>
    private const ushort Atomic = ushort.MaxValue;

    private readonly int[] sync = new int[32 * 32];
    private readonly int[] least = new int[32];
    private int capacity;
    private byte* written;
    private int* writeTime;
    private ushort* writer;
    private int* readTime;
    private uint* readers;
    private byte generation;
    private int warps;

    /// <summary>Gets the bytes.</summary>
    public byte* Data { get; private set; }

    /// <summary>Gets the size of this block's shared memory.</summary>
    public int Size { get; private set; }

    /// <summary>Gets the number of barriers.</summary>
    public int Now { get; private set; } = 1;

    /// <summary>Begins a block: nothing is written.</summary>
    public void Begin(int size, int warpCount)
    {
        if (size > capacity)
        {
            Free();
            capacity = size;
            nuint bytes = (nuint)size + 64;
            Data = (byte*)NativeMemory.AlignedAlloc(bytes, 64);
            written = (byte*)NativeMemory.AllocZeroed(bytes);
            writeTime = (int*)NativeMemory.AllocZeroed(bytes * 2);
            writer = (ushort*)NativeMemory.AllocZeroed(bytes);
            readTime = (int*)NativeMemory.AllocZeroed(bytes * 2);
            readers = (uint*)NativeMemory.AllocZeroed(bytes * 2);
            generation = 0;
        }

        if (++generation == 0)
        {
            new Span<byte>(written, capacity).Clear();
            generation = 1;
        }

        Size = size;
        warps = warpCount;
        Now++;
        // What an earlier block left behind lies before the time of this one, but for copies that it did not wait for.
        if (capacity > 0) new Span<int>(writeTime, capacity / 2 + 8).Replace(InFlight, 0);
        Array.Fill(sync, Now);
        Array.Fill(least, Now);
    }

    /// <summary>Notes that some warps met at a barrier.</summary>
    public void Meet(uint participants)
    {
        Now++;
        Span<int> known = stackalloc int[32];
        for (int v = 0; v < warps; v++)
        {
            for (uint m = participants; m != 0; m &= m - 1)
                known[v] = Math.Max(known[v], sync[32 * BitOperationsOf(m) + v]);
            if ((participants >> v & 1) != 0) known[v] = Now;
        }

        for (uint m = participants; m != 0; m &= m - 1)
        {
            int w = BitOperationsOf(m);
            known[..warps].CopyTo(sync.AsSpan(32 * w, warps));
            int lowest = int.MaxValue;
            for (int v = 0; v < warps; v++)
                if (v != w) lowest = Math.Min(lowest, known[v]);
            least[w] = warps == 1 ? Now : lowest;
        }
    }

    /// <summary>Gets the bytes of a read, after all checks.</summary>
    public byte* Read(int warp, ulong address, int bytes, int lane)
    {
        int at = Place(address, bytes, lane);
        for (int i = 0; i < bytes; i++)
            if (written[at + i] != generation) throw Unwritten(at + i, lane);
        int low = least[warp], now = Now;
        uint bit = 1U << warp;
        for (int g = at >> 1; g <= (at + bytes - 1) >> 1; g++)
        {
            if (writeTime[g] >= low) CheckWriter(warp, g, lane, "read");
            readers[g] = (readTime[g] >= low ? readers[g] : 0) | bit;
            readTime[g] = now;
        }

        return Data + at;
    }

    /// <summary>Gets the bytes of a write, after all checks.</summary>
    /// <param name="warp">The warp.</param>
    /// <param name="address">The address in shared memory.</param>
    /// <param name="bytes">The size.</param>
    /// <param name="lane">The lane.</param>
    /// <param name="isAsync">Whether the write goes on until <see cref="Finish"/>.</param>
    public byte* Write(int warp, ulong address, int bytes, int lane, bool isAsync = false)
    {
        int at = Place(address, bytes, lane);
        int low = least[warp], time = isAsync ? InFlight : Now;
        for (int g = at >> 1; g <= (at + bytes - 1) >> 1; g++)
        {
            if (writeTime[g] >= low) CheckWriter(warp, g, lane, "written");
            if (readTime[g] >= low) CheckReaders(warp, g, lane);
            writeTime[g] = time;
            writer[g] = (ushort)(32 * warp + lane);
        }

        new Span<byte>(written + at, bytes).Fill(generation);
        return Data + at;
    }

    /// <summary>Gets the bytes of an atomic operation, after all checks.</summary>
    public byte* Change(int warp, ulong address, int bytes, int lane)
    {
        int at = Place(address, bytes, lane);
        for (int i = 0; i < bytes; i++)
            if (written[at + i] != generation) throw Unwritten(at + i, lane);
        int low = least[warp];
        for (int g = at >> 1; g <= (at + bytes - 1) >> 1; g++)
        {
            if (writeTime[g] >= low && writer[g] != Atomic) CheckWriter(warp, g, lane, "changed");
            if (readTime[g] >= low) CheckReaders(warp, g, lane);
            writeTime[g] = Now;
            writer[g] = Atomic;
        }

        return Data + at;
    }

    /// <summary>Notes that the copy of a thread has arrived.</summary>
    public void Finish(int warp, int lane, int at, int bytes)
    {
        for (int g = at >> 1; g <= (at + bytes - 1) >> 1; g++)
            if (writeTime[g] == InFlight && writer[g] == 32 * warp + lane) writeTime[g] = Now;
    }

    /// <inheritdoc/>
    public void Dispose() => Free();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int BitOperationsOf(uint mask) => int.CreateTruncating(uint.TrailingZeroCount(mask));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Place(ulong address, int bytes, int lane)
    {
        if (address + (uint)bytes > (ulong)Size || address > (ulong)Size)
            throw new PtxFault(lane, $"{bytes} bytes at {unchecked((long)address)} of shared memory are outside its {Size} bytes.");
        if ((address & (uint)(bytes - 1)) != 0)
            throw new PtxFault(lane, $"the address {address} of shared memory is not a multiple of {bytes}.");
        return (int)address;
    }

    private static PtxFault Unwritten(int at, int lane) => new(lane, $"byte {at} of shared memory is read, and was never written.");

    private void CheckWriter(int warp, int g, int lane, string what)
    {
        int by = writer[g];
        if (writeTime[g] == InFlight)
        {
            throw new PtxFault(lane, $"bytes {2 * g} and {2 * g + 1} of shared memory are {what} while a cp.async of thread {by} to them " +
                "is in flight: that thread must wait for its group, and a barrier must follow before other warps use them.");
        }

        if (by == Atomic)
        {
            throw new PtxFault(lane,
                $"a race: bytes {2 * g} and {2 * g + 1} of shared memory are {what}, and an atomic operation changed " +
                "them without a barrier in between.");
        }

        int other = by / 32;
        if (other == warp || writeTime[g] < sync[32 * warp + other]) return;
        throw new PtxFault(lane, $"a race: bytes {2 * g} and {2 * g + 1} of shared memory are {what} by warp {warp}, and thread {by} of " +
            $"warp {other} wrote them without a barrier in between.");
    }

    private void CheckReaders(int warp, int g, int lane)
    {
        for (uint m = readers[g] & ~(1U << warp); m != 0; m &= m - 1)
        {
            int other = BitOperationsOf(m);
            if (readTime[g] >= sync[32 * warp + other])
            {
                throw new PtxFault(lane, $"a race: bytes {2 * g} and {2 * g + 1} of shared memory are written by warp {warp}, and warp " +
                    $"{other} read them without a barrier in between.");
            }
        }
    }

    private void Free()
    {
        NativeMemory.AlignedFree(Data);
        NativeMemory.Free(written);
        NativeMemory.Free(writeTime);
        NativeMemory.Free(writer);
        NativeMemory.Free(readTime);
        NativeMemory.Free(readers);
        Data = null;
        capacity = 0;
    }
}
