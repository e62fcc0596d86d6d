using TinyZsad.Cuda;

namespace TinyZsad.Ptx;

/// <summary>Holds what all blocks of a launch share.</summary>
internal sealed unsafe class LaunchState(PtxKernel kernel, GlobalMemory memory, Dim3 grid, Dim3 block, int dynamicBytes, byte* arguments,
    int argumentBytes)
{
    /// <summary>The most instructions of a warp unless another number is given.</summary>
    public const long DefaultMostInstructions = 200_000_000;

    public PtxKernel Kernel => kernel;

    public GlobalMemory Memory => memory;

    public Dim3 Grid => grid;

    public Dim3 BlockExtent => block;

    public int DynamicBytes => dynamicBytes;

    public byte* Arguments => arguments;

    public int ArgumentBytes => argumentBytes;

    /// <summary>Gets the number that states of this launch begin with; see <see cref="GlobalMemory.BeginLaunch"/>.</summary>
    public uint Number { get; } = memory.BeginLaunch();

    /// <summary>Gets the most instructions of a warp.</summary>
    public long MostInstructions { get; init; } = DefaultMostInstructions;

    /// <summary>Gets the seed of the order of warps; null for their numbers' order.</summary>
    public int? Seed { get; init; }

    /// <summary>Gets whether accesses are counted.</summary>
    public bool CountsAccesses { get; init; }
}

/// <summary>
/// Executes blocks, one after the other. Warps take turns: each goes on until it waits at a barrier or ends.
/// </summary>
internal sealed unsafe class Block : IDisposable
{
    private readonly LaunchState launch;
    private readonly Warp[] warps;
    private readonly Random? random;

    /// <summary>Initializes the memory of blocks of a launch.</summary>
    public Block(LaunchState launch)
    {
        this.launch = launch;
        Threads = (int)launch.BlockExtent.Count;
        warps = [.. Enumerable.Range(0, (Threads + 31) / 32).Select(i => new Warp(this, launch, i))];
        if (launch.Seed is { } seed) random = new Random(seed);
        Statistics = new KernelStatistics(launch.Kernel);
    }

    /// <summary>Gets the number of threads.</summary>
    public int Threads { get; }

    /// <summary>Gets the shared memory.</summary>
    public SharedMemory Shared { get; } = new();

    /// <summary>Gets the arguments.</summary>
    public byte* Arguments => launch.Arguments;

    /// <summary>Gets the size of the arguments.</summary>
    public int ArgumentBytes => launch.ArgumentBytes;

    /// <summary>Gets what the blocks did.</summary>
    public KernelStatistics Statistics { get; }

    /// <summary>Executes a block.</summary>
    /// <param name="number">The number in the grid, x fastest.</param>
    /// <exception cref="PtxException">The kernel does what it must not do.</exception>
    public void Run(long number)
    {
        int x = (int)(number % launch.Grid.X), y = (int)(number / launch.Grid.X % launch.Grid.Y);
        int z = (int)(number / launch.Grid.X / launch.Grid.Y);
        Shared.Begin(launch.Kernel.DynamicStart + launch.DynamicBytes, warps.Length);
        foreach (Warp warp in warps) warp.Begin(number, new Dim3(x, y, z));
        Warp[] order = [.. warps];
        while (true)
        {
            if (random is not null) random.Shuffle(order);
            bool isAlive = false;
            foreach (Warp warp in order)
            {
                if (warp.State == WarpState.Ready) warp.Run();
                isAlive |= warp.State != WarpState.Done;
            }

            if (!isAlive) return;
            if (!Meet()) throw warps.First(w => w.State == WarpState.Waiting).BarrierFault(Describe());
        }
    }

    /// <summary>Completes the statistics, after all blocks.</summary>
    public void Collect()
    {
        foreach (Warp warp in warps) warp.Collect();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Warp warp in warps) warp.Dispose();
        Shared.Dispose();
    }

    /// <summary>Lets the warps go on that wait at a barrier which all of its threads have reached.</summary>
    private bool Meet()
    {
        bool any = warps.Any(w => w.State == WarpState.Ready);
        foreach (IGrouping<uint, Warp> group in warps.Where(w => w.State == WarpState.Waiting).GroupBy(w => w.Barrier).ToArray())
        {
            Warp[] waiting = [.. group];
            int expected = waiting[0].BarrierThreads;
            if (waiting.Any(w => w.BarrierThreads != expected))
                throw waiting[0].BarrierFault("warps wait at the same barrier for different numbers of threads.");
            int arrived = waiting.Sum(w => w.BarrierThreads == Threads ? w.ThreadCount : 32);
            if (arrived < expected) continue;
            uint participants = 0;
            foreach (Warp warp in waiting)
            {
                participants |= 1U << warp.Number;
                warp.Resume();
            }

            Shared.Meet(participants);
            any = true;
        }

        return any;
    }

    private string Describe() => string.Join("; ", warps.Select(w => w.State switch
    {
        WarpState.Done => $"warp {w.Number} has ended",
        WarpState.Waiting => $"warp {w.Number} waits at barrier {w.Barrier}, line {w.Line}",
        _ => $"warp {w.Number} is on its way",
    })) + ". All threads of the block must reach the same barrier.";
}
