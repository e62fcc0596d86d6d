using TinyZsad.Cpu;
using TinyZsad.Graph;

namespace TinyZsad;

/// <summary>The devices by the name that <see cref="DetectorOptions.Device"/> gives them: a new one is a line here.</summary>
internal static class Devices
{
    private static readonly Dictionary<string, Func<int, Device>> Known = new(StringComparer.Ordinal)
    {
        ["cpu"] = threads => new CpuDevice(threads),
        ["reference"] = _ => new ReferenceDevice(),
    };

    public static IReadOnlyList<string> Names => [.. Known.Keys];

    public static bool IsKnown(string name) => Known.ContainsKey(name);

    /// <summary>Opens the device that the options name; the caller disposes of it.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, or the device does not compute at the precision.</exception>
    public static Device Open(DetectorOptions options)
    {
        options.Check();
        Device device = Known[options.Device](options.ThreadCount);
        if (device.Supports(options.Precision)) return device;
        device.Dispose();
        throw new ArgumentException(
            $"The device '{options.Device}' does not compute in {options.Precision}; choose another device or precision.");
    }
}
