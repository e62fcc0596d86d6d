using System.Text;
using System.Text.RegularExpressions;

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
internal sealed partial class OutputNames
{
    /// <summary>The most bytes of a file's name in UTF-8 that every common file system takes.</summary>
    private const int LongestName = 255;

    private static readonly (Artefact Kind, string Suffix)[] Suffixes =
        [(Artefact.Overlay, ".overlay.png"), (Artefact.Map, ".map.png"), (Artefact.Mask, ".mask.png"), (Artefact.Raw, ".npy")];

    private static readonly int LongestSuffix = Suffixes.Max(s => s.Suffix.Length);

    private readonly HashSet<string> taken = new(Comparer);
    private readonly Lazy<string> realFolder;

    /// <summary>Initializes the names.</summary>
    /// <param name="folder">The folder for the saved files.</param>
    public OutputNames(string folder)
    {
        Folder = folder;
        realFolder = new Lazy<string>(() => FolderWalk.WithoutLinks(folder));
    }

    /// <summary>Gets the comparer of names. It ignores case, because the file system may.</summary>
    public static StringComparer Comparer => StringComparer.OrdinalIgnoreCase;

    /// <summary>Gets the folder for the saved files.</summary>
    public string Folder { get; }

    /// <summary>Gets the start of the names of all files of a picture, relative to the folder, before a number is appended.</summary>
    public static string StemOf(Picture picture) => Cut(Path.ChangeExtension(Inside(picture.Relative), null), LongestName - LongestSuffix);

    /// <summary>Gets the common start of the names of all saved files of a picture.</summary>
    public static string Stem(string saved) =>
        saved[..^Suffixes.First(s => saved.EndsWith(s.Suffix, StringComparison.Ordinal)).Suffix.Length];

    /// <summary>Determines whether a file has a name that is assigned to a file of one of the pictures.</summary>
    /// <param name="path">The full path of the file, without links.</param>
    /// <param name="stems">The stems of the pictures, compared with <see cref="Comparer"/>.</param>
    public bool IsOutput(string path, HashSet<string> stems)
    {
        string suffix = Suffixes.FirstOrDefault(s => path.EndsWith(s.Suffix, StringComparison.OrdinalIgnoreCase)).Suffix ?? "";
        if (suffix.Length == 0) return false;
        string stem = Path.GetRelativePath(realFolder.Value, path)[..^suffix.Length];
        return stems.Contains(stem) || (Number().Match(stem) is { Success: true } number && stems.Contains(stem[..number.Index]));
    }

    /// <summary>Reserves the names of all pictures, which must not be overwritten.</summary>
    public void Reserve(IEnumerable<Picture> pictures) => taken.UnionWith(pictures.Select(p => Path.GetFullPath(p.Path)));

    /// <summary>Assigns the file names of the next picture.</summary>
    public Func<Artefact, string> Next(Picture picture)
    {
        string stem = Path.Join(Folder, StemOf(picture)), free = stem;
        for (int n = 2; !Suffixes.All(s => !taken.Contains(Path.GetFullPath(free + s.Suffix))); n++)
            free = $"{Cut(stem, LongestName - LongestSuffix - $"-{n}".Length)}-{n}";
        taken.UnionWith(Suffixes.Select(s => Path.GetFullPath(free + s.Suffix)));
        return kind => free + Suffixes.First(s => s.Kind == kind).Suffix;
    }

    [GeneratedRegex("-[2-9][0-9]*$|-1[0-9]+$")]
    private static partial Regex Number();

    /// <summary>Removes "." and "..", which a pattern may contain after its first wildcard.</summary>
    private static string Inside(string relative) =>
        Path.Join([.. relative.Split(Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar)
            .Where(p => p is not (".." or "."))]);

    /// <summary>Shortens the last name of a path to a number of bytes in UTF-8.</summary>
    private static string Cut(string path, int mostBytes)
    {
        string name = Path.GetFileName(path);
        if (Encoding.UTF8.GetByteCount(name) <= mostBytes) return path;
        int length = 0, bytes = 0;
        foreach (Rune rune in name.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > mostBytes) break;
            length += rune.Utf16SequenceLength;
        }
        return path[..^(name.Length - length)];
    }
}
