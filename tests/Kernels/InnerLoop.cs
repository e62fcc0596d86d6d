using System.Text.RegularExpressions;
using NUnit.Framework;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// The instructions of a loop, as the JIT compiler lists them (DOTNET_JitDisasm), from its first one to the jump back. A change of the
/// compiler, or a small one of the source, can bring moves and spills into a loop that has none, at a third of its speed.
/// </summary>
internal sealed partial class InnerLoop
{
    private readonly string[] instructions;

    private InnerLoop(string[] instructions) => this.instructions = instructions;

    /// <summary>The setting of the runtime for the methods to list, and the one for the file to list them in.</summary>
    public const string Methods = "DOTNET_JitDisasm", File = "DOTNET_JitStdOutFile";

    /// <summary>Finds the innermost loop of a method that has most instructions of a kind.</summary>
    /// <param name="listing">What the compiler lists.</param>
    /// <param name="method">The method, as in <c>Tile6[</c>.</param>
    /// <param name="kind">The beginning of the mnemonic of the instructions.</param>
    public static InnerLoop Of(string listing, string method, string kind)
    {
        string[] methods = listing.Split("; Assembly listing for method ");
        string[] found = [.. methods.Where(m => m.Split('\n')[0].Contains($":{method}", StringComparison.Ordinal))];
        Assert.That(found, Is.Not.Empty, $"{method} is not in the listing");
        InnerLoop? loop = LoopsOf(found[^1]).Where(l => l.Jumps == 1).MaxBy(l => l.Count(kind));
        Assert.That(loop, Is.Not.Null, $"{method} has no loop with one jump");
        return loop!;
    }

    private static IEnumerable<InnerLoop> LoopsOf(string method)
    {
        Dictionary<string, int> labels = [];
        List<string> lines = [];
        foreach (string line in method.Split('\n').Select(l => l.Split(';')[0].Trim()).Where(l => l.Length > 0))
        {
            if (Label().Match(line) is { Success: true } label) labels[label.Groups[1].Value] = lines.Count;
            else if (!line.StartsWith("align", StringComparison.Ordinal)) lines.Add(line);
        }

        for (int i = 0; i < lines.Count; i++)
        {
            if (Jump().Match(lines[i]) is { Success: true } jump && labels.TryGetValue(jump.Groups[1].Value, out int start) && start <= i)
                yield return new InnerLoop([.. lines[start..(i + 1)]]);
        }
    }

    private int Jumps => instructions.Count(i => Jump().IsMatch(i));

    /// <summary>Counts the instructions whose mnemonics begin with a text.</summary>
    public int Count(string mnemonic) => instructions.Count(i => i.StartsWith(mnemonic, StringComparison.Ordinal));

    /// <summary>Gets the moves from one vector register to another.</summary>
    public IEnumerable<string> Moves => instructions.Where(i => Move().IsMatch(i));

    /// <summary>Gets the instructions that access the stack: spilled registers.</summary>
    public IEnumerable<string> Spills => instructions.Where(i => Spill().IsMatch(i));

    public override string ToString() => string.Join('\n', instructions);

    [GeneratedRegex(@"^(G_M\w+):")]
    private static partial Regex Label();

    [GeneratedRegex(@"^(?:j\w+|b|b\w\w|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s+(?:SHORT )?(G_M\w+)$")]
    private static partial Regex Jump();

    [GeneratedRegex(@"^v?mov\w+\s+[xyz]mm\d+, [xyz]mm\d+$|^mov\s+v\d+\S*, v\d+\S*$")]
    private static partial Regex Move();

    [GeneratedRegex(@"\[(?:r[bs]p|fp|sp)\b")]
    private static partial Regex Spill();
}
