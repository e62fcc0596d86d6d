using System.Diagnostics;

namespace TinyZsad.KernelCases;

/// <summary>Times work that takes less than the clock can tell, by repeating it.</summary>
internal sealed class Samples
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(0.2);
    private readonly int repeats;

    /// <summary>Runs the work, to compile it and to see how long it takes.</summary>
    public Samples(Action run)
    {
        Run = run;
        run();
        long start = Stopwatch.GetTimestamp();
        run();
        repeats = Math.Max(1, (int)(Shortest / TimeSpan.FromTicks(Math.Max(1, Stopwatch.GetElapsedTime(start).Ticks))));
    }

    /// <summary>Gets the work.</summary>
    public Action Run { get; }

    /// <summary>Gets the shortest time of the work, in seconds.</summary>
    public double Least { get; private set; } = double.PositiveInfinity;

    /// <summary>Gets the time of all samples.</summary>
    public TimeSpan Total { get; private set; }

    /// <summary>Takes a sample.</summary>
    public void Take()
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < repeats; i++) Run();
        TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
        Total += elapsed;
        Least = Math.Min(Least, elapsed.TotalSeconds / repeats);
    }
}

/// <summary>Represents the time of a kernel beside the peaks that were measured in turn with it.</summary>
/// <param name="Case">The case.</param>
/// <param name="Seconds">The shortest time.</param>
/// <param name="PeakFlops">The operations per second of multiply-adds in registers.</param>
/// <param name="PeakBytes">The bytes per second of a copy of as many bytes; 0 for a case without.</param>
internal sealed record KernelTime(KernelCase Case, double Seconds, double PeakFlops, double PeakBytes)
{
    /// <summary>
    /// Gets whether memory bounds the kernel: whether a copy of its bytes takes longer than its multiply-adds at their peak.
    /// </summary>
    public bool IsBoundByMemory => Case.Flops == 0 || (!Case.OfIntegers && Case.Bytes * PeakFlops > Case.Flops * PeakBytes);

    /// <summary>Gets the work per second: bytes if memory bounds the kernel, otherwise operations.</summary>
    public double Rate => (IsBoundByMemory ? Case.Bytes : Case.Flops) / Seconds;

    /// <summary>Gets the work per second at the peak.</summary>
    public double Peak => IsBoundByMemory ? PeakBytes : PeakFlops;

    /// <summary>
    /// Gets the share of the peak. For 8-bit integers it is the ratio to the peak of floats, which is no bound: processors with
    /// instructions for products of bytes do more of them.
    /// </summary>
    public double Share => Rate / Peak;
}

/// <summary>
/// Times kernels, with one thread. The kernel and its peaks are sampled in turn, so that a change of the clock rate changes all of them.
/// </summary>
internal sealed class KernelTimer : IDisposable
{
    private const double FlopsOfSample = 1e6;
    private const int LeastRounds = 5, MostRounds = 250;
    private static readonly TimeSpan Enough = TimeSpan.FromMilliseconds(150);

    private readonly Peak peak = new();

    /// <summary>Times a kernel.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public KernelTime Time(KernelCase kernel, CancellationToken cancellationToken)
    {
        using Workspace workspace = new() { Timed = true };
        cancellationToken.ThrowIfCancellationRequested();
        Samples times = new(kernel.Prepare(workspace).Simd);
        Samples adds = new(() => Peak.MultiplyAdd(FlopsOfSample)), copies = new(() => peak.Copy(kernel.Bytes));
        for (int round = 0; round < LeastRounds || (round < MostRounds && times.Total < Enough); round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // A long kernel has few rounds, and a clock that rises for a moment would favour it over few samples of the peak.
            do adds.Take(); while (adds.Total < times.Total / 20);
            times.Take();
            if (kernel.Bytes > 0) copies.Take();
        }
        return new(kernel, times.Least, FlopsOfSample / adds.Least, kernel.Bytes / copies.Least);
    }

    public void Dispose() => peak.Dispose();
}
