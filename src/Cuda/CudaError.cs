namespace TinyZsad.Cuda;

/// <summary>Makes exceptions of the error codes of the CUDA driver API (<c>CUresult</c>).</summary>
internal static class CudaError
{
    public const int OutOfMemory = 2;
    public const int NoDevice = 100;

    /// <summary>Throws an exception if a call has failed.</summary>
    /// <param name="api">The library.</param>
    /// <param name="device">The device, such as "cuda:0".</param>
    /// <param name="call">The entry point.</param>
    /// <param name="code">What it returned.</param>
    /// <param name="detail">What it was asked for; empty if the name says it.</param>
    /// <exception cref="DeviceException">The code is not 0.</exception>
    public static void Check(LibCuda api, string device, string call, int code, string detail = "")
    {
        if (code != 0) throw Create(api, device, call, code, detail);
    }

    /// <summary>Creates the exception for a code.</summary>
    public static DeviceException Create(LibCuda api, string device, string call, int code, string detail = "")
    {
        string what = detail.Length > 0 ? $"{call} ({detail})" : call;
        return new DeviceException(device, $"{what} failed with {api.NameOf(code)} ({code}). {Advice(code)}", code);
    }

    /// <summary>
    /// Gets whether a code means that the context is lost: every later call of the process fails with it. A kernel that was stopped
    /// has this effect, as has broken hardware.
    /// </summary>
    // Those that "leave the process in an inconsistent state" by the documentation of CUresult, those that take the device away and
    // those that say that its context is gone. 4 is CUDA_ERROR_DEINITIALIZED, 214 an uncorrectable error of memory, 220 of NVLink,
    // 226 an error that the GPU contained.
    public static bool IsLost(int code) => code is 4 or 214 or 220 or 226 or 700 or 702 or 709 or 710 or (>= 714 and <= 719);

    /// <summary>Says what would be right.</summary>
    private static string Advice(int code) => code switch
    {
        1 or 400 => "This is an error in the program, or an argument exceeds a limit of the GPU.",
        OutOfMemory => "Use a smaller batch, or end other programs that use the GPU.",
        3 or 201 => "This is an error in the program.",
        34 => "The library is a placeholder for linking: install NVIDIA's driver, and remove the placeholder from the library path.",
        46 => "Another program uses the GPU exclusively.",
        NoDevice => NoDeviceAdvice(),
        101 => "There is no GPU of this number.",
        102 => "The driver has no license for the GPU.",
        200 or 218 or 300 => "The driver's compiler rejects the kernels: this is an error in the program.",
        209 => "The kernels are for compute capability 8.0 and later (Ampere, Ada, Hopper, Orin).",
        221 => "The driver's compiler (libnvidia-ptxjitcompiler) is missing: install NVIDIA's driver completely.",
        222 => $"The driver is too old for PTX 7.1: update it to CUDA {LibCuda.WordOf(LibCuda.OldestVersion)} or later.",
        223 => "Compiling is switched off: unset CUDA_DISABLE_PTX_JIT.",
        500 => "There is no kernel of this name.",
        600 => "The work has not finished yet: this is an error in the program.",
        701 => "The block needs more registers or shared memory than the GPU has.",
        801 or 800 => "The GPU or its driver does not support this, or does not permit it.",
        802 => "The system is not ready: start NVIDIA's services (nvidia-fabricmanager on machines with NVSwitch).",
        803 => "The parts of NVIDIA's driver have different versions: restart the machine after an update of the driver.",
        804 => "CUDA's compatibility libraries do not support the GPU: update NVIDIA's driver.",
        >= 805 and <= 809 => "CUDA's Multi-Process Service does not work: restart or end nvidia-cuda-mps-control.",
        >= 900 and <= 909 => "The stream was being recorded and something was called meanwhile that cannot be: this is an error in the "
            + "program.",
        999 => "The driver does not work: look whether nvidia-smi does, whether the kernel module (nvidia-uvm) is loaded, and whether "
            + "the user may open /dev/nvidia*.",
        _ when IsLost(code) => "The GPU is lost to this process: start the program again. The CPU still works.",
        _ => "NVIDIA's documentation of CUresult describes it.",
    };

    private static string NoDeviceAdvice() => Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES") is { } visible
        ? $"CUDA_VISIBLE_DEVICES is '{visible}': the driver shows only the GPUs that it names, or none. Unset it to use all."
        : "There is no NVIDIA GPU, or its kernel module is not loaded. In a container, start it with access to GPUs.";
}
