using TinyZsad.Cuda;

namespace TinyZsad.Ptx;

/// <summary>Executes launches: blocks in parallel on the host's threads, the warps of a block in turns.</summary>
internal static unsafe class Interpreter
{
    /// <summary>Executes a launch.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="memory">The memory of the device.</param>
    /// <param name="launch">The grid, the block and the arguments.</param>
    /// <param name="seed">The seed of the order of warps; null for their numbers' order.</param>
    /// <param name="countsAccesses">Whether bank conflicts and sectors are counted, which takes time.</param>
    /// <param name="mostInstructions">The most instructions of a warp.</param>
    /// <returns>What the warps did.</returns>
    /// <exception cref="PtxException">The launch does not fit the kernel, or the kernel does what it must not do.</exception>
    public static KernelStatistics Run(PtxKernel kernel, GlobalMemory memory, Launch launch, int? seed = null, bool countsAccesses = false,
        long mostInstructions = LaunchState.DefaultMostInstructions)
    {
        Check(kernel, launch);
        fixed (byte* arguments = launch.Arguments.Span)
        {
            LaunchState state = new(kernel, memory, launch.Grid, launch.Block, launch.SharedBytes, arguments, launch.Arguments.Length)
            {
                Seed = seed, CountsAccesses = countsAccesses, MostInstructions = mostInstructions,
            };
            KernelStatistics statistics = new(kernel);
            long blocks = launch.Grid.Count, next = 0;
            int workers = (int)Math.Min(blocks, Environment.ProcessorCount);
            if (workers == 1) Work(0);
            else RunParallel();
            return statistics;

            void RunParallel()
            {
                try
                {
                    Parallel.For(0, workers, Work);
                }
                catch (AggregateException e) when (e.InnerException is PtxException first)
                {
                    throw new PtxException(first.Message);
                }
            }

            void Work(int worker)
            {
                using Block block = new(state);
                try
                {
                    for (long number; (number = Interlocked.Increment(ref next) - 1) < blocks;) block.Run(number);
                }
                catch
                {
                    // The other workers need not go on.
                    Interlocked.Exchange(ref next, blocks);
                    throw;
                }

                block.Collect();
                lock (statistics) statistics.Add(block.Statistics);
            }
        }
    }

    private static void Check(PtxKernel kernel, Launch launch)
    {
        PtxException Error(string message) => new($"{kernel.Module.Name}, kernel {kernel.Name}: {message}");
        Dim3 block = launch.Block, grid = launch.Grid;
        if (kernel.RequiredBlock is { } required && (required[0], required[1], required[2]) != (block.X, block.Y, block.Z))
            throw Error($"it is launched with blocks of {block}, and states {required[0]} x {required[1]} x {required[2]} (.reqntid).");
        if (block.Count is < 1 or > 1024) throw Error($"a block of {block} has not 1 to 1024 threads.");
        if (kernel.MostThreads is { } most && block.Count > (long)most[0] * most[1] * most[2])
            throw Error($"a block of {block} has more threads than .maxntid states.");
        if (grid.X < 1 || grid.Y is < 1 or > 65535 || grid.Z is < 1 or > 65535)
            throw Error($"a grid of {grid} is empty or too large: 2^31 - 1 x 65535 x 65535 blocks at most.");
        if (launch.Arguments.Length != kernel.ParameterBytes)
        {
            throw Error($"it is launched with {launch.Arguments.Length} bytes of arguments, and its parameters "
                + $"take {kernel.ParameterBytes}.");
        }
    }
}
