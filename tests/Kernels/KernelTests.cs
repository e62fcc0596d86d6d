using System.Diagnostics;
using System.Runtime.Intrinsics;
using NUnit.Framework;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// All kernel cases, each time in a process of its own: with what the processor has, and with instruction sets switched off.
/// </summary>
[TestFixture]
public class KernelTests
{
    [TestCase(null, 16)]
    [TestCase("DOTNET_EnableAVX512", 8)]
    [TestCase("DOTNET_EnableAVX2", 4)]
    [TestCase("DOTNET_EnableHWIntrinsic", 1)]
    public void EveryCaseAgreesWithItsDefinition(string? switchedOff, int lanes)
    {
        ProcessStartInfo start = new("dotnet", [typeof(KernelTests).Assembly.Location, "kernels"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (switchedOff != null)
            start.Environment[switchedOff] = "0";
        using Process child = Process.Start(start)!;
        Task<string> errors = child.StandardError.ReadToEndAsync();
        string output = child.StandardOutput.ReadToEnd();
        child.WaitForExit();

        string tail = output.Length > 4000 ? "..." + output[^4000..] : output;
        Assert.That(child.ExitCode, Is.Zero, $"{tail}\n{errors.Result}");
        Assert.That(output, Does.StartWith($"{Math.Min(lanes, Widest)} lanes"));
        Assert.That(output, Does.Match(@"\d+ passed, 0 failed"));
    }

    /// <summary>What this processor has, asked of the runtime itself.</summary>
    private static int Widest => Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;
}
