using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>Tests the preprocessor, and what all files of kernels have in common.</summary>
[TestFixture]
internal sealed class KernelSourceTests
{
    public static IReadOnlyList<string> Modules => KernelSource.Modules;

    [Test]
    public void ThereAreAllFiles() => Assert.That(Modules, Is.EqualTo(new[]
    {
        "attention", "convolution", "elementwise", "image", "layer_norm", "matmul", "rows", "window_attention",
    }));

    [TestCaseSource(nameof(Modules))]
    public void AFileIsPlainPtxWithItsHeader(string module)
    {
        string text = KernelSource.Ptx(module);
        // NVIDIA's assembler refuses other characters, even in comments.
        Assert.That(text.All(char.IsAscii), "A character is not ASCII.");
        Assert.That(text, Does.StartWith("//").And.Contain(".version 7.1").And.Contain(".target sm_80").And.Contain(".address_size 64"));
        Assert.That(text.Split('\n').Where(l => l.TrimStart().StartsWith('#')), Is.Empty, "A directive is left.");
        PtxModule parsed = PtxModule.Parse(module, text);
        Assert.That(parsed.Kernels, Is.Not.Empty);
        foreach (PtxKernel kernel in parsed.Kernels.Values)
        {
            Assert.That(kernel.RequiredBlock, Is.Not.Null, $"{kernel.Name} does not state its block.");
            Assert.That(kernel.SharedBytes, Is.LessThanOrEqualTo(48 << 10), kernel.Name);
            Assert.That(kernel.LocalBytes, Is.Zero, $"{kernel.Name} spills by itself.");
            Assert.That(kernel.LiveRegisters, Is.LessThanOrEqualTo(255), kernel.Name);
        }
    }

    [TestCase("#for i 0 3\nmov #{i}, #{2*i+1};\n#end", "mov 0, 1;\nmov 1, 3;\nmov 2, 5;\n")]
    [TestCase("#for T in f h\n#if T == h\nhalf #{T}\n#else\nfloat #{T}\n#end\n#end", "float f\nhalf h\n")]
    [TestCase("#define N 4\n#macro add(a, b)\nadd #{a}, #{b}, #{N << 1}; // #{id}\n#end\n#add(%x, [%y+4])\n#add({%a, %b}, %z)",
        "add %x, [%y+4], 8; // 1\nadd {%a, %b}, %z, 8; // 2\n")]
    [TestCase("#if 3 > 2 && !(1 == 2)\nyes\n#end\n#if 7 % 4 - 3\nno\n#end", "yes\n")]
    public void RepetitionsAreExpanded(string text, string expected) =>
        Assert.That(PtxPreprocessor.Expand("file", text + "\n"), Is.EqualTo(expected + "\n"));

    [TestCase("a\n#for i 0 3\nb", "file(2)", "#end")]
    [TestCase("#nothing(1)", "file(1)", "no macro 'nothing'")]
    [TestCase("#macro m(a)\n#end\n#m(1, 2)", "file(3)", "1 parameters, and 2")]
    [TestCase("x\n#wrong", "file(2)", "no directive")]
    [TestCase("#{1 / 0}", "file(1)", "divides by 0")]
    [TestCase("#{(1}", "file(1)", "lacks")]
    [TestCase("#macro m()\n#m()\n#end\n#m()", "file(2)", "nested")]
    [TestCase("#for i 0 900\n#for j 0 900\nx\n#end\n#end", "file(3)", "lines")]
    public void AWrongDirectiveIsNamedWithItsLine(string text, string place, string message)
    {
        FormatException error = Assert.Throws<FormatException>(() => PtxPreprocessor.Expand("file", text))!;
        Assert.That(error.Message, Does.StartWith(place).And.Contain(message));
    }
}
