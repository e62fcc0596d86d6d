using System.Globalization;
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

    private const StringComparison SameCase = StringComparison.OrdinalIgnoreCase;

    private static readonly int LongestSuffix = Suffixes.Max(s => s.Suffix.Length);

    // Case is ignored, because the file system may ignore it.
    private static readonly StringComparer Comparer = StringComparer.OrdinalIgnoreCase;

    private readonly HashSet<string> taken = new(Comparer);
    private readonly Lazy<string> realFolder;

    /// <summary>Initializes the names.</summary>
    /// <param name="folder">The folder for the saved files.</param>
    public OutputNames(string folder)
    {
        Folder = folder;
        realFolder = new Lazy<string>(() => FolderWalk.WithoutLinks(folder));
    }

    /// <summary>Gets the folder for the saved files.</summary>
    public string Folder { get; }

    /// <summary>Gets the common start of the names of all saved files of a picture.</summary>
    public static string Stem(string saved) =>
        saved[..^Suffixes.First(s => saved.EndsWith(s.Suffix, StringComparison.Ordinal)).Suffix.Length];

    /// <summary>Finds the pictures that have the names of files that are saved for other pictures.</summary>
    public HashSet<Picture> FindOutputs(IReadOnlyList<Picture> pictures)
    {
        // The stems with and without the space that a number takes, by its length.
        Dictionary<int, ILookup<string, Picture>> stems = [];
        HashSet<Picture> outputs = [];
        foreach (Picture picture in pictures)
        {
            if (picture.File is not { } file || Suffixes.FirstOrDefault(s => file.EndsWith(s.Suffix, SameCase)).Suffix is not { } suffix)
                continue;
            string stem = Path.GetRelativePath(realFolder.Value, file)[..^suffix.Length];
            Match number = Number().Match(stem);
            if (IsOfAnother(stem, 0) || (number.Success && IsOfAnother(stem[..number.Index], number.Length))) outputs.Add(picture);

            bool IsOfAnother(string start, int numberLength)
            {
                if (!stems.TryGetValue(numberLength, out ILookup<string, Picture>? all))
                    stems.Add(numberLength, all = pictures.ToLookup(p => StemOf(p, numberLength), Comparer));
                return all[start].Any(p => p != picture);
            }
        }
        return outputs;
    }

    /// <summary>Reserves the names of all pictures, which must not be overwritten.</summary>
    public void Reserve(IEnumerable<Picture> pictures) => taken.UnionWith(pictures.Select(p => p.File).OfType<string>());

    /// <summary>Assigns the file names of the next picture.</summary>
    public Func<Artefact, string> Next(Picture picture)
    {
        string stem = StemOf(picture, 0);
        for (int n = 2; Suffixes.Any(s => taken.Contains(WithoutLinks(stem + s.Suffix))); n++)
        {
            string number = string.Create(CultureInfo.InvariantCulture, $"-{n}");
            stem = StemOf(picture, number.Length) + number;
        }
        taken.UnionWith(Suffixes.Select(s => WithoutLinks(stem + s.Suffix)));
        return kind => Path.Join(Folder, stem + Suffixes.First(s => s.Kind == kind).Suffix);
    }

    /// <summary>Gets the start of the names of all files of a picture, relative to the folder.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="numberLength">The characters of the number that is appended to it; 0 for none.</param>
    private static string StemOf(Picture picture, int numberLength) =>
        Cut(Path.ChangeExtension(Inside(picture.Relative), null), LongestName - LongestSuffix - numberLength);

    private string WithoutLinks(string name) => Path.GetDirectoryName(name) is { Length: > 0 } inside
        ? Path.Join(FolderWalk.WithoutLinks(Path.Join(Folder, inside)), Path.GetFileName(name))
        : Path.Join(realFolder.Value, name);

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
