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
    public static Device Open(DetectorOptions options)
    {
        options.Check();
        return Known[options.Device](options.ThreadCount);
    }
}
