using System.Globalization;
using TinyZsad.Cpu;
using TinyZsad.Cuda;
using TinyZsad.Graph;

namespace TinyZsad;

/// <summary>The devices by the name that <see cref="DetectorOptions.Device"/> gives them: a new one is a line here.</summary>
internal static class Devices
{
    private const string Gpu = "cuda", NumberedGpu = "cuda:", Automatic = "auto";

    private static readonly Dictionary<string, Func<int, Device>> Known = new(StringComparer.Ordinal)
    {
        ["cpu"] = threads => new CpuDevice(threads),
        ["reference"] = _ => new ReferenceDevice(),
        [Gpu] = threads => OpenGpu(0, threads),
    };

    /// <summary>Gets the names. <c>cuda:N</c> stands for all GPUs.</summary>
    public static IReadOnlyList<string> Names
    {
        get
        {
            lock (Known) return [.. Known.Keys, NumberedGpu + "N", Automatic];
        }
    }

    /// <summary>Adds a device that this assembly does not know, or replaces it.</summary>
    public static void Add(string name, Func<int, Device> open)
    {
        lock (Known) Known[name] = open;
    }

    /// <summary>Forgets a device that was added. Those that are open stay so.</summary>
    public static void Remove(string name)
    {
        lock (Known) Known.Remove(name);
    }

    public static bool IsKnown(string name) => name == Automatic || NumberOf(name) is not null || Find(name) is not null;

    /// <summary>Opens the device that the options name; the caller disposes of it.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, or the device does not compute at the precision.</exception>
    /// <exception cref="DeviceException">The device is not there, or cannot be used.</exception>
    public static Device Open(DetectorOptions options)
    {
        options.Check();
        string name = options.Device;
        if (name == Automatic) return OpenBest(options);
        Device device = NumberOf(name) is { } number
            ? OpenGpu(number, options.ThreadCount)
            : Find(name)!(options.ThreadCount);
        if (device.Supports(options.Precision)) return device;
        device.Dispose();
        throw new ArgumentException(
            $"The device '{options.Device}' does not compute in {options.Precision}; choose another device or precision.");
    }

    /// <summary>Opens the first GPU that can be used, or the CPU.</summary>
    private static Device OpenBest(DetectorOptions options)
    {
        if (options.Precision == Precision.Float32)
        {
            foreach (GpuInfo gpu in CudaDevices.List())
            {
                try
                {
                    return OpenGpu(gpu.Index, options.ThreadCount);
                }
                catch (DeviceException)
                {
                    // Another process may have it for itself, or its memory is full.
                }
            }
        }

        return Find(DetectorOptions.DefaultDevice)!(options.ThreadCount);
    }

    private static CudaDevice OpenGpu(int number, int threads) =>
        new(NumberedGpu + number.ToString(CultureInfo.InvariantCulture), CudaDevices.Open(number), threads);

    private static Func<int, Device>? Find(string name)
    {
        lock (Known) return Known.GetValueOrDefault(name);
    }

    /// <summary>Gets the number of a GPU from its name; null if the name is none of a numbered GPU.</summary>
    private static int? NumberOf(string name) =>
        name.StartsWith(NumberedGpu, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(NumberedGpu.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : null;
}
