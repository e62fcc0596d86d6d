using NUnit.Framework;
using TinyZsad.Cuda;
using TinyZsad.Cuda.Kernels;
using TinyZsad.Ptx;

namespace TinyZsad.Tests.Ptx;

/// <summary>
/// Tests that the kernels with tensor cores use memory as the headers of their files say, and prints the figures that the headers quote.
/// </summary>
[TestFixture]
internal sealed class TensorCoreStatisticsTests
{
    [Test]
    public void ProductsHaveNoBankConflictsAndFullSectors()
    {
        foreach (MatMulTile tile in MatMulKernel.Tiles)
        {
            foreach (bool half in (bool[])[false, true])
            {
                MatMulKernelTests.Check(tile, 256, 128, 384, 1, new MatMulKernelTests.Options
                {
                    HalfOut = half, Added = half ? MatMulKernelTests.Added.Halves : MatMulKernelTests.Added.Floats,
                    OnLaunch = r => Check(r, $"256 x 128, k 384, {(half ? "halves" : "floats")}"),
                });
            }
        }
    }

    [Test]
    public void AttentionHasNoBankConflictsAndFullSectors()
    {
        foreach (int d in (int[])[32, 64, 128])
        {
            foreach (bool turns in (bool[])[false, true])
            {
                AttentionKernelTests.Check(128, 256, d, 1, 1, new AttentionKernelTests.Options
                {
                    HalfOut = turns, TurnsKeys = turns, TurnsQueries = turns,
                    OnLaunch = r => Check(r, $"128 x 256, {(turns ? "with" : "without")} positions"),
                });
            }
        }
    }

    [Test]
    public void WindowsHaveNoBankConflictsButThoseOfBiases()
    {
        foreach (int window in (int[])[8, 12, 16])
        {
            WindowAttentionKernelTests.Check(window, window, 2 * window, 32, 1, 1, 1, halfOut: window == 12,
                onLaunch: r => Check(r, $"windows of {window}", hasBiases: true));
        }
    }

    private static void Check(LaunchRecord record, string what, bool hasBiases = false)
    {
        KernelStatistics s = record.Statistics;
        Launch launch = record.Launch;
        TestContext.Out.WriteLine($"{launch.Kernel}, {what}: {(double)s.Executed / s.Products:F2} instructions a product, " +
            $"{s.BankConflicts} conflicts, {s.Sectors} sectors of {s.IdealSectors}, {s.Kernel.LiveRegisters} registers, " +
            $"{launch.SharedBytes} bytes of shared memory, {s.Occupancy(80, launch.Block.X, launch.SharedBytes)} warps of 64");
        foreach (InstructionStatistics i in s.Instructions)
        {
            // Which biases a warp reads depends on the window's side: one in ten reads may take another turn.
            bool isBias = hasBiases && i.Name == "ld.shared.f32";
            double most = isBias ? 1.15 * i.IdealSharedSteps : i.IdealSharedSteps;
            Assert.That(i.SharedSteps, Is.LessThanOrEqualTo(most), $"{launch.Kernel}: {i}");
            Assert.That(i.Sectors, Is.EqualTo(i.IdealSectors), $"{launch.Kernel}: {i}");
        }
    }
}
