using System.Runtime.InteropServices;

namespace TinyZsad.Cuda;

/// <summary>Describes a GPU that the driver shows.</summary>
/// <param name="Index">The number by which the driver knows it; the device is <c>cuda:Index</c>.</param>
/// <param name="Properties">What the GPU is and has.</param>
/// <param name="Problem">Why it cannot be used; null if it can.</param>
internal sealed record GpuInfo(int Index, GpuProperties Properties, string? Problem);

/// <summary>Represents what the search for GPUs has found.</summary>
/// <param name="Gpus">All GPUs, also those that cannot be used.</param>
/// <param name="Reason">Why there is none that can be used; null if there is one.</param>
internal sealed record GpuSurvey(IReadOnlyList<GpuInfo> Gpus, string? Reason)
{
    /// <summary>Gets whether a GPU can be used.</summary>
    public bool IsAvailable => Reason is null;
}

/// <summary>Finds the GPUs of the machine. All members are thread safe.</summary>
internal static class CudaDevices
{
    /// <summary>The lowest compute capability, before the point: the kernels use <c>mma</c>, <c>ldmatrix</c> and <c>cp.async</c>.</summary>
    private const int OldestMajor = 8;

    // CUdevice_attribute: CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, _COMPUTE_CAPABILITY_MAJOR and _MINOR,
    // _MAX_SHARED_MEMORY_PER_MULTIPROCESSOR and _MAX_SHARED_MEMORY_PER_BLOCK_OPTIN.
    private const int MultiprocessorCount = 16, Major = 75, Minor = 76, SharedPerMultiprocessor = 81, SharedPerBlock = 97;

    // CU_DEVICE_ATTRIBUTE_CLOCK_RATE, _MEMORY_CLOCK_RATE (kHz) and _GLOBAL_MEMORY_BUS_WIDTH (bits), for predictions only.
    private const int ClockRate = 13, MemoryClockRate = 36, MemoryBusWidth = 37;

    /// <summary>Gets whether a GPU can be used.</summary>
    public static bool IsAvailable => Survey().IsAvailable;

    /// <summary>Gets the GPUs that can be used. Never throws.</summary>
    public static IReadOnlyList<GpuInfo> List() => [.. Survey().Gpus.Where(g => g.Problem is null)];

    /// <summary>Searches for GPUs. It never throws, and leaves nothing behind but the loaded library.</summary>
    /// <param name="library">The driver's library; null for that of the system.</param>
    public static GpuSurvey Survey(string? library = null)
    {
        List<GpuInfo> gpus = [];
        try
        {
            LibCuda api = LibCuda.Load(library);
            int count = Count(api);
            for (int i = 0; i < count; i++) gpus.Add(TryDescribe(api, i));
        }
        catch (DeviceException e)
        {
            // That it is CUDA, whoever asks for the reason knows.
            return new GpuSurvey(gpus, e.Device == "cuda" ? e.Message["cuda: ".Length..] : e.Message);
        }

        // With no GPU at all, cuInit fails, but nothing promises that it does.
        if (gpus.Count == 0) return new GpuSurvey(gpus, "The driver shows no GPU.");
        if (gpus.All(g => g.Problem is not null))
            return new GpuSurvey(gpus, string.Join(' ', gpus.Select(g => $"cuda:{g.Index}: {g.Problem}")));
        return new GpuSurvey(gpus, null);
    }

    /// <summary>Opens a GPU.</summary>
    /// <param name="index">The number by which the driver knows it.</param>
    /// <param name="library">The driver's library; null for that of the system.</param>
    /// <exception cref="DeviceException">There is no such GPU, or it cannot be used.</exception>
    public static Driver Open(int index = 0, string? library = null)
    {
        LibCuda api = LibCuda.Load(library);
        int count = Count(api);
        if (index < 0 || index >= count)
            throw new DeviceException($"cuda:{index}", $"There is no GPU of this number. The numbers are 0 to {count - 1}.");
        GpuInfo info = Describe(api, index);
        if (info.Problem is not null) throw new DeviceException($"cuda:{index}", info.Problem);
        return new LibCudaDriver(api, index, info.Properties);
    }

    private static unsafe int Count(LibCuda api)
    {
        int count;
        CudaError.Check(api, "cuda", "cuDeviceGetCount", api.DeviceGetCount(&count));
        return count;
    }

    /// <summary>Describes a GPU, or says why the driver does not: one that does not work leaves the others usable.</summary>
    private static GpuInfo TryDescribe(LibCuda api, int index)
    {
        try
        {
            return Describe(api, index);
        }
        catch (DeviceException e)
        {
            return new GpuInfo(index, new GpuProperties("unknown", 0, 0, 0, 0, 0, 0, api.Version), e.Message);
        }
    }

    private static unsafe GpuInfo Describe(LibCuda api, int index)
    {
        string name = $"cuda:{index}";
        int handle;
        CudaError.Check(api, name, "cuDeviceGet", api.DeviceGet(&handle, index));
        int device = handle;
        // One byte stays 0, so that a name of any length ends.
        byte* text = stackalloc byte[257];
        new Span<byte>(text, 257).Clear();
        CudaError.Check(api, name, "cuDeviceGetName", api.DeviceGetName(text, 256, device));
        nuint memory;
        CudaError.Check(api, name, "cuDeviceTotalMem_v2", api.DeviceTotalMem(&memory, device));
        GpuProperties properties = new(Marshal.PtrToStringUTF8((nint)text)!, Attribute(Major),
            Attribute(Minor), Attribute(MultiprocessorCount), (long)memory, Attribute(SharedPerBlock),
            Attribute(SharedPerMultiprocessor), api.Version)
        {
            ClockRate = OptionalAttribute(ClockRate),
            // Two transfers a clock.
            MemoryBandwidth = 2e3 * OptionalAttribute(MemoryClockRate) * OptionalAttribute(MemoryBusWidth) / 8,
        };
        string? problem = properties.Major >= OldestMajor ? null
            : $"{properties.Name} has compute capability {properties.Major}.{properties.Minor}. The kernels need 8.0 or later "
                + "(Ampere, Ada, Hopper, Orin).";
        return new GpuInfo(index, properties, problem);

        int Attribute(int attribute)
        {
            int value;
            CudaError.Check(api, name, "cuDeviceGetAttribute", api.DeviceGetAttribute(&value, attribute, device), $"{attribute}");
            return value;
        }

        int OptionalAttribute(int attribute)
        {
            int value;
            return api.DeviceGetAttribute(&value, attribute, device) == 0 ? value : 0;
        }
    }
}
