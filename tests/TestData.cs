namespace TinyZsad.Tests;

/// <summary>Finds the files under tests/reference.</summary>
internal static class TestData
{
    private static readonly string Root = FindRoot();

    public static string Path(params string[] parts) => System.IO.Path.Combine([Root, .. parts]);

    /// <summary>The safetensors files of the reference cases, written by refgen.py.</summary>
    public static IEnumerable<string> Safetensors() =>
        Directory.EnumerateFiles(Root, "*.safetensors", SearchOption.AllDirectories).Order();

    private static string FindRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "TinyZsad.sln")))
            folder = folder.Parent;
        if (folder is null)
            throw new DirectoryNotFoundException($"No TinyZsad.sln above {AppContext.BaseDirectory}.");
        return System.IO.Path.Combine(folder.FullName, "tests", "reference");
    }
}
