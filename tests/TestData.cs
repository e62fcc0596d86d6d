namespace TinyZsad.Tests;

/// <summary>Finds the files under tests/reference.</summary>
internal static class TestData
{
    /// <summary>The folder that holds the solution.</summary>
    public static string RepositoryRoot { get; } = FindRoot();

    private static readonly string Root = System.IO.Path.Combine(RepositoryRoot, "tests", "reference");

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
        return folder.FullName;
    }
}
