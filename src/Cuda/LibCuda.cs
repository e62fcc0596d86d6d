using System.Reflection;
using System.Runtime.InteropServices;

namespace TinyZsad.Cuda;

/// <summary>
/// Represents the library of NVIDIA's driver: the entry points of the CUDA driver API that <see cref="LibCudaDriver"/> calls, with
/// the names under which the library exports them. Nothing else of CUDA is needed on a machine. All members are thread safe.
/// </summary>
/// <remarks>The library is never unloaded: it has threads and exit handlers of its own.</remarks>
internal sealed unsafe class LibCuda
{
    /// <summary>The lowest version of CUDA that the driver must support: PTX ISA 7.1, which the kernels are written in.</summary>
    public const int OldestVersion = 11010;

    private readonly nint library;
    private readonly List<string> missing = [];

    private LibCuda(nint library)
    {
        this.library = library;
        Init = (delegate* unmanaged<uint, int>)Entry("cuInit");
        DriverGetVersion = (delegate* unmanaged<int*, int>)Entry("cuDriverGetVersion");
        GetErrorName = (delegate* unmanaged<int, byte**, int>)Entry("cuGetErrorName");
        DeviceGetCount = (delegate* unmanaged<int*, int>)Entry("cuDeviceGetCount");
        DeviceGet = (delegate* unmanaged<int*, int, int>)Entry("cuDeviceGet");
        DeviceGetName = (delegate* unmanaged<byte*, int, int, int>)Entry("cuDeviceGetName");
        DeviceTotalMem = (delegate* unmanaged<nuint*, int, int>)Entry("cuDeviceTotalMem_v2");
        DeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Entry("cuDeviceGetAttribute");
        DevicePrimaryCtxRetain = (delegate* unmanaged<nint*, int, int>)Entry("cuDevicePrimaryCtxRetain");
        DevicePrimaryCtxRelease = (delegate* unmanaged<int, int>)Entry("cuDevicePrimaryCtxRelease_v2");
        CtxPushCurrent = (delegate* unmanaged<nint, int>)Entry("cuCtxPushCurrent_v2");
        CtxPopCurrent = (delegate* unmanaged<nint*, int>)Entry("cuCtxPopCurrent_v2");
        MemGetInfo = (delegate* unmanaged<nuint*, nuint*, int>)Entry("cuMemGetInfo_v2");
        MemAlloc = (delegate* unmanaged<ulong*, nuint, int>)Entry("cuMemAlloc_v2");
        MemFree = (delegate* unmanaged<ulong, int>)Entry("cuMemFree_v2");
        MemHostAlloc = (delegate* unmanaged<void**, nuint, uint, int>)Entry("cuMemHostAlloc");
        MemFreeHost = (delegate* unmanaged<void*, int>)Entry("cuMemFreeHost");
        MemcpyHtoDAsync = (delegate* unmanaged<ulong, void*, nuint, nint, int>)Entry("cuMemcpyHtoDAsync_v2");
        MemcpyDtoHAsync = (delegate* unmanaged<void*, ulong, nuint, nint, int>)Entry("cuMemcpyDtoHAsync_v2");
        MemsetD8Async = (delegate* unmanaged<ulong, byte, nuint, nint, int>)Entry("cuMemsetD8Async");
        ModuleLoadDataEx = (delegate* unmanaged<nint*, void*, uint, int*, void**, int>)Entry("cuModuleLoadDataEx");
        ModuleUnload = (delegate* unmanaged<nint, int>)Entry("cuModuleUnload");
        ModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Entry("cuModuleGetFunction");
        FuncSetAttribute = (delegate* unmanaged<nint, int, int, int>)Entry("cuFuncSetAttribute");
        LaunchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
            Entry("cuLaunchKernel");
        StreamCreate = (delegate* unmanaged<nint*, uint, int>)Entry("cuStreamCreate");
        StreamDestroy = (delegate* unmanaged<nint, int>)Entry("cuStreamDestroy_v2");
        StreamSynchronize = (delegate* unmanaged<nint, int>)Entry("cuStreamSynchronize");
        StreamBeginCapture = (delegate* unmanaged<nint, int, int>)Entry("cuStreamBeginCapture_v2");
        StreamEndCapture = (delegate* unmanaged<nint, nint*, int>)Entry("cuStreamEndCapture");
        GraphInstantiateWithFlags = (delegate* unmanaged<nint*, nint, ulong, int>)Entry("cuGraphInstantiateWithFlags", optional: true);
        // Drivers before CUDA 11.4 have only the form that this one replaced. Newer ones keep it.
        GraphInstantiate = (delegate* unmanaged<nint*, nint, nint*, byte*, nuint, int>)
            Entry("cuGraphInstantiate_v2", optional: GraphInstantiateWithFlags is not null);
        GraphLaunch = (delegate* unmanaged<nint, nint, int>)Entry("cuGraphLaunch");
        GraphExecDestroy = (delegate* unmanaged<nint, int>)Entry("cuGraphExecDestroy");
        GraphDestroy = (delegate* unmanaged<nint, int>)Entry("cuGraphDestroy");
        EventCreate = (delegate* unmanaged<nint*, uint, int>)Entry("cuEventCreate");
        EventDestroy = (delegate* unmanaged<nint, int>)Entry("cuEventDestroy_v2");
        EventRecord = (delegate* unmanaged<nint, nint, int>)Entry("cuEventRecord");
        EventSynchronize = (delegate* unmanaged<nint, int>)Entry("cuEventSynchronize");
        EventElapsedTime = (delegate* unmanaged<float*, nint, nint, int>)Entry("cuEventElapsedTime");
    }

    public readonly delegate* unmanaged<uint, int> Init;
    public readonly delegate* unmanaged<int*, int> DriverGetVersion;
    public readonly delegate* unmanaged<int, byte**, int> GetErrorName;
    public readonly delegate* unmanaged<int*, int> DeviceGetCount;
    public readonly delegate* unmanaged<int*, int, int> DeviceGet;
    public readonly delegate* unmanaged<byte*, int, int, int> DeviceGetName;
    public readonly delegate* unmanaged<nuint*, int, int> DeviceTotalMem;
    public readonly delegate* unmanaged<int*, int, int, int> DeviceGetAttribute;
    public readonly delegate* unmanaged<nint*, int, int> DevicePrimaryCtxRetain;
    public readonly delegate* unmanaged<int, int> DevicePrimaryCtxRelease;
    public readonly delegate* unmanaged<nint, int> CtxPushCurrent;
    public readonly delegate* unmanaged<nint*, int> CtxPopCurrent;
    public readonly delegate* unmanaged<nuint*, nuint*, int> MemGetInfo;
    public readonly delegate* unmanaged<ulong*, nuint, int> MemAlloc;
    public readonly delegate* unmanaged<ulong, int> MemFree;
    public readonly delegate* unmanaged<void**, nuint, uint, int> MemHostAlloc;
    public readonly delegate* unmanaged<void*, int> MemFreeHost;
    public readonly delegate* unmanaged<ulong, void*, nuint, nint, int> MemcpyHtoDAsync;
    public readonly delegate* unmanaged<void*, ulong, nuint, nint, int> MemcpyDtoHAsync;
    public readonly delegate* unmanaged<ulong, byte, nuint, nint, int> MemsetD8Async;
    public readonly delegate* unmanaged<nint*, void*, uint, int*, void**, int> ModuleLoadDataEx;
    public readonly delegate* unmanaged<nint, int> ModuleUnload;
    public readonly delegate* unmanaged<nint*, nint, byte*, int> ModuleGetFunction;
    public readonly delegate* unmanaged<nint, int, int, int> FuncSetAttribute;
    public readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> LaunchKernel;
    public readonly delegate* unmanaged<nint*, uint, int> StreamCreate;
    public readonly delegate* unmanaged<nint, int> StreamDestroy;
    public readonly delegate* unmanaged<nint, int> StreamSynchronize;
    public readonly delegate* unmanaged<nint, int, int> StreamBeginCapture;
    public readonly delegate* unmanaged<nint, nint*, int> StreamEndCapture;
    public readonly delegate* unmanaged<nint*, nint, ulong, int> GraphInstantiateWithFlags;
    public readonly delegate* unmanaged<nint*, nint, nint*, byte*, nuint, int> GraphInstantiate;
    public readonly delegate* unmanaged<nint, nint, int> GraphLaunch;
    public readonly delegate* unmanaged<nint, int> GraphExecDestroy;
    public readonly delegate* unmanaged<nint, int> GraphDestroy;
    public readonly delegate* unmanaged<nint*, uint, int> EventCreate;
    public readonly delegate* unmanaged<nint, int> EventDestroy;
    public readonly delegate* unmanaged<nint, nint, int> EventRecord;
    public readonly delegate* unmanaged<nint, int> EventSynchronize;
    public readonly delegate* unmanaged<float*, nint, nint, int> EventElapsedTime;

    /// <summary>Gets the name of the library on this system.</summary>
    public static string FileName => OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";

    /// <summary>Gets the version of CUDA that the driver supports: 12040 for 12.4.</summary>
    public int Version { get; private init; }

    /// <summary>Loads a library and initializes it.</summary>
    /// <param name="path">The file; null for that of the system.</param>
    /// <exception cref="DeviceException">There is no library, no GPU that it can use, or it is too old.</exception>
    public static LibCuda Load(string? path = null)
    {
        // On Windows, a file of this name beside the program is not the driver's.
        nint library;
        bool found = path is not null ? NativeLibrary.TryLoad(path, out library)
            : NativeLibrary.TryLoad(FileName, Assembly.GetExecutingAssembly(), DllImportSearchPath.System32, out library);
        if (!found)
        {
            throw new DeviceException("cuda", $"The driver's library '{path ?? FileName}' is missing or cannot be loaded. Install "
                + $"NVIDIA's driver of CUDA {WordOf(OldestVersion)} or later. In a container, start it with access to GPUs.");
        }

        int version = 0;
        // The version is asked for before anything else: that a driver is old explains what it lacks.
        delegate* unmanaged<int*, int> getVersion = NativeLibrary.TryGetExport(library, "cuDriverGetVersion", out nint entry)
            ? (delegate* unmanaged<int*, int>)entry : null;
        if (getVersion is not null && getVersion(&version) != 0) version = 0;
        if (version is > 0 and < OldestVersion)
        {
            throw new DeviceException("cuda", $"The driver supports CUDA {WordOf(version)}. The kernels need "
                + $"{WordOf(OldestVersion)} or later: update NVIDIA's driver.");
        }

        LibCuda api = new(library) { Version = version };
        if (api.missing.Count > 0)
        {
            throw new DeviceException("cuda", $"The driver's library '{path ?? FileName}' lacks {string.Join(", ", api.missing)}: update "
                + $"NVIDIA's driver to CUDA {WordOf(OldestVersion)} or later.");
        }
        CudaError.Check(api, "cuda", "cuInit", api.Init(0));
        return api;
    }

    /// <summary>Gets the name of an error code, such as "CUDA_ERROR_OUT_OF_MEMORY".</summary>
    public string NameOf(int code)
    {
        byte* name = null;
        return GetErrorName(code, &name) == 0 && name is not null ? Marshal.PtrToStringUTF8((nint)name)! : $"CUDA error {code}";
    }

    /// <summary>Gets a version of CUDA as it is usually written: "12.4" for 12040.</summary>
    public static string WordOf(int version) => $"{version / 1000}.{version % 1000 / 10}";

    private nint Entry(string name, bool optional = false)
    {
        if (NativeLibrary.TryGetExport(library, name, out nint address)) return address;
        if (!optional) missing.Add(name);
        return 0;
    }
}
