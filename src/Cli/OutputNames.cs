namespace TinyZsad.Cli;

/// <summary>Specifies a file that can be saved for a picture.</summary>
internal enum Artefact
{
    Overlay,
    Map,
    Mask,
    Raw,
}

/// <summary>
/// Assigns names to the saved files. They are the names of the pictures, in the same subfolders in which the pictures were found.
/// No two pictures get the same name, and no name is that of a picture. A number is appended to avoid conflicts.
/// </summary>
internal sealed class OutputNames
{
    private static readonly (Artefact Kind, string Suffix)[] Suffixes =
        [(Artefact.Overlay, ".overlay.png"), (Artefact.Map, ".map.png"), (Artefact.Mask, ".mask.png"), (Artefact.Raw, ".npy")];

    private readonly string folder;

    // The comparison ignores case, because the file system may.
    private readonly HashSet<string> taken = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Initializes the names.</summary>
    /// <param name="folder">The folder for the saved files.</param>
    /// <param name="pictures">All pictures. They must not be overwritten.</param>
    public OutputNames(string folder, IEnumerable<Picture> pictures)
    {
        this.folder = folder;
        taken.UnionWith(pictures.Select(p => Path.GetFullPath(p.Path)));
    }

    /// <summary>Determines whether a file may have been saved in a folder by an earlier run.</summary>
    public static bool IsOutput(string folder, string fullPath) =>
        fullPath.StartsWith(Path.GetFullPath(folder), StringComparison.Ordinal)
        && Suffixes.Any(s => fullPath.EndsWith(s.Suffix, StringComparison.OrdinalIgnoreCase));

    /// <summary>Gets the common start of the names of all files of a picture.</summary>
    public static string Stem(string saved) =>
        saved[..^Suffixes.First(s => saved.EndsWith(s.Suffix, StringComparison.Ordinal)).Suffix.Length];

    /// <summary>Assigns the file names of the next picture.</summary>
    public Func<Artefact, string> Next(Picture picture)
    {
        string stem = Path.Join(folder, Path.ChangeExtension(Inside(picture.Relative), null));
        string free = stem;
        for (int n = 2; !Suffixes.All(s => !taken.Contains(Path.GetFullPath(free + s.Suffix))); n++) free = $"{stem}-{n}";
        taken.UnionWith(Suffixes.Select(s => Path.GetFullPath(free + s.Suffix)));
        return kind => free + Suffixes.First(s => s.Kind == kind).Suffix;
    }

    /// <summary>Removes "." and "..", which a pattern may contain after its first wildcard.</summary>
    private static string Inside(string relative) =>
        Path.Join([.. relative.Split(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar)
            .Where(p => p is not (".." or "."))]);
}
