using System.IO.Enumeration;

namespace TinyZsad.Cli;

/// <summary>Represents a picture to examine.</summary>
/// <param name="Path">The path, as the user would write it.</param>
/// <param name="Relative">
/// The path relative to the folder or the pattern by which the picture was found. For a picture named directly, it is the file
/// name.
/// </param>
internal sealed record Picture(string Path, string Relative);

/// <summary>
/// Finds pictures by file, folder or pattern. A folder stands for all pictures in it, including subfolders. In a pattern, * and ?
/// match within a name, and ** matches any folders. Patterns are expanded here because not every shell does. A name that starts
/// with a dot is found only by a pattern that also starts with a dot. Links to folders are not followed.
/// </summary>
internal sealed class PictureSearch
{
    private static readonly HashSet<string> Extensions = new(StringComparer.OrdinalIgnoreCase)
    {
        ".png", ".bmp", ".pbm", ".pgm", ".ppm", ".pnm", ".pam", ".jpg", ".jpeg",
    };

    private static readonly char[] Separators = [Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar];
    private static readonly bool IgnoreCase = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS();

    private readonly List<Picture> pictures = [];
    private readonly List<string> problems = [];
    private readonly HashSet<string> seen = [];
    private readonly Func<string, bool> skip;

    private PictureSearch(Func<string, bool> skip) => this.skip = skip;

    /// <summary>
    /// Finds the pictures that the arguments name. Each picture is returned once; the pictures of one argument are sorted.
    /// </summary>
    /// <param name="arguments">Files, folders and patterns.</param>
    /// <param name="skip">Determines by full path which files folders and patterns do not include.</param>
    /// <returns>The pictures, and a message for each argument without any picture.</returns>
    public static (IReadOnlyList<Picture> Pictures, IReadOnlyList<string> Problems) Find(
        IEnumerable<string> arguments, Func<string, bool>? skip = null)
    {
        PictureSearch search = new(skip ?? (_ => false));
        foreach (string argument in arguments) search.Add(argument);
        return (search.pictures, search.problems);
    }

    private void Add(string argument)
    {
        if (File.Exists(argument))
        {
            Add(new Picture(argument, Path.GetFileName(argument)));
        }
        else if (Directory.Exists(argument))
        {
            AddFound(argument, ["**", "*"], $"{argument}: the folder holds no picture ({string.Join(' ', Extensions)}).");
        }
        else if (argument.AsSpan().IndexOfAny('*', '?') >= 0)
        {
            string[] parts = argument.Split(Separators);
            int first = Array.FindIndex(parts, IsPattern);
            string root = argument[..parts.Take(first).Sum(p => p.Length + 1)];
            AddFound(root, [.. parts.Skip(first).Where(p => p.Length > 0)], $"{argument}: no picture matches.");
        }
        else
        {
            problems.Add($"{argument}: there is no such file or folder.");
        }
    }

    private void AddFound(string root, string[] pattern, string otherwise)
    {
        List<string> found = [];
        Walk(root, "", pattern, found);
        found.Sort(StringComparer.Ordinal);
        if (found.Count == 0) problems.Add(otherwise);
        foreach (string relative in found) Add(new Picture(Path.Join(root, relative), relative));
    }

    private void Add(Picture picture)
    {
        if (seen.Add(Path.GetFullPath(picture.Path))) pictures.Add(picture);
    }

    private void Walk(string root, string relative, ReadOnlySpan<string> pattern, List<string> found)
    {
        string folder = Path.Join(root, relative), part = pattern[0];
        ReadOnlySpan<string> rest = pattern[1..];
        if (part == "**")
        {
            // A trailing ** stands for all files.
            Walk(root, relative, rest.IsEmpty ? ["*"] : rest, found);
            foreach (string name in Folders(folder, "*")) Walk(root, Path.Join(relative, name), pattern, found);
        }
        else if (!rest.IsEmpty)
        {
            string[] folders = IsPattern(part) ? Folders(folder, part) : Directory.Exists(Path.Join(folder, part)) ? [part] : [];
            foreach (string name in folders) Walk(root, Path.Join(relative, name), rest, found);
        }
        else
        {
            // A pattern without an extension matches only pictures.
            bool any = part.Contains('.');
            foreach (string name in Names(folder, part, e => !e.IsDirectory))
            {
                if ((any || Extensions.Contains(Path.GetExtension(name))) && !skip(Path.GetFullPath(Path.Join(folder, name))))
                    found.Add(Path.Join(relative, name));
            }
        }
    }

    private static bool IsPattern(string part) => part.AsSpan().IndexOfAny('*', '?') >= 0;

    private static string[] Folders(string folder, string pattern) =>
        Names(folder, pattern, e => e.IsDirectory && (e.Attributes & FileAttributes.ReparsePoint) == 0);

    private static string[] Names(string folder, string pattern, Func<Entry, bool> wanted)
    {
        if (folder.Length == 0) folder = ".";
        if (!Directory.Exists(folder)) return [];
        EnumerationOptions options = new() { AttributesToSkip = 0, IgnoreInaccessible = true };
        FileSystemEnumerable<Entry> entries =
            new(folder, (ref FileSystemEntry e) => new Entry(e.FileName.ToString(), e.IsDirectory, e.Attributes), options)
            {
                ShouldIncludePredicate = (ref FileSystemEntry e) => (e.FileName[0] != '.' || pattern[0] == '.')
                    && FileSystemName.MatchesSimpleExpression(pattern, e.FileName, IgnoreCase),
            };
        return [.. entries.Where(wanted).Select(e => e.Name)];
    }

    private sealed record Entry(string Name, bool IsDirectory, FileAttributes Attributes);
}
