using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TinyZsad.Ptx;

/// <summary>Tells where the memories lie in the generic address space. Allocations of global memory lie below.</summary>
internal static class Windows
{
    /// <summary>The distance of allocations. An address tells its allocation by its upper bits, and overruns meet nothing.</summary>
    public const int AllocationBits = 40;

    /// <summary>The address of shared memory.</summary>
    public const ulong Shared = 1UL << 61;

    /// <summary>The address of a thread's memory.</summary>
    public const ulong Local = 1UL << 62;
}

/// <summary>Represents a block of global memory.</summary>
internal sealed unsafe class Allocation
{
    /// <summary>The address of the first byte.</summary>
    public readonly ulong Address;

    /// <summary>The size in bytes.</summary>
    public readonly long Size;

    /// <summary>The bytes.</summary>
    public readonly byte* Data;

    /// <summary>What happened to each byte: see <see cref="GlobalMemory"/>.</summary>
    public readonly uint* State;

    /// <summary>Whether kernels only read it.</summary>
    public readonly bool IsConstant;

    public Allocation(ulong address, long size, bool isConstant)
    {
        Address = address;
        Size = size;
        IsConstant = isConstant;
        Data = (byte*)NativeMemory.AlignedAlloc((nuint)(size + 64), 64);
        State = (uint*)NativeMemory.AllocZeroed((nuint)size + 16, sizeof(uint));
    }

    /// <summary>Frees the memory.</summary>
    public void Free()
    {
        NativeMemory.AlignedFree(Data);
        NativeMemory.Free(State);
    }
}

/// <summary>
/// Represents the memory of the device. The state of a byte is 0 if it was never written, 1 if it was written before this launch, and
/// else tells which block of this launch read or wrote it: launch, block and <see cref="Use"/>.
/// </summary>
internal sealed unsafe class GlobalMemory : IDisposable
{
    private const int BlockBits = 18;
    private const int LaunchBits = 12;

    private readonly Lock gate = new();
    private Allocation?[] allocations = new Allocation?[64];
    private int count = 1;
    private uint launch;

    /// <summary>Specifies what a block does with a byte.</summary>
    internal enum Use : uint
    {
        /// <summary>One block reads it.</summary>
        Read = 0,

        /// <summary>Several blocks read it.</summary>
        ReadByMany = 1,

        /// <summary>One block writes it.</summary>
        Written = 2,

        /// <summary>Blocks change it by atomic operations.</summary>
        Atomic = 3,
    }

    /// <summary>Gets the allocations that are not freed.</summary>
    public IReadOnlyList<Allocation> Outstanding
    {
        get
        {
            lock (gate) return [.. allocations.OfType<Allocation>()];
        }
    }

    /// <summary>Allocates a block.</summary>
    public Allocation Allocate(long size, bool isConstant = false)
    {
        lock (gate)
        {
            if (count == allocations.Length) Array.Resize(ref allocations, 2 * count);
            // Aligned to 256 bytes as the driver does, and to no more.
            Allocation allocation = new(((ulong)count << Windows.AllocationBits) + 0x10100, size, isConstant);
            allocations[count++] = allocation;
            return allocation;
        }
    }

    /// <summary>Frees a block. Its addresses are not used again.</summary>
    public void Free(ulong address)
    {
        lock (gate)
        {
            Allocation allocation = Find(address) is Allocation found && found.Address == address
                ? found
                : throw new PtxException($"the address 0x{address:x} was not allocated, or is freed already.");
            allocations[(int)(address >> Windows.AllocationBits)] = null;
            allocation.Free();
        }
    }

    /// <summary>Gets the block of an address; null if there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Allocation? Find(ulong address)
    {
        ulong index = address >> Windows.AllocationBits;
        Allocation?[] all = allocations;
        return index < (ulong)all.Length ? all[index] : null;
    }

    /// <summary>Gets the bytes for a copy by the host.</summary>
    /// <param name="address">The address.</param>
    /// <param name="bytes">The number of bytes.</param>
    /// <param name="isWrite">Whether the bytes are written; otherwise all must have been.</param>
    public byte* Host(ulong address, long bytes, bool isWrite)
    {
        Allocation? allocation = Find(address);
        if (allocation is null || address < allocation.Address || (long)(address - allocation.Address) + bytes > allocation.Size)
            throw new PtxException($"a copy or clear of {bytes} bytes: {Describe(address)}.");
        long offset = (long)(address - allocation.Address);
        if (isWrite)
        {
            for (long at = offset; at < offset + bytes; at += 1 << 28)
                new Span<uint>(allocation.State + at, (int)Math.Min(1 << 28, offset + bytes - at)).Fill(1);
        }
        else
        {
            for (long at = offset; at < offset + bytes; at += 1 << 28)
            {
                int unwritten = new Span<uint>(allocation.State + at, (int)Math.Min(1 << 28, offset + bytes - at)).IndexOf(0U);
                if (unwritten >= 0)
                {
                    throw new PtxException(
                        $"a copy to the host reads byte {at + unwritten} of the allocation 0x{allocation.Address:x} of " +
                        $"{allocation.Size} bytes, which was never written.");
                }
            }
        }

        return allocation.Data + offset;
    }

    /// <summary>Begins a launch.</summary>
    /// <returns>The number that states of this launch begin with.</returns>
    public uint BeginLaunch()
    {
        lock (gate)
        {
            if (++launch == 1U << LaunchBits)
            {
                launch = 1;
                foreach (Allocation? allocation in allocations)
                {
                    for (long i = 0; allocation is not null && i < allocation.Size; i++)
                        if (allocation.State[i] != 0) allocation.State[i] = 1;
                }
            }

            return launch << (BlockBits + 2);
        }
    }

    /// <summary>Makes the state of a byte that a block uses.</summary>
    public static uint Tag(uint launch, long block) => launch | ((uint)block & ((1U << BlockBits) - 1)) << 2;

    /// <summary>Gets the bytes of an access by a kernel, after all checks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte* Access(ulong address, int bytes, int lane, uint tag, Use use)
    {
        Allocation? allocation = Find(address);
        ulong offset = allocation is null ? 0 : address - allocation.Address;
        if (allocation is null || offset + (uint)bytes > (ulong)allocation.Size || address < allocation.Address)
            throw new PtxFault(lane, $"{bytes} bytes of global memory: {Describe(address)}.");
        if ((address & (uint)(bytes - 1)) != 0)
            throw new PtxFault(lane, $"the address 0x{address:x} ({Describe(address)}) is not a multiple of {bytes}.");
        uint* state = allocation.State + offset;
        uint mine = tag | (uint)use;
        for (int i = 0; i < bytes; i++)
        {
            if (state[i] != mine) Update(allocation, (long)offset + i, lane, tag, use);
        }

        return allocation.Data + offset;
    }

    /// <summary>Describes an address.</summary>
    public string Describe(ulong address)
    {
        Allocation? allocation = Find(address);
        if (allocation is null)
        {
            ulong index = address >> Windows.AllocationBits;
            return $"the address 0x{address:x} is in no allocation"
                + (index > 0 && index < (ulong)count ? " (that allocation is freed)" : "");
        }

        return $"byte {(long)(address - allocation.Address)} of the allocation 0x{allocation.Address:x} of {allocation.Size} bytes";
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (gate)
        {
            foreach (Allocation? allocation in allocations) allocation?.Free();
            allocations = new Allocation?[64];
        }
    }

    private void Update(Allocation allocation, long at, int lane, uint tag, Use use)
    {
        ref uint state = ref allocation.State[at];
        uint old = state;
        if (use is Use.Written or Use.Atomic && allocation.IsConstant)
            throw new PtxFault(lane, $"constant memory is written: byte {at} of the allocation 0x{allocation.Address:x}.");
        if (use != Use.Written && old == 0)
        {
            throw new PtxFault(lane, $"byte {at} of the allocation 0x{allocation.Address:x} of {allocation.Size} bytes is read, and was " +
                "never written.");
        }

        if (old >> (BlockBits + 2) != tag >> (BlockBits + 2))
        {
            state = tag | (uint)use;
            return;
        }

        bool isMine = (old & ~3U) == tag;
        Use before = (Use)(old & 3);
        bool isRace = before switch
        {
            Use.Read => !isMine && use != Use.Read,
            Use.ReadByMany => use != Use.Read,
            Use.Written => !isMine,
            _ => !isMine && use != Use.Atomic,
        };
        if (isRace)
        {
            string what = before switch
            {
                Use.Read => $"was read by block {(old >> 2) & ((1U << BlockBits) - 1)}",
                Use.ReadByMany => "was read by several blocks",
                Use.Written => $"was written by block {(old >> 2) & ((1U << BlockBits) - 1)}",
                _ => "was changed by an atomic operation of another block",
            };
            throw new PtxFault(lane, $"a race between blocks: byte {at} of the allocation 0x{allocation.Address:x} of {allocation.Size} " +
                $"bytes {what} of the same launch, and is {(use == Use.Read ? "read" : "written")} by block " +
                $"{(tag >> 2) & ((1U << BlockBits) - 1)} (linear numbers).");
        }

        if (use == Use.Read)
        {
            if (before == Use.Read && !isMine) state = (old & ~3U) | (uint)Use.ReadByMany;
            return;
        }

        state = tag | (uint)use;
    }
}
