using System.Runtime.InteropServices;
using NUnit.Framework;
using TinyZsad.Kernels;
using TinyZsad.Tests.Models;

namespace TinyZsad.Tests.Kernels;

public sealed class VectorWidthTests
{
    [TestCase(16, 16, false, "", null)]
    [TestCase(8, 8, true, "", null)]
    [TestCase(4, 4, false, "DOTNET_EnableAVX2=0", null, Description = "The processor has no AVX2 either.")]
    [TestCase(8, 16, false, "DOTNET_EnableAVX512=0", "The processor has AVX-512, but DOTNET_EnableAVX512=0 is set.")]
    [TestCase(8, 16, false, "DOTNET_EnableAVX512=1", "The processor has AVX-512, but the runtime does not use it on this system.")]
    [TestCase(4, 8, false, "DOTNET_EnableAVX=00", "The processor has AVX2, but DOTNET_EnableAVX=00 is set.")]
    [TestCase(1, 4, false, "DOTNET_EnableHWIntrinsic=0", "The processor has SSE, but DOTNET_EnableHWIntrinsic=0 is set.")]
    [TestCase(8, 16, false, "DOTNET_PreferredVectorBitWidth=256",
        "The processor has AVX-512, but DOTNET_PreferredVectorBitWidth=256 is set.")]
    [TestCase(8, 16, true, "", "The processor has AVX-512, but the program was compiled ahead of time for AVX2. "
        + "Set IlcInstructionSet in its project.")]
    [TestCase(4, 16, true, "DOTNET_EnableAVX512=0", "The processor has AVX-512, but the program was compiled ahead of time for SSE. "
        + "Set IlcInstructionSet in its project.")]
    public void TheReasonIsNamed(int lanes, int available, bool compiledAhead, string setting, string? expected)
    {
        string[] words = setting.Split('=');
        Assert.That(
            VectorWidth.Explain(lanes, available, Architecture.X64, compiledAhead, name => name == words[0] ? words[1] : null),
            Is.EqualTo(expected));
    }

    [Test]
    public void Arm64HasNamesOfItsOwn() =>
        Assert.That(VectorWidth.Explain(1, 4, Architecture.Arm64, false, name => name == "DOTNET_EnableHWIntrinsic" ? "0" : null),
            Is.EqualTo("The processor has AdvSimd, but DOTNET_EnableHWIntrinsic=0 is set."));

    [Test]
    public void TheDetectorNamesTheWidth()
    {
        Assert.That(VectorWidth.IsCompiledAhead, Is.False);
        using AnomalyDetector detector = AnomalyDetector.Load(TinyModel.OfStoredClass().Open());
        Assert.That((detector.VectorWidth, detector.VectorLimit), Is.EqualTo((32 * Simd.Lanes, VectorWidth.Limit)));
        using AnomalyDetector reference = AnomalyDetector.Load(
            TinyModel.OfStoredClass().Open(), new DetectorOptions { Device = "reference" });
        Assert.That((reference.VectorWidth, reference.VectorLimit), Is.EqualTo((0, (string?)null)));
    }
}
