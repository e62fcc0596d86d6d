using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using TinyZsad.Cuda;

namespace TinyZsad.Ptx;

/// <summary>Describes a launch that was executed.</summary>
/// <param name="Launch">The launch.</param>
/// <param name="Statistics">What the warps did.</param>
internal sealed record LaunchRecord(Launch Launch, KernelStatistics Statistics);

/// <summary>
/// Represents a GPU that executes kernels by interpreting their PTX. Everything that a kernel must not do is a <see cref="PtxException"/>.
/// Work on a stream is executed at once. All members are thread safe, as those of <see cref="Driver"/> are.
/// </summary>
internal sealed unsafe class EmulatedDriver : Driver
{
    private readonly GlobalMemory memory = new();
    private readonly ConcurrentDictionary<nint, object> objects = [];
    private readonly ConcurrentDictionary<nint, nint> host = [];
    private readonly ConcurrentDictionary<nint, List<Action>> captures = [];
    private long handles;

    /// <summary>Gets the seed of the order of warps; null for their numbers' order.</summary>
    public int? Seed { get; init; }

    /// <summary>Gets the most instructions of a warp, after which a loop counts as endless.</summary>
    public long MostInstructions { get; init; } = LaunchState.DefaultMostInstructions;

    /// <summary>Gets or sets what is called after each launch, with bank conflicts and sectors counted; null for nothing.</summary>
    public Action<LaunchRecord>? OnLaunch { get; set; }

    /// <summary>Gets what is not freed.</summary>
    public IReadOnlyList<string> Outstanding =>
    [
        .. memory.Outstanding.Select(a => $"{a.Size} bytes of device memory"), .. host.Values.Select(b => $"{b} bytes of host memory"),
        .. objects.Values.Select(o => o.GetType().Name),
    ];

    /// <inheritdoc/>
    public override GpuProperties Properties { get; } =
        new("Emulated GPU", 8, 0, 108, 40L << 30, 163 << 10, 164 << 10, 12040);

    /// <inheritdoc/>
    public override ulong Allocate(long bytes) => memory.Allocate(bytes).Address;

    /// <inheritdoc/>
    public override void Free(ulong address) => memory.Free(address);

    /// <inheritdoc/>
    public override nint AllocateHost(long bytes)
    {
        nint block = (nint)NativeMemory.AlignedAlloc((nuint)bytes, 64);
        host[block] = (nint)bytes;
        return block;
    }

    /// <inheritdoc/>
    public override void FreeHost(nint memory)
    {
        if (!host.TryRemove(memory, out _)) throw new PtxException("host memory is freed that was not allocated, or is freed already.");
        NativeMemory.AlignedFree((void*)memory);
    }

    /// <inheritdoc/>
    public override nint LoadModule(string name, string ptx)
    {
        LoadedModule module = new(PtxModule.Parse(name, ptx));
        foreach (Variable variable in module.Parsed.Globals)
        {
            Allocation allocation = memory.Allocate(variable.Size, variable.Space == Space.Const);
            module.Globals.Add(allocation.Address);
            variable.Address = allocation.Address;
            // Variables without values are zero.
            byte* bytes = memory.Host(allocation.Address, variable.Size, isWrite: true);
            new Span<byte>(bytes, (int)variable.Size).Clear();
            variable.Initial?.CopyTo(new Span<byte>(bytes, (int)variable.Size));
        }

        return Keep(module);
    }

    /// <inheritdoc/>
    public override void UnloadModule(nint module)
    {
        foreach (ulong address in Drop<LoadedModule>(module).Globals) memory.Free(address);
    }

    /// <inheritdoc/>
    public override nint GetFunction(nint module, string kernel)
    {
        LoadedModule loaded = Get<LoadedModule>(module);
        if (!loaded.Parsed.Kernels.TryGetValue(kernel, out PtxKernel? found))
            throw new DeviceException("emulated", $"There is no kernel '{kernel}' in '{loaded.Parsed.Name}'.");
        return loaded.Functions.GetOrAdd(kernel, _ =>
        {
            nint handle = (nint)Interlocked.Increment(ref handles);
            functions[handle] = found;
            return handle;
        });
    }

    /// <inheritdoc/>
    public override nint CreateStream() => Keep(new Stream());

    /// <inheritdoc/>
    public override void DestroyStream(nint stream) => Drop<Stream>(stream);

    /// <inheritdoc/>
    public override void Synchronize(nint stream) => Get<Stream>(stream);

    /// <inheritdoc/>
    public override void CopyToDevice(ulong to, nint from, long bytes, nint stream) => Do(stream, () =>
        Buffer.MemoryCopy((void*)from, memory.Host(to, bytes, isWrite: true), bytes, bytes));

    /// <inheritdoc/>
    public override void CopyToHost(nint to, ulong from, long bytes, nint stream) => Do(stream, () =>
        Buffer.MemoryCopy(memory.Host(from, bytes, isWrite: false), (void*)to, bytes, bytes));

    /// <inheritdoc/>
    public override void Clear(ulong address, long bytes, nint stream) => Do(stream, () =>
        NativeMemory.Clear(memory.Host(address, bytes, isWrite: true), (nuint)bytes));

    /// <inheritdoc/>
    public override void Launch(nint function, Launch launch, nint stream)
    {
        if (!functions.TryGetValue(function, out PtxKernel? kernel)) throw new PtxException("an unknown function is launched.");
        Do(stream, () =>
        {
            if (kernel.DynamicStart + launch.SharedBytes > Properties.SharedBytesPerBlock)
            {
                throw new PtxException($"{kernel.Module.Name}, kernel {kernel.Name}: a block takes "
                    +
                    $"{kernel.DynamicStart + launch.SharedBytes} bytes of shared memory, and there are {Properties.SharedBytesPerBlock}.");
            }

            KernelStatistics statistics = Interpreter.Run(kernel, memory, launch, Seed, OnLaunch is not null, MostInstructions);
            OnLaunch?.Invoke(new LaunchRecord(launch, statistics));
        });
    }

    /// <inheritdoc/>
    public override void BeginCapture(nint stream)
    {
        Get<Stream>(stream);
        if (!captures.TryAdd(stream, [])) throw new PtxException("a stream is captured that is captured already.");
    }

    /// <inheritdoc/>
    public override nint EndCapture(nint stream) => captures.TryRemove(stream, out List<Action>? recorded)
        ? Keep(new Graph(recorded)) : throw new PtxException("a capture ends that did not begin.");

    /// <inheritdoc/>
    public override void LaunchGraph(nint graph, nint stream)
    {
        Graph recorded = Get<Graph>(graph);
        Do(stream, () =>
        {
            foreach (Action one in recorded.Work) one();
        });
    }

    /// <inheritdoc/>
    public override void DestroyGraph(nint graph) => Drop<Graph>(graph);

    /// <inheritdoc/>
    public override nint CreateEvent() => Keep(new Mark());

    /// <inheritdoc/>
    public override void DestroyEvent(nint mark) => Drop<Mark>(mark);

    /// <inheritdoc/>
    public override void Record(nint mark, nint stream)
    {
        Mark reached = Get<Mark>(mark);
        Do(stream, () => reached.Time = Stopwatch.GetTimestamp());
    }

    /// <inheritdoc/>
    public override void SynchronizeEvent(nint mark) => Get<Mark>(mark);

    /// <inheritdoc/>
    public override TimeSpan Elapsed(nint start, nint end) => Stopwatch.GetElapsedTime(Get<Mark>(start).Time, Get<Mark>(end).Time);

    /// <inheritdoc/>
    protected override void Release()
    {
        // What is still allocated stays in Outstanding, but for its bytes.
    }

    private readonly ConcurrentDictionary<nint, PtxKernel> functions = [];

    private sealed class LoadedModule(PtxModule parsed)
    {
        public PtxModule Parsed => parsed;
        public List<ulong> Globals { get; } = [];
        public ConcurrentDictionary<string, nint> Functions { get; } = new(StringComparer.Ordinal);
    }

    private sealed class Stream;

    private sealed class Graph(List<Action> work)
    {
        public List<Action> Work => work;
    }

    private sealed class Mark
    {
        public long Time { get; set; }
    }

    /// <summary>Executes work of a stream now, or records it.</summary>
    private void Do(nint stream, Action work)
    {
        Get<Stream>(stream);
        if (captures.TryGetValue(stream, out List<Action>? recorded)) recorded.Add(work);
        else work();
    }

    private nint Keep(object kept)
    {
        nint handle = (nint)Interlocked.Increment(ref handles);
        objects[handle] = kept;
        return handle;
    }

    private T Get<T>(nint handle) where T : class => objects.TryGetValue(handle, out object? kept) && kept is T right
        ? right : throw new PtxException($"{handle} is no {typeof(T).Name}, or it is destroyed.");

    private T Drop<T>(nint handle) where T : class
    {
        T kept = Get<T>(handle);
        objects.TryRemove(handle, out _);
        return kept;
    }
}
