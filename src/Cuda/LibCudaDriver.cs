using System.Text;

namespace TinyZsad.Cuda;

/// <summary>
/// Represents a GPU of the machine, through the library of NVIDIA's driver. It retains the primary context of the GPU, which other
/// CUDA libraries of the process share. Every member makes that context current on the calling thread and restores what was current
/// before, so that any thread can call and no caller notices.
/// </summary>
/// <remarks>
/// After an error that takes the context away, such as a kernel that was stopped, every member that would do work throws an exception
/// that says so. Members that free only return then: what they would free is gone with the context.
/// </remarks>
// Memory is allocated with cuMemAlloc: plans and runs allocate, executions do not, so that the pools of cuMemAllocAsync would gain
// nothing and need a driver and a GPU that have them.
internal sealed unsafe class LibCudaDriver : Driver
{
    /// <summary>The bytes of the compiler's log that are kept. It names the first errors; a reader needs no more.</summary>
    private const int LogBytes = 8192;

    /// <summary>The dynamic shared memory that every kernel may use without asking (CUDA C++ Programming Guide).</summary>
    private const int FreeSharedBytes = 48 * 1024;

    private const uint NonBlockingStream = 1, PortableHostMemory = 1;
    private const int ThreadLocalCapture = 1, MaxDynamicSharedBytes = 8;
    private const int JitErrorLog = 5, JitErrorLogSize = 6;
    private const nint ParameterBuffer = 1, ParameterBufferSize = 2;

    private readonly LibCuda api;
    private readonly string name;
    private readonly int device;
    private readonly nint context;

    /// <summary>The dynamic shared memory that each function may use by now. It is locked while one is changed.</summary>
    private readonly Dictionary<nint, int> sharedBytes = [];

    /// <summary>The code of the error that took the context away; 0 while there is none.</summary>
    private volatile int lost;

    private int released;

    /// <summary>Opens a GPU. <see cref="CudaDevices.Open"/> has checked that it can be used.</summary>
    /// <exception cref="DeviceException">The driver gives no context.</exception>
    public LibCudaDriver(LibCuda api, int index, GpuProperties properties)
    {
        (this.api, name, Properties) = (api, $"cuda:{index}", properties);
        int handle;
        CudaError.Check(api, name, "cuDeviceGet", api.DeviceGet(&handle, index));
        nint primary;
        CudaError.Check(api, name, "cuDevicePrimaryCtxRetain", api.DevicePrimaryCtxRetain(&primary, handle));
        (device, context) = (handle, primary);
    }

    /// <inheritdoc/>
    public override GpuProperties Properties { get; }

    /// <inheritdoc/>
    public override ulong Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        ulong address;
        Enter();
        int code = api.MemAlloc(&address, (nuint)bytes);
        string detail = code == CudaError.OutOfMemory ? $"{bytes:N0} bytes{Available()}" : $"{bytes:N0} bytes";
        Leave("cuMemAlloc_v2", code, detail);
        return address;
    }

    /// <inheritdoc/>
    public override void Free(ulong address)
    {
        if (IsLost()) return;
        Enter();
        Leave("cuMemFree_v2", api.MemFree(address));
    }

    /// <inheritdoc/>
    public override nint AllocateHost(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        void* memory;
        Enter();
        Leave("cuMemHostAlloc", api.MemHostAlloc(&memory, (nuint)bytes, PortableHostMemory), $"{bytes:N0} bytes of pinned host memory");
        return (nint)memory;
    }

    /// <inheritdoc/>
    public override void FreeHost(nint memory)
    {
        if (IsLost()) return;
        Enter();
        Leave("cuMemFreeHost", api.MemFreeHost((void*)memory));
    }

    /// <inheritdoc/>
    public override nint LoadModule(string name, string ptx)
    {
        byte[] text = new byte[Encoding.UTF8.GetByteCount(ptx) + 1];
        Encoding.UTF8.GetBytes(ptx, text);
        byte[] log = new byte[LogBytes];
        nint module;
        int code;
        Enter();
        fixed (byte* image = text, messages = log)
        {
            int* options = stackalloc[] { JitErrorLog, JitErrorLogSize };
            // A value that is a number stands in the place of the pointer.
            void** values = stackalloc void*[] { messages, (void*)LogBytes };
            code = api.ModuleLoadDataEx(&module, image, 2, options, values);
        }

        string said = "";
        if (code != 0)
        {
            int length = Array.IndexOf(log, (byte)0);
            said = Encoding.UTF8.GetString(log, 0, length < 0 ? LogBytes : length).Trim();
        }
        Leave("cuModuleLoadDataEx", code, said.Length > 0 ? $"{name}.ptx: {said}" : $"{name}.ptx");
        return module;
    }

    /// <inheritdoc/>
    public override void UnloadModule(nint module)
    {
        // The driver may give the handles of a module's functions to those of the next.
        lock (sharedBytes) sharedBytes.Clear();
        if (IsLost()) return;
        Enter();
        Leave("cuModuleUnload", api.ModuleUnload(module));
    }

    /// <inheritdoc/>
    public override nint GetFunction(nint module, string kernel)
    {
        byte[] text = new byte[Encoding.UTF8.GetByteCount(kernel) + 1];
        Encoding.UTF8.GetBytes(kernel, text);
        nint function;
        int code;
        Enter();
        fixed (byte* entry = text) code = api.ModuleGetFunction(&function, module, entry);
        Leave("cuModuleGetFunction", code, kernel);
        return function;
    }

    /// <inheritdoc/>
    public override nint CreateStream()
    {
        nint stream;
        Enter();
        // Other libraries of the process use the default stream. A blocking stream would wait for their work.
        Leave("cuStreamCreate", api.StreamCreate(&stream, NonBlockingStream));
        return stream;
    }

    /// <inheritdoc/>
    public override void DestroyStream(nint stream)
    {
        if (IsLost()) return;
        Enter();
        Leave("cuStreamDestroy_v2", api.StreamDestroy(stream));
    }

    /// <inheritdoc/>
    public override void Synchronize(nint stream)
    {
        Enter();
        Leave("cuStreamSynchronize", api.StreamSynchronize(stream));
    }

    /// <inheritdoc/>
    public override void CopyToDevice(ulong to, nint from, long bytes, nint stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Enter();
        Leave("cuMemcpyHtoDAsync_v2", bytes == 0 ? 0 : api.MemcpyHtoDAsync(to, (void*)from, (nuint)bytes, stream), Bytes(bytes));
    }

    /// <inheritdoc/>
    public override void CopyToHost(nint to, ulong from, long bytes, nint stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Enter();
        Leave("cuMemcpyDtoHAsync_v2", bytes == 0 ? 0 : api.MemcpyDtoHAsync((void*)to, from, (nuint)bytes, stream), Bytes(bytes));
    }

    /// <inheritdoc/>
    public override void Clear(ulong address, long bytes, nint stream)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        Enter();
        Leave("cuMemsetD8Async", bytes == 0 ? 0 : api.MemsetD8Async(address, 0, (nuint)bytes, stream), Bytes(bytes));
    }

    /// <inheritdoc/>
    public override void Launch(nint function, Launch launch, nint stream)
    {
        Enter();
        string call = "cuFuncSetAttribute";
        int code = Permit(function, launch.SharedBytes);
        if (code == 0)
        {
            call = "cuLaunchKernel";
            (Dim3 grid, Dim3 block) = (launch.Grid, launch.Block);
            fixed (byte* arguments = launch.Arguments.Span)
            {
                nuint size = (nuint)launch.Arguments.Length;
                // CU_LAUNCH_PARAM_BUFFER_POINTER, _BUFFER_SIZE and _END (0): the driver copies the bytes before it returns.
                void** extra = stackalloc void*[] { (void*)ParameterBuffer, arguments, (void*)ParameterBufferSize, &size, null };
                code = api.LaunchKernel(function, (uint)grid.X, (uint)grid.Y, (uint)grid.Z, (uint)block.X, (uint)block.Y, (uint)block.Z,
                    (uint)launch.SharedBytes, stream, null, size == 0 ? null : extra);
            }
        }
        Leave(call, code, code == 0 ? "" : $"{launch.Module}.{launch.Kernel}, grid {launch.Grid}, block {launch.Block}, "
            + $"{launch.SharedBytes} bytes of shared memory, {launch.Arguments.Length} bytes of arguments");
    }

    /// <inheritdoc/>
    public override void BeginCapture(nint stream)
    {
        Enter();
        // Other threads may allocate meanwhile: only what this thread does can spoil the recording.
        Leave("cuStreamBeginCapture_v2", api.StreamBeginCapture(stream, ThreadLocalCapture));
    }

    /// <inheritdoc/>
    public override nint EndCapture(nint stream)
    {
        nint graph = 0, executable = 0;
        Enter();
        string call = "cuStreamEndCapture";
        int code = api.StreamEndCapture(stream, &graph);
        if (code == 0 && graph != 0)
        {
            call = api.GraphInstantiateWithFlags is not null ? "cuGraphInstantiateWithFlags" : "cuGraphInstantiate_v2";
            code = api.GraphInstantiateWithFlags is not null ? api.GraphInstantiateWithFlags(&executable, graph, 0)
                : api.GraphInstantiate(&executable, graph, null, null, 0);
        }
        if (graph != 0)
        {
            // What can be executed does not need what it was made from. An error before this one says more.
            int destroyed = api.GraphDestroy(graph);
            if (code == 0 && destroyed != 0) (call, code) = ("cuGraphDestroy", destroyed);
        }
        Leave(call, code);
        if (executable == 0) throw new DeviceException(name, "cuStreamEndCapture gave no graph: the recording was spoiled.");
        return executable;
    }

    /// <inheritdoc/>
    public override void LaunchGraph(nint graph, nint stream)
    {
        Enter();
        Leave("cuGraphLaunch", api.GraphLaunch(graph, stream));
    }

    /// <inheritdoc/>
    public override void DestroyGraph(nint graph)
    {
        if (IsLost()) return;
        Enter();
        Leave("cuGraphExecDestroy", api.GraphExecDestroy(graph));
    }

    /// <inheritdoc/>
    public override nint CreateEvent()
    {
        nint mark;
        Enter();
        Leave("cuEventCreate", api.EventCreate(&mark, 0));
        return mark;
    }

    /// <inheritdoc/>
    public override void DestroyEvent(nint mark)
    {
        if (IsLost()) return;
        Enter();
        Leave("cuEventDestroy_v2", api.EventDestroy(mark));
    }

    /// <inheritdoc/>
    public override void Record(nint mark, nint stream)
    {
        Enter();
        Leave("cuEventRecord", api.EventRecord(mark, stream));
    }

    /// <inheritdoc/>
    public override void SynchronizeEvent(nint mark)
    {
        Enter();
        Leave("cuEventSynchronize", api.EventSynchronize(mark));
    }

    /// <inheritdoc/>
    public override TimeSpan Elapsed(nint start, nint end)
    {
        float milliseconds;
        Enter();
        Leave("cuEventElapsedTime", api.EventElapsedTime(&milliseconds, start, end));
        return TimeSpan.FromMilliseconds(milliseconds);
    }

    /// <inheritdoc/>
    protected override void Release()
    {
        if (Interlocked.Exchange(ref released, 1) != 0) return;
        int code = api.DevicePrimaryCtxRelease(device);
        // The release of a lost context reports the loss once more. That was thrown where it happened.
        if (lost == 0) CudaError.Check(api, name, "cuDevicePrimaryCtxRelease_v2", code);
    }

    /// <summary>Makes the context current on this thread. <see cref="Leave"/> must follow, with nothing between that throws.</summary>
    private void Enter()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref released) != 0, this);
        if (lost != 0)
        {
            throw new DeviceException(name, $"The GPU was lost to this process by {api.NameOf(lost)} ({lost}): start the program "
                + "again. The CPU still works.", lost);
        }
        Check("cuCtxPushCurrent_v2", api.CtxPushCurrent(context), "");
    }

    /// <summary>Restores what was current on this thread, then throws an exception if the call has failed.</summary>
    private void Leave(string call, int code, string detail = "")
    {
        nint popped;
        int restored = api.CtxPopCurrent(&popped);
        Check(call, code, detail);
        Check("cuCtxPopCurrent_v2", restored, "");
    }

    private void Check(string call, int code, string detail)
    {
        if (code == 0) return;
        if (CudaError.IsLost(code)) lost = code;
        throw CudaError.Create(api, name, call, code, detail);
    }

    private bool IsLost()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref released) != 0, this);
        return lost != 0;
    }

    /// <summary>Lets a function use dynamic shared memory beyond what every function may use.</summary>
    private int Permit(nint function, int bytes)
    {
        if (bytes <= FreeSharedBytes) return 0;
        lock (sharedBytes)
        {
            if (sharedBytes.GetValueOrDefault(function) >= bytes) return 0;
            int code = api.FuncSetAttribute(function, MaxDynamicSharedBytes, bytes);
            if (code == 0) sharedBytes[function] = bytes;
            return code;
        }
    }

    /// <summary>Says how much memory is left, after an allocation has failed. The context is current.</summary>
    private string Available()
    {
        nuint free, total;
        return api.MemGetInfo(&free, &total) == 0 ? $"; {free:N0} of {total:N0} bytes are free" : "";
    }

    private static string Bytes(long bytes) => $"{bytes:N0} bytes";
}
