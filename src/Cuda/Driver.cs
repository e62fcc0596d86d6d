namespace TinyZsad.Cuda;

/// <summary>
/// Represents one GPU through the part of the CUDA driver API that the CUDA device uses. <c>LibCudaDriver</c> calls the driver of
/// the machine; the emulated driver in <c>src/Ptx</c> executes kernels by interpreting their PTX. Handles are opaque. All members are
/// thread safe, except that one stream is used by one thread at a time.
/// </summary>
/// <remarks>
/// Every member throws a <see cref="DeviceException"/> if the driver reports an error. Once the GPU is lost to the process, members
/// that free only return.
/// </remarks>
internal abstract class Driver : IDisposable
{
    /// <summary>Gets what the GPU is and has.</summary>
    public abstract GpuProperties Properties { get; }

    /// <summary>Allocates device memory, aligned to 256 bytes. Its content is undefined.</summary>
    public abstract ulong Allocate(long bytes);

    /// <summary>Frees device memory. Work on any stream that uses it must have finished.</summary>
    public abstract void Free(ulong address);

    /// <summary>Allocates pinned host memory, which copies can read and write while the host goes on.</summary>
    public abstract nint AllocateHost(long bytes);

    /// <summary>Frees pinned host memory.</summary>
    public abstract void FreeHost(nint memory);

    /// <summary>Compiles PTX for the GPU. The exception holds the compiler's log.</summary>
    /// <param name="name">The name for messages: the file in <c>cuda/</c>.</param>
    /// <param name="ptx">The text, after <see cref="PtxPreprocessor"/>.</param>
    public abstract nint LoadModule(string name, string ptx);

    /// <summary>Unloads a module. None of its functions may be running.</summary>
    public abstract void UnloadModule(nint module);

    /// <summary>Gets a kernel of a module.</summary>
    public abstract nint GetFunction(nint module, string kernel);

    /// <summary>Creates a stream: work that executes in order, independent of other streams.</summary>
    public abstract nint CreateStream();

    /// <summary>Destroys a stream. Its work must have finished.</summary>
    public abstract void DestroyStream(nint stream);

    /// <summary>Waits until all work of a stream has finished.</summary>
    public abstract void Synchronize(nint stream);

    /// <summary>Copies from host to device, in order of the stream. The host memory must stay unchanged until then.</summary>
    public abstract void CopyToDevice(ulong to, nint from, long bytes, nint stream);

    /// <summary>Copies from device to host, in order of the stream.</summary>
    public abstract void CopyToHost(nint to, ulong from, long bytes, nint stream);

    /// <summary>Sets every byte of a block of device memory to zero, in order of the stream.</summary>
    public abstract void Clear(ulong address, long bytes, nint stream);

    /// <summary>Executes a kernel, in order of the stream.</summary>
    /// <param name="function">The kernel, from <see cref="GetFunction"/>.</param>
    /// <param name="launch">The grid, the block and the arguments. Its kernel name is not used.</param>
    /// <param name="stream">The stream.</param>
    public abstract void Launch(nint function, Launch launch, nint stream);

    /// <summary>
    /// Begins to record the work of a stream instead of executing it. The calling thread must end the recording, and must not allocate,
    /// free, load a module or wait meanwhile.
    /// </summary>
    public abstract void BeginCapture(nint stream);

    /// <summary>Ends the recording and makes a graph of it that can be executed any number of times.</summary>
    public abstract nint EndCapture(nint stream);

    /// <summary>Executes a graph, in order of the stream. One graph is executed by one stream at a time.</summary>
    public abstract void LaunchGraph(nint graph, nint stream);

    /// <summary>Destroys a graph. It must not be executing.</summary>
    public abstract void DestroyGraph(nint graph);

    /// <summary>Creates an event, a mark in a stream.</summary>
    public abstract nint CreateEvent();

    /// <summary>Destroys an event.</summary>
    public abstract void DestroyEvent(nint mark);

    /// <summary>Places the event behind all work that the stream has now.</summary>
    public abstract void Record(nint mark, nint stream);

    /// <summary>Waits until the event is reached.</summary>
    public abstract void SynchronizeEvent(nint mark);

    /// <summary>Gets the time between two events that are reached.</summary>
    public abstract TimeSpan Elapsed(nint start, nint end);

    /// <summary>Releases the GPU. Everything that was allocated through it must be freed before.</summary>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the GPU. It may be called more than once.</summary>
    protected abstract void Release();
}

/// <summary>Describes a GPU.</summary>
/// <param name="Name">The product's name.</param>
/// <param name="Major">The compute capability before the point, 8 for sm_87.</param>
/// <param name="Minor">The compute capability behind the point, 7 for sm_87.</param>
/// <param name="Multiprocessors">The number of multiprocessors.</param>
/// <param name="MemoryBytes">The size of the device memory.</param>
/// <param name="SharedBytesPerBlock">The most shared memory that a block can use, opted in.</param>
/// <param name="SharedBytesPerMultiprocessor">The shared memory of a multiprocessor.</param>
/// <param name="DriverVersion">The version of CUDA that the driver supports: 12040 for 12.4.</param>
internal sealed record GpuProperties(string Name, int Major, int Minor, int Multiprocessors, long MemoryBytes,
    int SharedBytesPerBlock, int SharedBytesPerMultiprocessor, int DriverVersion)
{
    /// <summary>Gets the clock of the multiprocessors in kHz; 0 if it is not known.</summary>
    public int ClockRate { get; init; }

    /// <summary>Gets the bandwidth of the device memory in bytes a second; 0 if it is not known.</summary>
    public double MemoryBandwidth { get; init; }

    /// <summary>
    /// Predicts the time of an operation: that of the tensor cores or of the memory at their peaks, whichever is longer, and 3 µs for the
    /// way through the kernel; null if the peaks are not known.
    /// </summary>
    public TimeSpan? Predict(long flops, long bytes)
    {
        if (ClockRate == 0 || MemoryBandwidth == 0) return null;
        // Floating-point operations a cycle of a multiprocessor's tensor cores by mma.sync on halves with sums in floats. Hopper reaches
        // its peak of 4096 by wgmma only.
        double cycle = (Major, Minor) switch
        {
            (8, 0) or (8, 7) => 2048,
            (8, _) => 1024,
            _ => 2600,
        };
        double compute = flops / (Multiprocessors * cycle * ClockRate * 1e3), memory = bytes / MemoryBandwidth;
        return TimeSpan.FromSeconds(Math.Max(compute, memory) + 3e-6);
    }
}
