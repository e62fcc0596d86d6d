namespace TinyZsad.Fuzz;

/// <summary>Folders for parsers that ask for files; gone when the process ends well.</summary>
internal static class Scratch
{
    private static readonly string Root = Directory.CreateTempSubdirectory("tinyzsad-fuzz-").FullName;

    static Scratch() => AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(Root, recursive: true);

    /// <summary>Writes a file anew. (One that is cut to length 0 instead is waited for by some file systems.)</summary>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        File.Delete(path);
        File.WriteAllBytes(path, bytes);
    }

    public static string Folder(string name) => Directory.CreateDirectory(Path.Combine(Root, name)).FullName;
}
