using System.IO.Enumeration;

namespace TinyZsad.Cli;

/// <summary>Represents a file that a walk found.</summary>
/// <param name="Relative">The path relative to the root of the walk.</param>
/// <param name="Folder">The folder that holds the file, without links.</param>
internal readonly record struct FoundFile(string Relative, string Folder);

/// <summary>
/// Finds the files under a folder that match a pattern. Links to folders are followed, and no folder is entered twice, so links that
/// form a loop end. Folders are entered under their own names first. A name that starts with a dot is found only by a pattern that also
/// starts with a dot. A folder that cannot be read and a link that leads nowhere are problems.
/// </summary>
internal sealed class FolderWalk
{
    /// <summary>The most links that may follow each other, as in Linux.</summary>
    private const int MostLinks = 40;

    private static readonly bool IgnoreCase = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS();

    private readonly string root;
    private readonly string[] pattern;
    private readonly CancellationToken cancellationToken;
    private readonly HashSet<(string Folder, int Part)> entered = [];
    private readonly Queue<(string Relative, int Part)> links = new();
    private readonly List<FoundFile> files = [];
    private readonly SortedSet<string> hidden = new(StringComparer.Ordinal);
    private readonly SortedSet<string> problems = new(StringComparer.Ordinal);

    private FolderWalk(string root, string[] pattern, CancellationToken cancellationToken) =>
        (this.root, this.pattern, this.cancellationToken) = (root, pattern, cancellationToken);

    /// <summary>Gets the files, ordered by their paths.</summary>
    public IReadOnlyList<FoundFile> Files => files;

    /// <summary>Gets the paths of the files and folders that were passed over because their names start with a dot.</summary>
    public IReadOnlyCollection<string> Hidden => hidden;

    /// <summary>Gets a message for each folder that could not be read and each link that leads nowhere.</summary>
    public IReadOnlyCollection<string> Problems => problems;

    /// <summary>Walks through a folder.</summary>
    /// <param name="root">The folder; empty for the current one.</param>
    /// <param name="pattern">
    /// The parts of the pattern: * and ? match within a name, and ** matches any folders. A last ** matches all files.
    /// </param>
    /// <param name="cancellationToken">Cancels the walk between two folders.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static FolderWalk Through(string root, string[] pattern, CancellationToken cancellationToken)
    {
        FolderWalk walk = new(root, pattern[^1] == "**" ? [.. pattern, "*"] : pattern, cancellationToken);
        if (Directory.Exists(walk.PathOf(""))) walk.Enter("", 0, null);
        while (walk.links.TryDequeue(out (string Relative, int Part) link)) walk.Enter(link.Relative, link.Part, null);
        walk.files.Sort((a, b) => string.CompareOrdinal(a.Relative, b.Relative));
        return walk;
    }

    /// <summary>Determines whether a part of a path is a pattern.</summary>
    public static bool IsPattern(string part) => part.AsSpan().IndexOfAny('*', '?') >= 0;

    /// <summary>Returns the full path of a file or folder, without links. It need not exist.</summary>
    /// <exception cref="IOException">A link leads in a circle, or it cannot be read.</exception>
    public static string WithoutLinks(string path) => WithoutLinks(Path.GetFullPath(path), 0);

    private static string WithoutLinks(string path, int followed)
    {
        if (Path.GetDirectoryName(path) is not { } parent) return path;
        string real = Path.Join(WithoutLinks(parent, followed), Path.GetFileName(path));
        if (new DirectoryInfo(real).LinkTarget is not { } target) return real;
        return followed < MostLinks
            ? WithoutLinks(Path.GetFullPath(target, Path.GetDirectoryName(real)!), followed + 1)
            : throw new IOException($"{path}: more than {MostLinks} links follow each other.");
    }

    private string PathOf(string relative) => Path.Join(root, relative) is { Length: > 0 } path ? path : ".";

    /// <param name="relative">The folder, relative to the root.</param>
    /// <param name="part">The part of the pattern that its names are compared with.</param>
    /// <param name="known">The path of the folder without links; null to find it out.</param>
    private void Enter(string relative, int part, string? known)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            string folder = known ?? WithoutLinks(PathOf(relative));
            if (entered.Add((folder, part))) Search(relative, folder, part);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add($"{PathOf(relative)}: the folder cannot be read: {e.Message}");
        }
    }

    private void Search(string relative, string folder, int part)
    {
        string wanted = pattern[part];
        if (wanted == "**")
        {
            List<Entry> folders = List(relative, "*").FindAll(e => e.IsFolder);
            Enter(relative, part + 1, folder);
            EnterAll(relative, folder, folders, part);
        }
        else if (part == pattern.Length - 1)
        {
            foreach (Entry entry in List(relative, wanted))
                if (!entry.IsFolder) files.Add(new FoundFile(Path.Join(relative, entry.Name), folder));
        }
        else if (IsPattern(wanted))
        {
            EnterAll(relative, folder, List(relative, wanted).FindAll(e => e.IsFolder), part + 1);
        }
        else if (Directory.Exists(PathOf(Path.Join(relative, wanted))))
        {
            Enter(Path.Join(relative, wanted), part + 1, null);
        }
    }

    private void EnterAll(string relative, string folder, List<Entry> folders, int part)
    {
        foreach (Entry entry in folders)
        {
            string path = Path.Join(relative, entry.Name);
            if (entry.IsLink) links.Enqueue((path, part));
            else Enter(path, part, Path.Join(folder, entry.Name));
        }
    }

    /// <summary>Lists what a folder holds and a pattern matches, by name.</summary>
    private List<Entry> List(string relative, string wanted)
    {
        // Every name is listed, also of a system file; what may not be read is a problem and not an absence.
        EnumerationOptions options = new() { AttributesToSkip = 0, IgnoreInaccessible = false };
        FileSystemEnumerable<Entry> all = new(PathOf(relative),
            (ref FileSystemEntry e) =>
                new Entry(e.FileName.ToString(), e.IsDirectory, (e.Attributes & FileAttributes.ReparsePoint) != 0), options)
        {
            ShouldIncludePredicate = (ref FileSystemEntry e) => FileSystemName.MatchesSimpleExpression(wanted, e.FileName, IgnoreCase),
        };
        List<Entry> listed = [.. all];
        if (wanted[0] != '.')
        {
            hidden.UnionWith(listed.Where(e => e.Name[0] == '.').Select(e => PathOf(Path.Join(relative, e.Name))));
            listed.RemoveAll(e => e.Name[0] == '.');
        }
        foreach (Entry entry in listed.FindAll(e => e is { IsLink: true, IsFolder: false }))
        {
            string path = PathOf(Path.Join(relative, entry.Name));
            if (LeadsSomewhere(path)) continue;
            problems.Add($"{path}: the link leads nowhere.");
            listed.Remove(entry);
        }
        listed.Sort((a, b) => string.CompareOrdinal(a.Name, b.Name));
        return listed;
    }

    private static bool LeadsSomewhere(string link)
    {
        try
        {
            return new FileInfo(link).ResolveLinkTarget(returnFinalTarget: true) is { Exists: true };
        }
        catch (IOException)
        {
            // The link leads in a circle.
            return false;
        }
    }

    private readonly record struct Entry(string Name, bool IsFolder, bool IsLink);
}
