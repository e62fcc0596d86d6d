using System.Diagnostics;
using System.Globalization;

namespace TinyZsad.Fuzz;

/// <summary>The most memory that the process ever held, which also counts what lies outside the heap.</summary>
internal static class PeakMemory
{
    private const string Key = "VmHWM:";

    public static long Bytes()
    {
        if (!OperatingSystem.IsLinux()) return Process.GetCurrentProcess().PeakWorkingSet64;
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(Key, StringComparison.Ordinal));
        return 1024 * long.Parse(line[Key.Length..].Trim().Split(' ')[0], CultureInfo.InvariantCulture);
    }
}
