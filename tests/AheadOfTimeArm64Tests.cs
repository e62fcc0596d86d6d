using System.Globalization;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace TinyZsad.Tests;

/// <summary>Compiles the tool ahead of time for linux-arm64, on x64, runs it under QEMU, and reads its machine code.</summary>
[TestFixture, NonParallelizable]
public sealed class AheadOfTimeArm64Tests
{
    private const string Runtime = "linux-arm64", ObjDump = "aarch64-linux-gnu-objdump";

    private NativeTool tool = null!;

    [OneTimeSetUp]
    public void PublishTheTool() => tool = NativeTool.Publish(Runtime, Path.Combine(NativeTool.Artifacts(Runtime), "tool"),
        [.. Arm64.Needed, .. Arm64.NeededToLink], "ObjCopyName=aarch64-linux-gnu-objcopy");

    [Test]
    public void TheToolIsOneFileWithoutWarnings() => tool.IsOneFileWithoutWarnings(machine: 183);

    [Test]
    public void ItNamesItsVersion() => Assert.That(Run("--version").Success(), Does.Match(@"^\d+\.\d+\.\d+"));

    [Test]
    public void ItVerifiesACase() => Run("verify", TestData.Path("lizad", "tiny")).Success();

    [Test]
    public void ScoresAreThoseOfX64ToFourDigits() => Arm64.ScoresAreThoseOfX64(Run);

    [Test]
    public void TheWidthIsNamed() => Arm64.TheWidthIsNamed(Run);

    /// <summary>
    /// Two steps of k, each with 24 multiply-adds into sums that remain in their registers. The compiler must not move them, save them
    /// to memory, or jump in between.
    /// </summary>
    [Test]
    public void TheInnermostLoopOfAMatmulOnlyMultipliesAndLoads()
    {
        Instruction[][] loops = [.. InnermostLoops(Disassemble("Tile12<")).Where(l => l.Any(i => i.Name == "fmla"))];
        Assert.That(loops, Has.Length.EqualTo(1));
        Instruction[] loop = loops[0];
        string text = string.Join<Instruction>('\n', loop);
        Instruction[] products = [.. loop.Where(i => i.Name == "fmla")];
        Assert.That(products, Has.Length.EqualTo(48), text);
        Assert.That(products.Select(i => i.Operands), Has.All.Matches(@"^v\d+\.4s, v\d+\.4s, v\d+\.(4s|s\[[0-3]\])$"), text);
        Assert.That(products.Select(i => i.Operands.Split('.')[0]).Distinct().Count(), Is.EqualTo(24), text);

        Assert.That(loop.Where(i => Regex.IsMatch(i.Name, "^f?mov$") && i.Operands.StartsWith('v')), Is.Empty, "moves between registers");
        Assert.That(loop.Where(i => i.Name.StartsWith("st", StringComparison.Ordinal)), Is.Empty, "stores");
        Assert.That(loop.Where(i => Regex.IsMatch(i.Operands, @"\b(sp|x29)\b")), Is.Empty, "uses of the stack");
    }

    /// <summary>Represents an instruction. The operand of a jump is its target's address.</summary>
    private sealed record Instruction(long Address, string Name, string Operands)
    {
        public override string ToString() => $"{Address:x} {Name} {Operands}";
    }

    /// <summary>Gets the code of the only method whose name contains a text.</summary>
    private Instruction[] Disassemble(string name)
    {
        // The tool has no symbols. The compiler has written them beside its own copy of the tool.
        string output = Path.Combine(NativeTool.Artifacts(Runtime), "bin", "TinyZsad.Cli", $"release_{Runtime}");
        string symbols = Path.Combine(output, "native", "TinyZsad.Cli.dbg");
        MatchCollection found = Regex.Matches(Programs.Run(ObjDump, "--syms", symbols).Success(),
            @"^(?<start>[0-9a-f]{16}) .* F __managedcode\t(?<size>[0-9a-f]{16}) .*" + Regex.Escape(name), RegexOptions.Multiline);
        Assert.That(found, Has.Count.EqualTo(1), name);
        long start = Hex(found[0].Groups["start"].Value), end = start + Hex(found[0].Groups["size"].Value);
        string listing = Programs.Run(ObjDump, "--disassemble", "--no-show-raw-insn", $"--start-address={start}", $"--stop-address={end}",
            tool.File).Success();
        return [.. Regex.Matches(listing, @"^ +(?<at>[0-9a-f]+):\t(?<name>\S+)(\t(?<operands>[^\n]*?))?( <[^\n]*| *\t?//[^\n]*)?$",
            RegexOptions.Multiline).Select(m => m.Groups)
            .Select(g => new Instruction(Hex(g["at"].Value), g["name"].Value, g["operands"].Value))];
    }

    /// <summary>Gets the loops without another jump inside, from the target of the jump at the end to that jump.</summary>
    private static IEnumerable<Instruction[]> InnermostLoops(Instruction[] code)
    {
        int from = 0;
        for (int i = 0; i < code.Length; i++)
        {
            if (!IsJump(code[i])) continue;
            if (long.TryParse(code[i].Operands.Split(", ")[^1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out long target)
                && target >= code[from].Address && target <= code[i].Address)
            {
                yield return [.. code[from..(i + 1)].Where(c => c.Address >= target)];
            }
            from = i + 1;
        }
    }

    private static bool IsJump(Instruction i) => Regex.IsMatch(i.Name, @"^(b|b\..+|br|bl|blr|cbn?z|tbn?z|ret)$");

    private static long Hex(string digits) => long.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private Programs.Result Run(params string[] line) => Arm64.Run(tool.File, line);
}
