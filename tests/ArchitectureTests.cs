using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>The drawing in docs/architecture.md, the projects' references and what the compiled assemblies use are the same.</summary>
[TestFixture]
public sealed partial class ArchitectureTests
{
    private static readonly string Root = TestData.RepositoryRoot;

    /// <summary>The rooms, each with what its project references.</summary>
    private static readonly Dictionary<string, string[]> Projects = Directory.GetDirectories(Path.Combine(Root, "src"))
        .Select(folder => Directory.GetFiles(folder, "*.csproj").Single())
        .ToDictionary(project => Path.GetFileName(Path.GetDirectoryName(project))!, project => XDocument.Load(project)
            .Descendants("ProjectReference").Select(r => r.Attribute("Include")!.Value.Split('/')[^2]).Order().ToArray());

    /// <summary>The rooms in the drawing's table, each with what it may use, in the table's order.</summary>
    private static readonly List<(string Room, string[] Uses)> Drawn =
        [.. File.ReadLines(Path.Combine(Root, "docs", "architecture.md")).Select(l => Row().Match(l)).Where(m => m.Success)
            .Select(m => (m.Groups[1].Value, m.Groups[2].Value.Trim() is "nothing" ? []
                : m.Groups[2].Value.Split(',', StringSplitOptions.TrimEntries).Order().ToArray()))];

    [GeneratedRegex(@"^\| `src/([\w.]+)` \|[^|]*\|([^|]*)\|$")]
    private static partial Regex Row();

    public static IEnumerable<string> Rooms => Projects.Keys;

    [Test]
    public void TheDrawingHasEveryRoom() =>
        Assert.That(Drawn.Select(d => d.Room), Is.EquivalentTo(Projects.Keys));

    [TestCaseSource(nameof(Rooms))]
    public void TheDrawingShowsWhatARoomReferences(string room) =>
        Assert.That(Drawn.Single(d => d.Room == room).Uses, Is.EqualTo(Projects[room]));

    [TestCaseSource(nameof(Rooms))]
    public void ARoomReferencesWhatItUses(string room)
    {
        Assembly assembly = Assembly.Load(NameOf(room));
        string[] used = [.. assembly.GetReferencedAssemblies().Select(a => a.Name!).Where(n => n.StartsWith("TinyZsad"))
            .Order()];
        // What a room throws by way of others it names in its documentation alone.
        string documentation = Path.ChangeExtension(assembly.Location, ".xml");
        string words = File.Exists(documentation) ? File.ReadAllText(documentation) : "";
        string[] named = [.. Projects[room].Select(NameOf).Except(used)
            .Where(n => Assembly.Load(n).GetExportedTypes().Any(t => words.Contains($"\"T:{t.FullName}\"")))];
        Assert.That(used.Concat(named).Order(), Is.EqualTo(Projects[room].Select(NameOf).Order()));
    }

    [Test]
    public void ArrowsOnlyPointUpTheTable()
    {
        List<string> order = [.. Drawn.Select(d => d.Room)];
        foreach ((string room, string[] uses) in Drawn)
        {
            foreach (string used in uses)
                Assert.That(order.IndexOf(used), Is.LessThan(order.IndexOf(room)), $"{room} uses {used}");
        }
    }

    private static string NameOf(string room) => room == "TinyZsad" ? room : $"TinyZsad.{room}";
}
