using System.Collections.Concurrent;
using System.Reflection;

namespace TinyZsad.Cuda;

/// <summary>Provides the text of the files in <c>cuda/</c>, which are resources of this assembly. All members are thread safe.</summary>
internal static class KernelSource
{
    private static readonly ConcurrentDictionary<string, string> Expanded = new(StringComparer.Ordinal);

    /// <summary>Gets the names of the files, without the extension.</summary>
    public static IReadOnlyList<string> Modules { get; } =
        [.. Assembly.GetExecutingAssembly().GetManifestResourceNames().Where(n => n.EndsWith(".ptx", StringComparison.Ordinal))
            .Select(n => n[..^4]).Order(StringComparer.Ordinal)];

    /// <summary>Gets a file after <see cref="PtxPreprocessor"/>: plain PTX.</summary>
    public static string Ptx(string module) =>
        Expanded.GetOrAdd(module, static name => Expand(name, Text(name)));

    /// <summary>Gets a file as it is written, before <see cref="Expand"/>.</summary>
    public static string Text(string module) =>
        Resource(module + ".ptx") ?? throw new ArgumentException($"There is no 'cuda/{module}.ptx'.", nameof(module));

    /// <summary>Expands a text that may include the files <c>cuda/*.inc</c>.</summary>
    public static string Expand(string module, string text) => PtxPreprocessor.Expand(module + ".ptx", text, Resource);

    private static string? Resource(string file)
    {
        using Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(file);
        if (stream is null) return null;
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}
