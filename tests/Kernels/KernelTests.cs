using System.Diagnostics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NUnit.Framework;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// Runs all kernel cases, each time in a separate process: with all instruction sets of the processor, and with some of them
/// disabled.
/// </summary>
[TestFixture]
public class KernelTests
{
    [TestCase("", 16, "")]
    [TestCase("AVX512", 8, "")]
    [TestCase("AVX2", 4, "")]
    [TestCase("HWIntrinsic", 1, "")]
    // Without instructions for products of bytes, 8-bit integers are multiplied by other instructions.
    [TestCase("AVXVNNI", 16, "Int8", false)]
    [TestCase("AVX512 AVXVNNI", 8, "Int8")]
    [TestCase("", 16, "Int8", false)]
    public void EveryCaseAgreesWithItsDefinition(string switchedOff, int lanes, string kernels, bool emittedCode = true)
    {
        ProcessStartInfo start = new("dotnet", [typeof(KernelTests).Assembly.Location, "kernels", kernels, .. emittedCode
            ? (string[])[] : ["no-emitted-code"]])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string set in switchedOff.Split(' ',
            StringSplitOptions.RemoveEmptyEntries))
        {
            start.Environment[$"DOTNET_Enable{set}"] = "0";
        }

        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();

        string tail = output.Length > 4000 ? "..." + output[^4000..] : output;
        Assert.That(child.ExitCode, Is.Zero, $"{tail}\n{errors.Result}");
        string products = Vnni512.IsSupported && lanes == 16 && emittedCode ? "bytes, emitted"
            : AvxVnni.IsSupported && lanes >= 8 && !switchedOff.Contains("VNNI", StringComparison.Ordinal) ? "bytes"
            : "16-bit integers";
        Assert.That(output, Does.StartWith($"{Math.Min(lanes, Widest)} lanes, products of {products}{Environment.NewLine}"));
        Assert.That(output, Does.Match(@"\d+ passed, 0 failed"));
    }

    /// <summary>The setting limits vectors of floats, but not the instructions for products of bytes.</summary>
    [Test]
    public void IntegersFollowTheWidthOfTheFloats()
    {
        if (!Vector256.IsHardwareAccelerated) Assert.Ignore("This processor has no vectors that could be narrowed.");
        string output = Programs.Run("dotnet", [typeof(KernelTests).Assembly.Location, "kernels", "Int8"],
            [("DOTNET_PreferredVectorBitWidth", "128")]).Success();
        Assert.That(output, Does.StartWith("4 lanes, products of 16-bit integers"));
        Assert.That(output, Does.Match(@"\d+ passed, 0 failed"));
    }

    /// <summary>Gets the largest number of lanes of this processor, according to the runtime.</summary>
    private static int Widest => Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;
}
