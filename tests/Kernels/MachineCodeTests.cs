using Iced.Intel;
using NUnit.Framework;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// Tests the generated code with a disassembler. Its results are tested by the kernel cases. These tests check what no result
/// shows: that it does not modify what it must preserve, also under the calling convention that this machine does not use.
/// </summary>
[TestFixture]
public sealed class MachineCodeTests
{
    private static List<Instruction> Decoded(bool windows)
    {
        byte[] code = Vnni512.Assemble(windows);
        Decoder decoder = Decoder.Create(64, code);
        List<Instruction> instructions = [];
        while (decoder.IP < (ulong)code.Length) instructions.Add(decoder.Decode());
        return instructions;
    }

    private static readonly Register[] KeptForTheCaller =
    [
        Register.RBX, Register.RBP, Register.RSI, Register.RDI, Register.R12, Register.R13, Register.R14, Register.R15,
        .. Enumerable.Range(6, 10).Select(i => Register.ZMM0 + i),
    ];

    [Test]
    public void NoRegisterThatTheCallerKeepsIsWritten([Values] bool windows)
    {
        InstructionInfoFactory factory = new();
        foreach (Instruction instruction in Decoded(windows))
        {
            Assert.That(instruction.IsInvalid, Is.False, $"at {instruction.IP}");
            if (instruction.Mnemonic is Mnemonic.Vzeroupper or Mnemonic.Ret) continue;
            foreach (UsedRegister used in factory.GetInfo(instruction).GetUsedRegisters())
            {
                if (used.Access is not (OpAccess.Read or OpAccess.CondRead))
                    Assert.That(KeptForTheCaller, Does.Not.Contain(used.Register.GetFullRegister()), instruction.ToString());
            }

            Assert.That(instruction.IsStackInstruction || instruction.FlowControl is FlowControl.Call, Is.False,
                instruction.ToString());
        }
    }

    [Test]
    public void TheConventionsDifferInTheArgumentAlone()
    {
        List<Instruction> windows = Decoded(true), others = Decoded(false);
        Assert.That(windows[0].ToString(), Is.EqualTo("mov rax,rcx"));
        Assert.That(others[0].ToString(), Is.EqualTo("mov rax,rdi"));
        Assert.That(windows.Skip(1), Is.EqualTo(others.Skip(1)));
    }

    [Test]
    public void ItIsALoopOfDotProductsBetweenLoadsAndStores()
    {
        List<Instruction> code = Decoded(false);
        Assert.That(code.Count(i => i.Mnemonic == Mnemonic.Vpdpbusd), Is.EqualTo(2 * Vnni512.Rows));
        Assert.That(code.Count(i => i.FlowControl == FlowControl.ConditionalBranch), Is.EqualTo(1));
        Instruction branch = code.Single(i => i.FlowControl == FlowControl.ConditionalBranch);
        int target = code.FindIndex(i => i.IP == branch.NearBranchTarget), from = code.IndexOf(branch);
        Assert.That(code.Take(target).Concat(code.Skip(from)).Select(i => i.Mnemonic), Has.None.EqualTo(Mnemonic.Vpdpbusd));
        Assert.That(code[^1].Mnemonic, Is.EqualTo(Mnemonic.Ret));
    }
}
