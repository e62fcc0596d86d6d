namespace TinyZsad.Cli;

/// <summary>What can be saved of a picture.</summary>
internal enum Artefact
{
    Overlay,
    Map,
    Mask,
    Raw,
}

/// <summary>
/// Names for the files that are saved: those of the pictures, in folders as the pictures were found in. Two pictures never share
/// one, and none is that of a picture itself; a number is added where it would be.
/// </summary>
internal sealed class OutputNames
{
    private static readonly (Artefact Kind, string Suffix)[] Suffixes =
        [(Artefact.Overlay, ".overlay.png"), (Artefact.Map, ".map.png"), (Artefact.Mask, ".mask.png"), (Artefact.Raw, ".npy")];

    private readonly string folder;

    // Without regard to case, as a file system may not have any.
    private readonly HashSet<string> taken = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Starts naming.</summary>
    /// <param name="folder">Where files are saved.</param>
    /// <param name="pictures">All pictures, which must stay as they are.</param>
    public OutputNames(string folder, IEnumerable<Picture> pictures)
    {
        this.folder = folder;
        taken.UnionWith(pictures.Select(p => Path.GetFullPath(p.Path)));
    }

    /// <summary>Whether a file is one that an earlier run may have saved in a folder.</summary>
    public static bool IsOutput(string folder, string fullPath) =>
        fullPath.StartsWith(Path.GetFullPath(folder), StringComparison.Ordinal)
        && Suffixes.Any(s => fullPath.EndsWith(s.Suffix, StringComparison.OrdinalIgnoreCase));

    /// <summary>What the names of all files of a picture begin with.</summary>
    public static string Stem(string saved) =>
        saved[..^Suffixes.First(s => saved.EndsWith(s.Suffix, StringComparison.Ordinal)).Suffix.Length];

    /// <summary>Names the files of the next picture.</summary>
    public Func<Artefact, string> Next(Picture picture)
    {
        string stem = Path.Join(folder, Path.ChangeExtension(Inside(picture.Relative), null));
        string free = stem;
        for (int n = 2; !Suffixes.All(s => !taken.Contains(Path.GetFullPath(free + s.Suffix))); n++) free = $"{stem}-{n}";
        taken.UnionWith(Suffixes.Select(s => Path.GetFullPath(free + s.Suffix)));
        return kind => free + Suffixes.First(s => s.Kind == kind).Suffix;
    }

    /// <summary>Without the steps upwards that a pattern may hold after its first star.</summary>
    private static string Inside(string relative) =>
        Path.Join([.. relative.Split(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar)
            .Where(p => p is not (".." or "."))]);
}
