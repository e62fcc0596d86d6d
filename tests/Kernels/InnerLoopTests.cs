using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NUnit.Framework;
using TinyZsad.Kernels;

namespace TinyZsad.Tests.Kernels;

/// <summary>
/// Looks at the machine code of the tiles' loops: nothing but loads, products, sums, the advance of pointers and one jump. The Arm64
/// forms are in <see cref="Arm64Tests"/>.
/// </summary>
[TestFixture]
public sealed class InnerLoopTests
{
    // Two steps of k: two vectors of B, and a broadcast and two products for each of 12 or 6 rows.
    [TestCase("", 16, "Tile12[", "vfmadd", 48, "vbroadcastss", 24)]
    [TestCase("AVX512", 8, "Tile6[", "vfmadd", 24, "vbroadcastss", 12)]
    // Without fused multiply-add, a sum is an addition.
    [TestCase("AVX2", 4, "Tile6[", "vaddps", 24, "vmulps", 24)]
    // One group of four: two vectors of B, and a broadcast and two products for each of six rows.
    [TestCase("AVX512", 8, "Quads(", "vpdpbusd", 12, "vpbroadcastd", 6)]
    [TestCase("AVX512 AVXVNNI", 8, "Pairs[", "vpmaddwd", 12, "vpaddd", 12)]
    public void ATileHasNoMovesAndNoSpills(string switchedOff, int lanes, string method, string kind, int count, string other, int others)
    {
        int widest = Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4;
        if (!X86Base.IsSupported || lanes > widest) Assert.Ignore($"This processor has {widest} lanes.");
        if (method == "Quads(" && !AvxVnni.IsSupported) Assert.Ignore("This processor has no AVX-VNNI.");

        InnerLoop loop = InnerLoop.Of(Listing(switchedOff), method, kind);
        Assert.That((loop.Count(kind), loop.Count(other)), Is.EqualTo((count, others)), $"{loop}");
        Assert.That(loop.Moves, Is.Empty, $"{loop}");
        Assert.That(loop.Spills, Is.Empty, $"{loop}");
    }

    private static string Listing(string switchedOff)
    {
        string file = Path.GetTempFileName();
        try
        {
            Programs.Run("dotnet", [typeof(InnerLoopTests).Assembly.Location, "kernels", "Tile ["],
            [
                (InnerLoop.Methods, "Tile6 Tile12 Quads Pairs"), (InnerLoop.File, file),
                .. switchedOff.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(set => ($"DOTNET_Enable{set}", "0")),
            ]).Success();
            return File.ReadAllText(file);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
