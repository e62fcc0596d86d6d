using System.Text;

namespace TinyZsad.Cli;

/// <summary>Represents a picture to examine.</summary>
/// <param name="Path">The path, as the user would write it.</param>
/// <param name="Relative">
/// The path relative to the folder or the pattern by which the picture was found. For a picture named directly, it is the file
/// name.
/// </param>
/// <param name="File">The full path whose folder has no links; null for standard input.</param>
/// <param name="IsNamed">Whether the picture itself is named, and not a folder or a pattern.</param>
internal sealed record Picture(string Path, string Relative, string? File, bool IsNamed)
{
    /// <summary>The argument that stands for standard input.</summary>
    public const string Dash = "-";

    /// <summary>Gets the picture that is read from standard input.</summary>
    public static Picture StandardInput { get; } = new(Dash, "stdin", File: null, IsNamed: true);
}

/// <summary>
/// Finds pictures by file, folder, pattern or list. A folder stands for all pictures in it, including subfolders. Patterns are expanded
/// here because not every shell does. Everything that a folder or a pattern contains and that is not examined is told.
/// </summary>
internal sealed class PictureSearch
{
    /// <summary>The most characters of a list of paths.</summary>
    private const int LongestList = 1 << 26;

    /// <summary>The names that a note tells; the others are counted.</summary>
    private const int MostNames = 5;

    private static readonly char[] Separators = [Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar];

    private readonly HashSet<string> extensions;
    private readonly OutputNames? outputs;
    private readonly List<Picture> pictures = [];
    private readonly List<string> problems = [], others = [], hidden = [], saved = [], named = [];
    private readonly HashSet<string> seen = [];
    private readonly CancellationToken cancellationToken;

    private PictureSearch(IEnumerable<string> extensions, OutputNames? outputs, CancellationToken cancellationToken)
    {
        this.extensions = new HashSet<string>(extensions, StringComparer.OrdinalIgnoreCase);
        this.outputs = outputs;
        this.cancellationToken = cancellationToken;
    }

    /// <summary>Gets the pictures, each once, in the order of the arguments; those of one argument are sorted.</summary>
    public IReadOnlyList<Picture> Pictures => pictures;

    /// <summary>Gets a message for each argument without any picture, folder that cannot be read and link that leads nowhere.</summary>
    public IReadOnlyList<string> Problems => problems;

    /// <summary>Finds pictures.</summary>
    /// <param name="arguments">Files, folders and patterns, and a dash for standard input.</param>
    /// <param name="extensions">The extensions of pictures, each with its dot.</param>
    /// <param name="outputs">The names of the files that are saved, which are no pictures to examine; null if none are saved.</param>
    /// <param name="list">
    /// A list of further files and folders; null for none. It has one name a line, or names separated by zero bytes as
    /// <c>find -print0</c> writes them. Names are taken as they are: * and ? are not patterns.
    /// </param>
    /// <param name="listName">The name of the list in messages.</param>
    /// <param name="cancellationToken">Cancels the search.</param>
    /// <exception cref="UsageException">The list is too long.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static PictureSearch Find(IEnumerable<string> arguments, IEnumerable<string> extensions, OutputNames? outputs = null,
        Stream? list = null, string listName = "the list", CancellationToken cancellationToken = default)
    {
        PictureSearch search = new(extensions, outputs, cancellationToken);
        foreach (string argument in arguments)
        {
            if (argument == Picture.Dash) search.Add(Picture.StandardInput);
            else if (!search.AddExisting(argument)) search.AddPattern(argument);
        }
        if (list is not null) search.AddList(list, listName);
        search.DropOutputs();
        return search;
    }

    /// <summary>Gets a note for each kind of file that folders and patterns contain and that is not examined.</summary>
    public IEnumerable<string> Notes()
    {
        if (others.Count > 0)
            yield return $"{Counted(others.Count, "file is no picture that is", "files are no pictures that are")} read: {Names(others)}";
        if (hidden.Count > 0)
            yield return $"{Counted(hidden.Count, "hidden name", "hidden names")} passed over: {Names(hidden)}";
        if (saved.Count > 0)
        {
            yield return $"{Counted(saved.Count, "file that --out saves", "files that --out saves")} for these pictures passed over: "
                + Names(saved);
        }
        if (named.Count > 0)
        {
            yield return $"{Counted(named.Count, "picture has the name of a file", "pictures have the names of files")} that --out saves "
                + $"for the others, and {(named.Count == 1 ? "is examined because it is named" : "are examined because they are named")}: "
                + Names(named);
        }
    }

    private static string Counted(int count, string one, string many) => $"{Units.Count(count)} {(count == 1 ? one : many)}";

    private static string Names(List<string> paths) => string.Join(", ", paths.Take(MostNames))
        + (paths.Count > MostNames ? $" and {Units.Count(paths.Count - MostNames)} more" : "");

    private static string ReadList(Stream list, string name)
    {
        using StreamReader reader = new(list, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true);
        StringBuilder text = new();
        char[] part = new char[1 << 14];
        for (int read; (read = reader.Read(part)) > 0; text.Append(part, 0, read))
        {
            if (text.Length + read > LongestList)
                throw new UsageException($"{name}: the list has more than {Units.Count(LongestList)} characters.");
        }
        return text.ToString();
    }

    private void AddList(Stream list, string name)
    {
        string text = ReadList(list, name);
        bool zeros = text.Contains('\0'), empty = true;
        string[] names = text.Split(zeros ? '\0' : '\n');
        for (int i = 0; i < names.Length; i++)
        {
            string path = zeros ? names[i] : names[i].TrimEnd('\r');
            if (path.Length == 0) continue;
            empty = false;
            if (AddExisting(path)) continue;
            string place = $"{name}, {(zeros ? "name" : "line")} {i + 1}";
            problems.Add($"{place}: there is no file or folder {path}, or it may not be read.");
        }
        if (empty) problems.Add($"{name}: the list is empty.");
    }

    private bool AddExisting(string path)
    {
        if (Directory.Exists(path)) AddFound(path, ["**", "*"], $"{path}: the folder holds no picture ({string.Join(' ', extensions)}).");
        else if (File.Exists(path)) Add(new Picture(path, Path.GetFileName(path), WithoutLinks(path), IsNamed: true));
        else return false;
        return true;
    }

    /// <summary>Returns the path of a file whose folder has no links. A link to the file itself is a name of its own.</summary>
    private static string WithoutLinks(string path)
    {
        string full = Path.GetFullPath(path);
        return Path.Join(FolderWalk.WithoutLinks(Path.GetDirectoryName(full)!), Path.GetFileName(full));
    }

    private void AddPattern(string argument)
    {
        if (!FolderWalk.IsPattern(argument))
        {
            problems.Add($"{argument}: there is no such file or folder, or it may not be read.");
            return;
        }
        string[] parts = argument.Split(Separators);
        int first = Array.FindIndex(parts, FolderWalk.IsPattern);
        string root = argument[..parts.Take(first).Sum(p => p.Length + 1)];
        AddFound(root, [.. parts.Skip(first).Where(p => p.Length > 0)], $"{argument}: no picture matches.");
    }

    private void AddFound(string root, string[] pattern, string otherwise)
    {
        FolderWalk walk = FolderWalk.Through(root, pattern, cancellationToken);
        problems.AddRange(walk.Problems);
        hidden.AddRange(walk.Hidden);

        // A pattern without an extension matches only pictures.
        bool any = pattern[^1].Contains('.');
        int count = 0;
        foreach ((string relative, string folder) in walk.Files)
        {
            string path = Path.Join(root, relative);
            if (!any && !extensions.Contains(Path.GetExtension(relative)))
            {
                others.Add(path);
                continue;
            }
            count++;
            Add(new Picture(path, relative, Path.Join(folder, Path.GetFileName(relative)), IsNamed: false));
        }
        if (count == 0 && walk.Problems.Count == 0) problems.Add(otherwise);
    }

    private void Add(Picture picture)
    {
        if (seen.Add(picture.File ?? Picture.Dash)) pictures.Add(picture);
    }

    /// <summary>Removes what <c>--out</c> saves for other pictures of the search, unless it is named.</summary>
    private void DropOutputs()
    {
        if (outputs is null) return;
        HashSet<Picture> dropped = outputs.FindOutputs(pictures);
        saved.AddRange(pictures.Where(p => dropped.Contains(p) && !p.IsNamed).Select(p => p.Path));
        named.AddRange(pictures.Where(p => dropped.Contains(p) && p.IsNamed).Select(p => p.Path));
        pictures.RemoveAll(p => dropped.Contains(p) && !p.IsNamed);
    }
}
