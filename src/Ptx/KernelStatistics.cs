using System.Numerics;

namespace TinyZsad.Ptx;

/// <summary>Tells what an instruction did in all warps of a launch.</summary>
/// <param name="Line">The line of the file, from 1.</param>
/// <param name="Name">The instruction with its modifiers.</param>
/// <param name="Executed">The number of times that a warp executed it.</param>
/// <param name="SharedSteps">The number of times that the banks of shared memory were busy with it.</param>
/// <param name="IdealSharedSteps">The number of times that the bytes would need without a bank conflict.</param>
/// <param name="Sectors">The number of sectors of 32 bytes of global memory that it touched.</param>
/// <param name="IdealSectors">The number of sectors that the bytes would need if they lay side by side.</param>
internal sealed record InstructionStatistics(
    int Line, string Name, long Executed, long SharedSteps, long IdealSharedSteps, long Sectors, long IdealSectors);

/// <summary>Counts what the warps of a launch do. Not thread safe.</summary>
internal sealed unsafe class KernelStatistics(PtxKernel kernel)
{
    private readonly long[] executed = new long[kernel.Code.Length];
    private readonly long[] shared = new long[kernel.Code.Length];
    private readonly long[] idealShared = new long[kernel.Code.Length];
    private readonly long[] sectors = new long[kernel.Code.Length];
    private readonly long[] idealSectors = new long[kernel.Code.Length];

    /// <summary>Gets the kernel.</summary>
    public PtxKernel Kernel => kernel;

    /// <summary>Gets the instructions that were executed, in the order of the file.</summary>
    public IReadOnlyList<InstructionStatistics> Instructions => [.. kernel.Code.Where(i => executed[i.Index] > 0).Select(i =>
        new InstructionStatistics(i.Line, i.Name, executed[i.Index], shared[i.Index], idealShared[i.Index], sectors[i.Index],
            idealSectors[i.Index]))];

    /// <summary>Gets the number of instructions that warps executed.</summary>
    public long Executed => executed.Sum();

    /// <summary>Gets the number of matrix products that warps executed.</summary>
    public long Products => kernel.Code.Where(i => i.Name.StartsWith("mma", StringComparison.Ordinal)).Sum(i => executed[i.Index]);

    /// <summary>Gets the number of times that banks of shared memory were busy beyond what the bytes need.</summary>
    public long BankConflicts => shared.Sum() - idealShared.Sum();

    /// <summary>Gets the number of sectors of global memory.</summary>
    public long Sectors => sectors.Sum();

    /// <summary>Gets the number of sectors that the bytes would need if they lay side by side.</summary>
    public long IdealSectors => idealSectors.Sum();

    /// <summary>Gets what the instructions between two labels did, without those at and after the second.</summary>
    /// <exception cref="ArgumentException">The kernel has no such label.</exception>
    public IReadOnlyList<InstructionStatistics> Between(string first, string end)
    {
        int Line(string name) => kernel.Labels.FirstOrDefault(l => l.Name == name) is { Name: not null } label
            ? label.Line : throw new ArgumentException($"The kernel {kernel.Name} has no label '{name}'.", nameof(first));
        int from = Line(first), to = Line(end);
        return [.. Instructions.Where(i => i.Line >= from && i.Line < to)];
    }

    /// <summary>Gets the number of warps that a multiprocessor can hold at once, limited by threads, registers and shared memory.</summary>
    /// <param name="architecture">80 (A100), 87 (Orin) or 90 (H100).</param>
    /// <param name="threads">The number of threads of a block.</param>
    /// <param name="dynamicBytes">The dynamic shared memory of a block.</param>
    public int Occupancy(int architecture, int threads, int dynamicBytes)
    {
        (int mostWarps, int mostBlocks, int sharedBytes) = architecture switch
        {
            80 => (64, 32, 164 << 10),
            87 => (48, 16, 164 << 10),
            90 => (64, 32, 228 << 10),
            _ => throw new ArgumentOutOfRangeException(nameof(architecture), architecture, "80, 87 and 90 are known."),
        };
        int warps = (threads + 31) / 32, registers = Math.Max(24, (kernel.LiveRegisters + 8 + 7) / 8 * 8);
        int blocks = Math.Min(mostBlocks, mostWarps / warps);
        blocks = Math.Min(blocks, 65536 / (registers * 32 * warps));
        // The system takes 1 KiB of shared memory for each block.
        blocks = Math.Min(blocks, sharedBytes / (kernel.DynamicStart + dynamicBytes + 1024));
        return blocks * warps;
    }

    /// <summary>Counts executed instructions.</summary>
    public void Add(long[] counts)
    {
        for (int i = 0; i < counts.Length; i++) executed[i] += counts[i];
    }

    /// <summary>Adds the counts of other blocks of the launch.</summary>
    public void Add(KernelStatistics other)
    {
        Add(other.executed);
        for (int i = 0; i < shared.Length; i++)
        {
            shared[i] += other.shared[i];
            idealShared[i] += other.idealShared[i];
            sectors[i] += other.sectors[i];
            idealSectors[i] += other.idealSectors[i];
        }
    }

    /// <summary>
    /// Counts an access to shared memory. The hardware takes the lanes in groups of 128 bytes: all 32 for up to 4 bytes, halves for 8,
    /// quarters for 16. In a group, different words in the same of the 32 banks take turns.
    /// </summary>
    public void CountShared(int index, ulong* addresses, uint mask, int bytes)
    {
        int group = bytes <= 4 ? 32 : 128 / bytes;
        Span<ulong> words = stackalloc ulong[64];
        Span<int> banks = stackalloc int[32];
        for (int first = 0; first < 32; first += group)
        {
            uint some = group == 32 ? mask : mask & (((1U << group) - 1) << first);
            if (some == 0) continue;
            int count = 0;
            for (uint m = some; m != 0; m &= m - 1)
            {
                ulong at = addresses[BitOperations.TrailingZeroCount(m)];
                for (ulong word = at >> 2; word <= (at + (uint)bytes - 1) >> 2; word++)
                    if (!words[..count].Contains(word)) words[count++] = word;
            }

            banks.Clear();
            int most = 0;
            foreach (ulong word in words[..count]) most = Math.Max(most, ++banks[(int)(word & 31)]);
            shared[index] += most;
            idealShared[index] += (count + 31) / 32;
        }
    }

    /// <summary>Counts an access to global memory.</summary>
    public void CountGlobal(int index, ulong* addresses, uint mask, int bytes)
    {
        Span<ulong> touched = stackalloc ulong[64];
        Span<ulong> different = stackalloc ulong[32];
        int count = 0, distinct = 0;
        for (uint m = mask; m != 0; m &= m - 1)
        {
            ulong at = addresses[BitOperations.TrailingZeroCount(m)];
            if (!different[..distinct].Contains(at)) different[distinct++] = at;
            for (ulong sector = at >> 5; sector <= (at + (uint)bytes - 1) >> 5; sector++)
                if (!touched[..count].Contains(sector)) touched[count++] = sector;
        }

        sectors[index] += count;
        idealSectors[index] += (distinct * bytes + 31) / 32;
    }
}
