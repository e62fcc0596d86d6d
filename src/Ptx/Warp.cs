using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TinyZsad.Cuda;

namespace TinyZsad.Ptx;

/// <summary>Specifies what a warp can do.</summary>
internal enum WarpState
{
    /// <summary>It can go on.</summary>
    Ready,

    /// <summary>It waits at a barrier.</summary>
    Waiting,

    /// <summary>All lanes have ended.</summary>
    Done,
}

/// <summary>
/// Represents 32 threads that execute in lock step. Where they take different ways, a stack holds the lanes of each way and the
/// instruction at which they meet again.
/// </summary>
internal sealed unsafe class Warp : IDisposable
{
    private readonly LaunchState launch;
    private readonly Instruction[] code;
    private readonly long[] executed;
    private readonly uint[] written;
    private readonly List<(int Next, uint Mask, int Meeting)> ways = [];
    private readonly List<(int Lane, int At, int Bytes, int Group)> copies = [];
    private readonly int[] groups = new int[32];
    private readonly int localBytes;
    private readonly byte* local;
    private readonly byte* localWritten;
    private uint lanes;
    private uint tag;
    private long instructions;
    private long block;
    private Instruction current = null!;

    /// <summary>Initializes the memory of a warp.</summary>
    public Warp(Block block, LaunchState launch, int number)
    {
        Block = block;
        Number = number;
        this.launch = launch;
        PtxKernel kernel = launch.Kernel;
        code = kernel.Code;
        executed = new long[code.Length];
        written = new uint[kernel.Registers.Count];
        localBytes = kernel.LocalBytes;
        File = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(64, kernel.FileBytes), 64);
        new Span<byte>(File, kernel.FileBytes).Clear();
        Addresses = (ulong*)NativeMemory.AllocZeroed(32 * sizeof(ulong));
        local = (byte*)NativeMemory.AllocZeroed((nuint)(32 * localBytes + 64));
        localWritten = (byte*)NativeMemory.AllocZeroed((nuint)(32 * localBytes + 64));
        foreach ((int offset, ulong bits, int size) in kernel.Constants)
            for (int lane = 0; lane < 32; lane++) Lanes.SetRaw(File + offset, size, lane, bits);
        foreach ((int offset, Variable variable) in kernel.Symbols)
            for (int lane = 0; lane < 32; lane++) Lanes.SetRaw(File + offset, 8, lane, variable.Address);
    }

    /// <summary>Gets the block.</summary>
    public Block Block { get; }

    /// <summary>Gets the number in the block.</summary>
    public int Number { get; }

    /// <summary>Gets the register file.</summary>
    public byte* File { get; }

    /// <summary>Gets the addresses of the last access, for statistics.</summary>
    public ulong* Addresses { get; }

    /// <summary>Gets what the warp can do.</summary>
    public WarpState State { get; private set; }

    /// <summary>Gets the barrier that the warp waits at.</summary>
    public uint Barrier { get; private set; }

    /// <summary>Gets the number of threads that the barrier waits for.</summary>
    public int BarrierThreads { get; private set; }

    /// <summary>Gets the number of threads that the warp has.</summary>
    public int ThreadCount => BitOperations.PopCount(lanes);

    /// <summary>Gets the line of the instruction that was executed last.</summary>
    public int Line => current.Line;

    /// <summary>Begins a block.</summary>
    public void Begin(long number, Dim3 place)
    {
        int threads = Math.Min(32, Block.Threads - 32 * Number);
        lanes = threads == 32 ? uint.MaxValue : (1U << threads) - 1;
        block = number;
        tag = GlobalMemory.Tag(launch.Number, number);
        instructions = 0;
        ways.Clear();
        ways.Add((0, lanes, code.Length));
        copies.Clear();
        Array.Clear(groups);
        Array.Clear(written);
        if (localBytes > 0) new Span<byte>(localWritten, 32 * localBytes).Clear();
        State = WarpState.Ready;
        Dim3 extent = launch.BlockExtent, grid = launch.Grid;
        foreach ((int offset, string name) in launch.Kernel.Specials)
        {
            for (int lane = 0; lane < 32; lane++)
            {
                int thread = 32 * Number + lane;
                ((uint*)(File + offset))[lane] = name switch
                {
                    "%tid.x" => (uint)(thread % extent.X),
                    "%tid.y" => (uint)(thread / extent.X % extent.Y),
                    "%tid.z" => (uint)(thread / extent.X / extent.Y),
                    "%ntid.x" => (uint)extent.X,
                    "%ntid.y" => (uint)extent.Y,
                    "%ntid.z" => (uint)extent.Z,
                    "%ctaid.x" => (uint)place.X,
                    "%ctaid.y" => (uint)place.Y,
                    "%ctaid.z" => (uint)place.Z,
                    "%nctaid.x" => (uint)grid.X,
                    "%nctaid.y" => (uint)grid.Y,
                    "%nctaid.z" => (uint)grid.Z,
                    "%laneid" => (uint)lane,
                    "%warpid" => (uint)Number,
                    "%nwarpid" => (uint)((Block.Threads + 31) / 32),
                    "%smid" => 0,
                    "%nsmid" => 1,
                    "%lanemask_eq" => 1U << lane,
                    "%lanemask_lt" => (1U << lane) - 1,
                    "%lanemask_le" => (2U << lane) - 1,
                    "%lanemask_gt" => ~((2U << lane) - 1),
                    "%lanemask_ge" => ~((1U << lane) - 1),
                    "%dynamic_smem_size" => (uint)launch.DynamicBytes,
                    "%total_smem_size" => (uint)(launch.Kernel.DynamicStart + launch.DynamicBytes),
                    _ => throw new InvalidOperationException($"'{name}' has no value."),
                };
            }
        }
    }

    /// <summary>Goes on after a barrier.</summary>
    public void Resume() => State = WarpState.Ready;

    /// <summary>Executes until all lanes have ended or the warp waits at a barrier.</summary>
    public void Run()
    {
        try
        {
            while (State == WarpState.Ready) Execute();
        }
        catch (PtxFault fault)
        {
            throw Fault(fault.Lane, fault.Message);
        }
    }

    /// <summary>Makes the error of a barrier that not all threads reach.</summary>
    public PtxException BarrierFault(string message) => Fault(-1, message);

    /// <summary>Gets the address of a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong AddressOf(AddressSlot address, int lane)
    {
        ulong at = unchecked(Lanes.Raw(File + address.Base.Offset, address.Base.Stride, lane) + (ulong)address.Offset);
        // An address of 32 bits wraps around.
        return address.Base.Stride == 4 ? (uint)at : at;
    }

    /// <summary>Gets the bytes of a read, after all checks.</summary>
    public byte* Read(Space space, ulong at, int bytes, int lane)
    {
        switch (Resolve(space, ref at))
        {
            case Space.Shared:
                return Block.Shared.Read(Number, at, bytes, lane);
            case Space.Local:
                int place = LocalPlace(at, bytes, lane);
                for (int i = 0; i < bytes; i++)
                    if (localWritten[place + i] == 0) throw new PtxFault(lane, $"byte {at + (uint)i} of local memory was never written.");
                return local + place;
            default:
                return launch.Memory.Access(at, bytes, lane, tag, GlobalMemory.Use.Read);
        }
    }

    /// <summary>Gets the bytes of a write, after all checks.</summary>
    public byte* Write(Space space, ulong at, int bytes, int lane)
    {
        switch (Resolve(space, ref at))
        {
            case Space.Shared:
                return Block.Shared.Write(Number, at, bytes, lane);
            case Space.Local:
                int place = LocalPlace(at, bytes, lane);
                new Span<byte>(localWritten + place, bytes).Fill(1);
                return local + place;
            default:
                return launch.Memory.Access(at, bytes, lane, tag, GlobalMemory.Use.Written);
        }
    }

    /// <summary>Gets the bytes of an atomic operation, after all checks.</summary>
    public byte* Change(Space space, ulong at, int bytes, int lane) => Resolve(space, ref at) switch
    {
        Space.Shared => Block.Shared.Change(Number, at, bytes, lane),
        Space.Local => throw new PtxFault(lane, "an atomic operation on local memory."),
        _ => launch.Memory.Access(at, bytes, lane, tag, GlobalMemory.Use.Atomic),
    };

    /// <summary>Gets the shared bytes of a copy that goes on until its thread waits for it.</summary>
    public byte* BeginCopy(ulong at, int bytes, int lane)
    {
        Resolve(Space.Shared, ref at);
        byte* place = Block.Shared.Write(Number, at, bytes, lane, isAsync: true);
        copies.Add((lane, (int)at, bytes, groups[lane]));
        return place;
    }

    /// <summary>Ends the current group of copies of some lanes.</summary>
    public void CommitCopies(uint mask)
    {
        for (uint m = mask; m != 0; m &= m - 1) groups[BitOperations.TrailingZeroCount(m)]++;
    }

    /// <summary>Waits for copies.</summary>
    /// <param name="mask">The lanes that wait.</param>
    /// <param name="pending">The number of groups that may go on.</param>
    /// <param name="isAll">Whether copies that are in no group yet are waited for too.</param>
    public void FinishCopies(uint mask, int pending, bool isAll)
    {
        int kept = 0;
        for (int i = 0; i < copies.Count; i++)
        {
            (int lane, int at, int bytes, int group) = copies[i];
            if ((mask >> lane & 1) != 0 && (isAll || group < groups[lane] - pending)) Block.Shared.Finish(Number, lane, at, bytes);
            else copies[kept++] = copies[i];
        }

        copies.RemoveRange(kept, copies.Count - kept);
    }

    /// <summary>Checks that the lanes named in a mask are those that execute the instruction.</summary>
    public void CheckMembers(Slot members, uint mask)
    {
        uint* named = (uint*)(File + members.Offset);
        for (uint m = mask; m != 0; m &= m - 1)
        {
            int lane = BitOperations.TrailingZeroCount(m);
            if ((named[lane] & lanes) != mask)
            {
                throw new PtxFault(lane,
                    $"the lanes {named[lane]:x8} are named, and {mask:x8} execute the instruction: all that are named " +
                    "must, and no others.");
            }
        }
    }

    /// <summary>Checks that all 32 lanes execute an instruction that needs them.</summary>
    public static void CheckAligned(uint mask)
    {
        if (mask != uint.MaxValue) throw new PtxFault(-1, $"all 32 lanes must execute the instruction, and only {mask:x8} do.");
    }

    /// <summary>Describes an address.</summary>
    public string Describe(Space space, ulong at) => Resolve(space, ref at) switch
    {
        Space.Shared => $"byte {at} of shared memory",
        Space.Local => $"byte {at} of local memory",
        _ => launch.Memory.Describe(at),
    };

    /// <summary>Counts an access, whose addresses are in <see cref="Addresses"/>.</summary>
    public void Count(int index, Space space, uint mask, int bytes)
    {
        if (!launch.CountsAccesses || mask == 0) return;
        ulong first = Addresses[BitOperations.TrailingZeroCount(mask)];
        space = Resolve(space, ref first);
        if (space == Space.Shared) Block.Statistics.CountShared(index, Addresses, mask, bytes);
        else if (space == Space.Global) Block.Statistics.CountGlobal(index, Addresses, mask, bytes);
    }

    /// <summary>Adds the numbers of executed instructions to the statistics of the block.</summary>
    public void Collect() => Block.Statistics.Add(executed);

    /// <inheritdoc/>
    public void Dispose()
    {
        NativeMemory.AlignedFree(File);
        NativeMemory.Free(Addresses);
        NativeMemory.Free(local);
        NativeMemory.Free(localWritten);
    }

    private static Space Resolve(Space space, ref ulong at)
    {
        if (space == Space.Generic) space = at >= Windows.Local ? Space.Local : at >= Windows.Shared ? Space.Shared : Space.Global;
        if (space == Space.Shared && at >= Windows.Shared) at -= Windows.Shared;
        if (space == Space.Local && at >= Windows.Local) at -= Windows.Local;
        return space;
    }

    private int LocalPlace(ulong at, int bytes, int lane)
    {
        if (at + (uint)bytes > (ulong)localBytes || at > (ulong)localBytes)
            throw new PtxFault(lane, $"{bytes} bytes at {at} of local memory are outside its {localBytes} bytes.");
        if (at % (uint)bytes != 0) throw new PtxFault(lane, $"the address {at} of local memory is not a multiple of {bytes}.");
        return lane * localBytes + (int)at;
    }

    /// <summary>Executes the way on top of the stack until it ends, forks or waits.</summary>
    private void Execute()
    {
        (int next, uint mask, int meeting) = ways[^1];
        while (next != meeting)
        {
            Instruction instruction = current = code[next];
            executed[next]++;
            if (++instructions > launch.MostInstructions)
                throw Fault(-1, $"the warp executed {launch.MostInstructions} instructions; does it loop for ever?");
            uint active = mask;
            if (instruction.Guard >= 0)
            {
                uint holds = *(uint*)(File + instruction.Guard);
                active &= instruction.GuardNot ? ~holds : holds;
            }

            if (instruction.Doubtful is not null) CheckWritten(instruction, mask, active);
            switch (instruction.Flow)
            {
                case Flow.Next:
                    if (active != 0) instruction.Execute(this, active);
                    if (instruction.Tracked is { } tracked)
                        foreach (Register register in tracked) written[register.Index] |= active;
                    next++;
                    break;
                case Flow.Branch:
                    BranchInstruction branch = (BranchInstruction)instruction;
                    if (active == mask)
                    {
                        next = branch.Target;
                        break;
                    }

                    if (active == 0)
                    {
                        next++;
                        break;
                    }

                    if (branch.IsUniform) throw Fault(-1, "the lanes do not agree on a branch that is marked .uni.");
                    ways[^1] = (branch.Meeting, mask, meeting);
                    ways.Add((next + 1, mask & ~active, branch.Meeting));
                    ways.Add((branch.Target, active, branch.Meeting));
                    return;
                case Flow.Exit:
                    if (active == 0)
                    {
                        next++;
                        break;
                    }

                    ways[^1] = (next + 1, mask, meeting);
                    End(active);
                    return;
                default:
                    if (active != lanes)
                        throw Fault(-1, $"a barrier is reached by the lanes {active:x8}, and not by the others of {lanes:x8}.");
                    Wait((BarrierInstruction)instruction);
                    ways[^1] = (next + 1, mask, meeting);
                    return;
            }
        }

        ways.RemoveAt(ways.Count - 1);
        if (ways.Count == 0) State = WarpState.Done;
    }

    /// <summary>Ends some lanes.</summary>
    private void End(uint ended)
    {
        lanes &= ~ended;
        for (int i = 0; i < ways.Count; i++) ways[i] = ways[i] with { Mask = ways[i].Mask & ~ended };
        ways.RemoveAll(w => w.Mask == 0);
        if (ways.Count == 0) State = WarpState.Done;
    }

    private void Wait(BarrierInstruction barrier)
    {
        Barrier = Lanes.Get<uint>(File + barrier.Number.Offset, 0);
        if (Barrier > 15) throw Fault(-1, $"there are barriers 0 to 15, and not {Barrier}.");
        BarrierThreads = barrier.Count is { } count ? (int)Lanes.Get<uint>(File + count.Offset, 0) : Block.Threads;
        if (barrier.Count is not null && BarrierThreads % 32 != 0 && BarrierThreads != Block.Threads)
            throw Fault(-1, $"a barrier takes whole warps, and not {BarrierThreads} threads.");
        State = WarpState.Waiting;
    }

    private void CheckWritten(Instruction instruction, uint mask, uint active)
    {
        foreach (Register register in instruction.Doubtful!)
        {
            // The predicate is read by all lanes, the operands by those that execute.
            uint read = register.Offset == instruction.Guard ? mask : active;
            uint missing = read & ~written[register.Index];
            if (missing == 0) continue;
            throw Fault(BitOperations.TrailingZeroCount(missing), $"the register '{register.Name}' is read, and was never written.");
        }
    }

    private PtxException Fault(int lane, string message)
    {
        PtxModule module = launch.Kernel.Module;
        string who = lane >= 0 ? $"thread {32 * Number + lane}" : $"warp {Number}";
        return new(
            $"{module.Name}({current.Line}), kernel {launch.Kernel.Name}, block {block}, {who}: {module.Line(current.Line)}: {message}");
    }
}
