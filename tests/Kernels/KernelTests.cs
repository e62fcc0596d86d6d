using System.Diagnostics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NUnit.Framework;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// All kernel cases, each time in a process of its own: with what the processor has, and with instruction sets switched off.
/// </summary>
[TestFixture]
public class KernelTests
{
    [TestCase("", 16, "")]
    [TestCase("AVX512", 8, "")]
    [TestCase("AVX2", 4, "")]
    [TestCase("HWIntrinsic", 1, "")]
    // Where products of bytes are missing, those over 8-bit integers take another way.
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

    /// <summary>What this processor has, asked of the runtime itself.</summary>
    private static int Widest => Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;
}
