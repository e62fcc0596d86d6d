using System.Collections.Concurrent;

namespace TinyZsad.Cuda;

/// <summary>
/// Holds the compiled kernels of one GPU. A file of <c>cuda/</c> is compiled when its first kernel is asked for. All members are thread
/// safe.
/// </summary>
internal sealed class KernelLibrary(Driver driver) : IDisposable
{
    private readonly Lock compiling = new();
    private readonly Dictionary<string, nint> modules = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Module, string Kernel), nint> functions = new();

    /// <summary>Gets the kernel of a launch.</summary>
    /// <exception cref="DeviceException">The driver cannot compile the file.</exception>
    public nint Function(Launch launch)
    {
        if (functions.TryGetValue((launch.Module, launch.Kernel), out nint known)) return known;
        lock (compiling)
        {
            if (!modules.TryGetValue(launch.Module, out nint module))
                modules[launch.Module] = module = driver.LoadModule(launch.Module, KernelSource.Ptx(launch.Module));
            return functions[(launch.Module, launch.Kernel)] = driver.GetFunction(module, launch.Kernel);
        }
    }

    /// <summary>Unloads all kernels.</summary>
    public void Dispose()
    {
        lock (compiling)
        {
            foreach (nint module in modules.Values) driver.UnloadModule(module);
            modules.Clear();
            functions.Clear();
        }
    }
}
