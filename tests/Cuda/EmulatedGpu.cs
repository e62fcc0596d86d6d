using TinyZsad.Cuda;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Cuda;

/// <summary>Creates CUDA devices on emulated GPUs.</summary>
internal static class EmulatedGpu
{
    /// <summary>The name by which <see cref="DetectorOptions.Device"/> selects an emulated GPU.</summary>
    public const string Name = "emulated";

    /// <summary>Creates a device of its own, whose driver the caller can ask about what is allocated.</summary>
    public static (CudaDevice Device, EmulatedDriver Driver) Create(int threads = 2)
    {
        EmulatedDriver driver = new();
        return (new CudaDevice(Name, driver, threads), driver);
    }
}
