using TinyZsad.Cuda;
using TinyZsad.Ptx;

namespace TinyZsad.Cli;

/// <summary>The device <c>emulated</c>: the kernels of the GPU, interpreted and checked on the CPU.</summary>
internal static class EmulatedGpu
{
    private const string Name = "emulated";

    /// <summary>Makes the device known to the library. Further calls have no effect.</summary>
    public static void Register() => Devices.Add(Name, threads => new CudaDevice(Name, new EmulatedDriver(), threads));
}
